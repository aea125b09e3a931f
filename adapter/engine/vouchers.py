"""Load the vouchers that a batch touches: those that commands name, by id, by code or by their occasion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.voucher import Voucher
from adapter.store import tables as t
from adapter.store.database import select_by_keys
from adapter.store.rows import VOUCHER_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from adapter.book.working import WorkingSet
    from adapter.engine.carrying import Touched

OCCASION = ("env", "member", "program", "rule", "occasion")


def load_vouchers(connection: Connection, work: WorkingSet, touched: Touched) -> None:
    """Fill the working set: no query where no command is about vouchers."""
    for names, keys in (
        (("env", "id"), touched.vouchers),
        (("env", "code"), touched.codes),
        (OCCASION, touched.occasions),
        (("env", "member"), touched.whole),
    ):
        _load(connection, work, names, keys)
    for occasion in touched.occasions:
        work.occasions.setdefault(occasion, None)


def _load(
    connection: Connection, work: WorkingSet, names: tuple[str, ...], keys: Iterable[tuple[object, ...]]
) -> None:
    rows = select_by_keys(connection, t.vouchers, names, keys, columns=VOUCHER_COLUMNS, lock=True)
    for row in rows:
        voucher = work.vouchers.get(row.id)
        if voucher is None:
            voucher = Voucher(*row)
            work.vouchers.load(voucher.id, voucher)
        work.codes[row.env, row.code] = voucher.id
        if voucher.rule is not None and voucher.occasion is not None:
            work.occasions[voucher.env, voucher.member, voucher.program, voucher.rule, voucher.occasion] = (
                voucher.id
            )
