"""How things are shown: rows as a table for people or as one JSON array, and progress on a terminal only."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PIPE_WIDTH = 240  # a pipe has no width; ids and addresses must come through whole


def show_json(thing: Any) -> None:
    """Print JSON, for programs and for `jq`."""
    click.echo(json.dumps(thing, indent=2, ensure_ascii=False))


def show_rows(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, as_json: bool) -> None:
    """Print rows: all of them as JSON, or the columns (key → heading) as a table."""
    if as_json:
        show_json(list(rows))
        return
    if not rows:
        click.echo("nothing found", err=True)
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns.values():
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(cell(row.get(key)) for key in columns))
    terminal().print(table)


def show_fields(thing: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing: as JSON, or a field on each line."""
    if as_json:
        show_json(thing)
        return
    width = max(len(name) for name in thing)
    for name, value in thing.items():
        click.echo(f"{name.replace('_', ' '):<{width}}  {cell(value)}")


def cell(value: Any) -> str:
    """Return a value as a person reads it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(one) for one in value) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{name}={cell(one)}" for name, one in value.items()) or "-"
    return str(value)


def terminal() -> Any:
    """Return where tables and charts are printed."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(width=width, markup=False, highlight=False, emoji=False)


@contextmanager
def counting(title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Give a function that counts further: a bar on a terminal, silence in a pipe."""
    if not sys.stderr.isatty():
        yield lambda _more: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda more: progress.advance(task, more)
