"""`demo`: the main job, visible, offline; ends by itself."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING

import click

from adapter.cli.examples import examples

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command(
    epilog=examples("loyalty-adapter demo", "loyalty-adapter demo --keep    and look around afterwards")
)
@click.option("--keep", is_flag=True, help="Keep the data, and say how to go on with it.")
def demo(keep: bool) -> None:
    """Show the main job: signed webhooks in, a right ledger, signed balance webhooks out.

    Starts the real service in a temporary folder, needs no network, and ends with the audit. Exit code 0, or
    1 where anything is not as it must be.
    """
    import time

    from adapter.demo.stage import OffScript, set_up
    from adapter.demo.story import perform
    from adapter.demo.telling import Teller

    teller = Teller()
    with _folder(keep=keep) as folder:
        try:
            with set_up(folder) as stage:
                perform(stage, teller, int(time.time()))
        except OffScript as error:
            click.echo(f"the demo failed: {error.message}", err=True)
            sys.exit(1)
        teller.closing(f"LOYALTY_DATA_DIR={folder} loyalty-adapter serve" if keep else None)


@contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    if keep:
        yield Path(mkdtemp(prefix="loyalty-demo-"))
        return
    with TemporaryDirectory(prefix="loyalty-demo-") as folder:
        yield Path(folder)
