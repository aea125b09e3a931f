"""Load the vouchers that a batch touches: those that commands name, by id, by code or by their occasion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.book.voucher import Voucher
from adapter.store import tables as t
from adapter.store.bulk import for_each, listed_keys, select_by_keys
from adapter.store.rows import VOUCHER_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from adapter.book.working import Occasion, WorkingSet
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


def load_occasions(connection: Connection, work: WorkingSet, occasions: set[Occasion]) -> None:
    """Look up whether there are vouchers for these occasions, and how many there are of rules that have a limit."""
    _load(connection, work, OCCASION, occasions)
    work.looked_up |= occasions
    limited = {key[:4] for key in occasions if _limited(work, key)}
    if not limited:
        return
    listed, values = listed_keys(connection, t.vouchers, OCCASION[:4], sorted(limited))
    counted = (
        "t.env = k.env AND t.member = k.member AND t.program = k.program AND t.rule = k.rule "
        "AND t.state != 'revoked'"
    )
    found = for_each(connection, listed, t.vouchers, counted)
    statement = (
        f"SELECT t.env, t.member, t.program, t.rule, count(*) {found} "
        "GROUP BY t.env, t.member, t.program, t.rule"
    )
    for *whose, number in connection.exec_driver_sql(statement, values):
        work.voucher_counts[whose[0], whose[1], whose[2], whose[3]] = number


def _limited(work: WorkingSet, key: Occasion) -> bool:
    program = work.catalog.version_at(key[0], key[2], work.now).program
    return any(rule.name == key[3] and rule.limit_per_member is not None for rule in program.voucher_rules)


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
