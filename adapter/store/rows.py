"""Which columns of a table make the object that decisions work on: the object's fields, in their order.

So `Lot(*row)` of a row that was selected by `LOT_COLUMNS` is right by itself, wherever it is read.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from adapter.book.membership import Membership, Standing
from adapter.book.state import Advice, Balance, BalanceOrder, Lot, Order, Redemption, Transaction
from adapter.book.voucher import Voucher
from adapter.book.working import Member, Person

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Column, Table


def _fields_of(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


BALANCE_COLUMNS = _fields_of(Balance)
LOT_COLUMNS = _fields_of(Lot)
ORDER_COLUMNS = _fields_of(Order)
TRANSACTION_COLUMNS = _fields_of(Transaction)
REDEMPTION_COLUMNS = _fields_of(Redemption)
BALANCE_ORDER_COLUMNS = _fields_of(BalanceOrder)
MEMBER_COLUMNS = _fields_of(Member)
MEMBERSHIP_COLUMNS = _fields_of(Membership)
STANDING_COLUMNS = _fields_of(Standing)
PERSON_COLUMNS = _fields_of(Person)
ADVICE_COLUMNS = _fields_of(Advice)
VOUCHER_COLUMNS = _fields_of(Voucher)

DELIVERY_COLUMNS = (
    "env",
    "id",
    "endpoint",
    "message",
    "member",
    "state",
    "attempts",
    "step",
    "next_attempt_at",
    "fence",
    "created_at",
    "updated_at",
)
"""Of a delivery that is new; what an attempt adds comes later."""


def columns_of(table: Table, names: Iterable[str]) -> tuple[Column[Any], ...]:
    """Return a table's columns of these names, as `select` takes them."""
    return tuple(table.c[name] for name in names)
