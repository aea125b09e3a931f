"""Proving that the book is right."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from adapter import clock
from adapter.cli.examples import examples
from adapter.cli.place import Place, pass_place
from adapter.cli.showing import counting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Engine

    from adapter.clock import Millis


@click.command(epilog=examples("loyalty-adapter audit", "loyalty-adapter audit || mail -s 'audit' ops"))
@pass_place
def audit(place: Place) -> None:
    """Check every invariant of the book.

    Exit code 0, or 1 with a line for each violation. Reads only, and may run beside the service.
    When it ran and what it found is left in a file (`metrics.audit_file`), which /metrics tells.
    """
    from adapter.engine.audit import audit as check

    began = clock.now()
    with place.database() as engine:
        with counting("auditing", _count(engine, _BALANCES)) as progress:
            found = check(engine, progress)
        _leave(place.settings().verdict, began, len(found))
        _tell(found, f"the book is right: {_count(engine, _MEMBERS)} members checked")


@click.command(epilog=examples("loyalty-adapter rebuild"))
@pass_place
def rebuild(place: Place) -> None:
    """Replay the stored events into an empty book and compare.

    Exit code 0, or 1 with a line for each difference. Changes nothing: the empty book is a temporary file.
    """
    from adapter.engine.rebuild import rebuild as make_again
    from adapter.intake import reading
    from connectors import CONNECTORS

    with place.database() as engine:
        events = _count(engine, _EVENTS)
        with counting("rebuilding", events) as progress:
            found = make_again(engine, reading(CONNECTORS), progress)
        _tell(found, f"the book is right: {events} events give the same balances")


def _leave(file: Path, began: Millis, violations: int) -> None:
    """Leave the result for /metrics; where that cannot be written, the audit is as good as before."""
    from adapter.store.verdict import VerdictFile

    now = clock.now()
    try:
        VerdictFile(file).write(now, max(now - began, 0), violations)
    except OSError as error:
        click.echo(f"/metrics will not know of this audit: {error}", err=True)


_BALANCES = "SELECT count(*) FROM balances"
_MEMBERS = "SELECT count(*) FROM (SELECT DISTINCT env, member FROM balances) AS holders"
_EVENTS = "SELECT count(*) FROM events"


def _count(engine: Engine, query: str) -> int:
    from sqlalchemy import text

    with engine.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


def _tell(found: Sequence[str], right: str) -> None:
    for line in found or [right]:
        click.echo(line)
    if found:
        sys.exit(1)
