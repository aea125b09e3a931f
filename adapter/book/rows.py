"""Rows that decisions work on, by key: those the database has, those that are new, and which have to be written."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Rows(Generic[Key, Value]):
    """Rows by key; which of them have to be written, and which of those are new.

    New rows are inserted and never overwrite: where another door inserted the same row first, the batch is decided
    again on what that one wrote.
    """

    def __init__(self) -> None:
        self._rows: dict[Key, Value] = {}
        self._stored: set[Key] = set()
        self._changed: dict[Key, None] = {}

    def load(self, key: Key, value: Value) -> None:
        """Keep a row as the database has it."""
        self._rows[key] = value
        self._stored.add(key)

    def add(self, key: Key, value: Value) -> Value:
        """Keep a row that the database does not have, to be written once it is marked."""
        return self._rows.setdefault(key, value)

    def get(self, key: Key) -> Value | None:
        return self._rows.get(key)

    def __contains__(self, key: Key) -> bool:
        return key in self._rows

    def amend(self, key: Key, value: Value) -> None:
        """Exchange a row for what a statement about many rows makes of it; one that is new is inserted as that."""
        self._rows[key] = value

    def put(self, key: Key, value: Value) -> Value:
        """Add or replace a row, to be written."""
        self._rows[key] = value
        self._changed[key] = None
        return value

    def mark(self, key: Key) -> None:
        """Note that the row under this key was changed in place."""
        self._changed[key] = None

    def drop(self, key: Key) -> None:
        """Let go of a row that is deleted in this batch; what is put under its key later is new."""
        self._rows.pop(key, None)
        self._changed.pop(key, None)
        self._stored.discard(key)

    def changed(self) -> Iterable[Key]:
        """Return the keys of all that is to be written."""
        return self._changed

    def new(self) -> list[tuple[Key, Value]]:
        """Return the rows to insert."""
        return [(key, self._rows[key]) for key in self._changed if key not in self._stored]

    def updated(self) -> list[tuple[Key, Value]]:
        """Return the stored rows to overwrite; the batch holds their locks."""
        return [(key, self._rows[key]) for key in self._changed if key in self._stored]

    def items(self) -> Iterable[tuple[Key, Value]]:
        return self._rows.items()

    def values(self) -> Iterable[Value]:
        return self._rows.values()


def row_of(row: DataclassInstance) -> dict[str, Any]:
    """Return a row column by column, as an outcome carries it. Its values are plain, so that none is copied."""
    return {name: getattr(row, name) for name in _columns(type(row))}


@cache
def _columns(kind: type[DataclassInstance]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


class OfBalance(Protocol):
    """A row that belongs to a balance."""

    @property
    def balance_key(self) -> tuple[int, int, int]: ...


Part = TypeVar("Part", bound=OfBalance)


class BalanceRows(Rows[int, Part]):
    """Rows that are asked for by their balance as well: a batch has many, and each command asks for its own."""

    def __init__(self) -> None:
        super().__init__()
        self._of: dict[tuple[int, int, int], dict[int, Part]] = {}

    def load(self, key: int, value: Part) -> None:
        super().load(key, value)
        self._of.setdefault(value.balance_key, {})[key] = value

    def put(self, key: int, value: Part) -> Part:
        self._of.setdefault(value.balance_key, {})[key] = value
        return super().put(key, value)

    def of(self, balance: tuple[int, int, int]) -> Iterable[Part]:
        """Return those of a balance."""
        return self._of.get(balance, {}).values()

    def regroup(self) -> None:
        """Note that some have gone over to another balance."""
        self._of.clear()
        for key, value in self.items():
            self._of.setdefault(value.balance_key, {})[key] = value
