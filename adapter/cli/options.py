"""Options that several commands share, and the kinds of values they take."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import click

from adapter import clock, ids
from adapter.cli.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable

Function = TypeVar("Function", bound="Callable[..., Any]")

_AGO = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Instant(click.ParamType[int]):
    """An ISO 8601 instant, or how long ago: `90s`, `15m`, `2h`, `3d`."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the instant in milliseconds."""
        if isinstance(value, int):
            return value
        ago = _AGO.fullmatch(value)
        if ago:
            return clock.now() - int(ago[1]) * _UNIT_MS[ago[2]]
        try:
            return clock.parse(value)
        except ValueError:
            self.fail(f"{value!r} is neither an instant (2026-11-20T12:00:00Z) nor an age (2h)", param, ctx)


class Duration(click.ParamType[int]):
    """A duration in whole seconds: `90s`, `15m`, `2h`, `3d`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the seconds."""
        if isinstance(value, int):
            return value
        told = _AGO.fullmatch(value)
        if not told:
            self.fail(f"{value!r} is not a duration such as 90s, 15m, 24h or 30d", param, ctx)
        return int(told[1]) * _UNIT_MS[told[2]] // 1000


class Id(click.ParamType[int]):
    """An id as it is shown, such as `evt_…`."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.name = f"{prefix}_…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number that the rows carry."""
        if isinstance(value, int):
            return value
        number = ids.read(self.prefix, value)
        if number is None:
            self.fail(f"{value!r} is not an id such as {ids.show(self.prefix, 0)}", param, ctx)
        return number


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
"""For commands that show one thing."""

since = click.option("--since", type=Instant(), metavar="WHEN", help="At or after: ISO 8601, or an age (2h).")
until = click.option("--until", type=Instant(), metavar="WHEN", help="Before: ISO 8601, or an age (15m).")
member = click.option("--member", metavar="WHO", help="mem_…, source:customer or an e-mail address.")


def listing(function: Function) -> Function:
    """Add what every listing has."""
    limit = click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Most rows.")
    whole = click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
    return whole(limit(function))


def in_environment(function: Function) -> Function:
    """Add `--tenant` and `--mode` to a command; they stand for those of the root."""
    tenant = click.option(
        "--tenant", metavar="NAME", expose_value=False, callback=_name_anew, help="Which tenant."
    )
    mode = click.option(
        "--mode",
        type=click.Choice(["test", "live"]),
        expose_value=False,
        callback=_name_anew,
        help="Which mode.",
    )
    return tenant(mode(function))


def _name_anew(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    place = ctx.find_object(Place)
    if value is not None and place is not None and param.name is not None:
        setattr(place, param.name, value)
