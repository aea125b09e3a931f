"""Somebody else's figures, read from CSV or JSON lines: who, and how many points; each line that cannot be used says why."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from adapter.errors import Refused
from adapter.points import MOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WHO = ("member", "customer", "email")
HOW_MANY = ("points", "balance")
NAME_MAX = 320
DIGITS_MAX = 40


@dataclass(frozen=True, slots=True)
class Claim:
    """What a line says: a member by some name, and an amount in smallest units."""

    line: int
    who: str
    amount: int


@dataclass(frozen=True, slots=True)
class Unusable:
    """A line that cannot be used, and why."""

    line: int
    reason: str


def read_csv(lines: Iterable[str], decimals: int) -> Iterator[Claim | Unusable]:
    """Read CSV with a header. Raises `Refused` where the header names no member or no points."""
    reader = csv.reader(lines, strict=True)
    header = [name.strip().lower() for name in next(_rows(reader), (0, []))[1]]
    who, amount = _column(header, WHO), _column(header, HOW_MANY)
    for number, row in _rows(reader):
        if isinstance(row, str):
            yield Unusable(number, row)
        elif len(row) != len(header):
            yield Unusable(number, f"it has {len(row)} columns, the header has {len(header)}")
        else:
            yield _claim(number, row[who], row[amount], decimals)


def _rows(reader: Any) -> Iterator[tuple[int, Any]]:
    """Yield each row that is not empty with the number of its last line; what is broken is told as text."""
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield reader.line_num, f"it is not CSV: {error}"
            continue
        if row is None:
            return
        if row:
            yield reader.line_num, row


def _column(header: list[str], names: tuple[str, ...]) -> int:
    found = [header.index(name) for name in names if name in header]
    if not found:
        raise Refused(
            f"the header has no column {' or '.join(names)}; it has: {', '.join(header)[:200] or 'nothing'}"
        )
    return found[0]


def read_json_lines(lines: Iterable[str], decimals: int) -> Iterator[Claim | Unusable]:
    """Read one JSON object a line; empty lines are passed over."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _from_json(number, line, decimals)


def _from_json(number: int, line: str, decimals: int) -> Claim | Unusable:
    try:
        row = json.loads(line, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return Unusable(number, "it is not JSON")
    if not isinstance(row, dict):
        return Unusable(number, "it is not a JSON object")
    who = next((row[name] for name in WHO if name in row), None)
    amount = next((row[name] for name in HOW_MANY if name in row), None)
    if not isinstance(who, str) or not isinstance(amount, str):
        return Unusable(number, f"give {' or '.join(WHO)} and {' or '.join(HOW_MANY)}, as text or a number")
    return _claim(number, who, amount, decimals)


def _claim(number: int, who: str, written: str, decimals: int) -> Claim | Unusable:
    who = who.strip()
    if not who or len(who) > NAME_MAX or "\0" in who:
        return Unusable(number, f"the member's name is empty, or longer than {NAME_MAX}, or not text")
    try:
        amount = Decimal(written.strip()) if len(written) <= DIGITS_MAX else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or abs(amount) > MOST:
        return Unusable(number, f"{written[:DIGITS_MAX]!r} is no number of points")
    scaled = amount.scaleb(decimals)
    if scaled != int(scaled):
        return Unusable(number, f"{written!r} is finer than this balance, which has {decimals} decimals")
    return Claim(number, who, int(scaled))
