"""The command line: a module for each noun. Heavy imports wait inside commands, so that `--help` is quick."""

from __future__ import annotations

from adapter.cli.checking import audit, rebuild
from adapter.cli.deliveries import deliveries
from adapter.cli.demonstrating import demo
from adapter.cli.endpoints import endpoints
from adapter.cli.events import events
from adapter.cli.exporting import export
from adapter.cli.keeping import backup, prune, restore
from adapter.cli.keys import keys
from adapter.cli.listening import listen
from adapter.cli.members import members
from adapter.cli.reconciling import reconcile
from adapter.cli.redemptions import redemptions
from adapter.cli.reports import report
from adapter.cli.root import root as main
from adapter.cli.sending import send
from adapter.cli.serving import apply, migrate, receive, serve, work
from adapter.cli.simulating import simulate
from adapter.cli.streaming import stream

__all__ = ["main"]

main.add_all((serve, receive, work, migrate, apply, simulate, audit, rebuild, backup, restore, prune))
main.add_all((report, export, reconcile))
main.add_all((events, deliveries, endpoints, members, redemptions, keys, stream, send, listen, demo))
