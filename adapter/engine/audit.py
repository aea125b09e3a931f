"""Audit: prove from the rows themselves that the book is right, and name every place where it is not.

The checks are those that the design promises: no account below zero; each balance is the sum of its transfers and the
sum over all accounts is zero; lots agree with their allocations and with the balance; an order holds exactly what its
facts are worth; hashes link from the first transfer to the head; sequences have no gap and each has its message, whose
frozen bytes say the same; tiers are where their history and their measure say (`reviewing.py`); redemptions agree with
their transactions (`proving.py`), vouchers with their orders and rules (`vouched.py`). Members are read in chunks, so
that memory does not grow with the book.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, Engine, select, text

from adapter import ids
from adapter.book import facts as order_facts
from adapter.book.orders import Setting, target_of, totals_of
from adapter.book.state import GENESIS, MEMBER_ACCOUNTS, Account, Lot, OrderState
from adapter.book.transfers import chain_hash
from adapter.book.valuing import as_kept
from adapter.engine.proving import check_redemptions
from adapter.engine.reviewing import check_standing
from adapter.engine.vouched import check_vouchers
from adapter.program.reasons import Reason
from adapter.store import tables as t
from adapter.store.allocated import by_transfer, place_of
from adapter.store.bulk import select_by_keys
from adapter.store.configuration import load_catalog
from adapter.store.reading.kept import removed_until
from adapter.store.reading.snapshot import snapshot
from adapter.store.rows import LOT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from adapter.book.state import Allocation
    from adapter.catalog import Catalog
    from adapter.store.allocated import Place

CHUNK = 500
Key = tuple[int, int, int]
_LOT_PARTS = ("pending", "available", "reserved")
_KEY = ("env", "member", "definition")


def audit(engine: Engine, progress: Callable[[int], None] = lambda _done: None) -> list[str]:
    """Return every violation as one line; an empty list says that the book is right."""
    with snapshot(engine) as connection:
        found = [*_orphans(connection), *_check_merged(connection), *_check_moved(connection)]
        keys = iter(
            connection.execute(select(*(t.balances.c[name] for name in _KEY)).order_by(*_KEY_COLUMNS)).all()
        )
        while chunk := [tuple(row) for row in islice(keys, CHUNK)]:
            found += _check_balances(connection, chunk)
            progress(len(chunk))
        catalog = load_catalog(connection)
        found += _check_orders(connection, catalog)
        found += check_standing(connection, catalog)
        found += _check_advices(connection)
        found += _check_balance_orders(connection)
        found += check_redemptions(connection)
        found += check_vouchers(connection, catalog)
        return found


_KEY_COLUMNS = tuple(t.balances.c[name] for name in _KEY)


def _name(key: Key) -> str:
    return f"member {ids.show('mem', key[1])} definition {key[2]} (environment {key[0]})"


def _orphans(connection: Connection) -> Iterator[str]:
    """Find transfers, lots and messages of balances that do not exist."""
    for table in ("transfers", "lots", "allocations"):
        query = (
            f"SELECT DISTINCT env, member, definition FROM {table} "  # noqa: S608 - names of ours
            "EXCEPT SELECT env, member, definition FROM balances"
        )
        for row in connection.execute(text(query)):
            yield f"{_name((row[0], row[1], row[2]))}: has {table} but no balance"


def _check_merged(connection: Connection) -> Iterator[str]:
    """Find members who were merged into somebody who is no member, or of whom something was left behind."""
    query = (
        "SELECT m.env, m.id, m.merged_into FROM members m LEFT JOIN members s ON s.env = m.env AND s.id = m.merged_into "
        "WHERE m.merged_into IS NOT NULL AND (s.id IS NULL OR s.merged_into IS NOT NULL)"
    )
    for env, member, into in connection.execute(text(query)):
        yield (
            f"member {ids.show('mem', member)} (environment {env}): is merged into {ids.show('mem', into)}, "
            "who does not go on in their place"
        )
    for table, left in _LEFT_BEHIND.items():
        query = (
            f"SELECT DISTINCT m.env, m.id FROM members m JOIN {table} x ON x.env = m.env AND x.member = m.id "  # noqa: S608 - names of ours
            f"WHERE m.merged_into IS NOT NULL AND {left}"
        )
        for env, member in connection.execute(text(query)):
            yield f"member {ids.show('mem', member)} (environment {env}): was merged, and has {table} left"


_LEFT_BEHIND = {
    "balances": "x.pending + x.available + x.reserved + x.owed > 0",
    "orders": "1 = 1",
    "transactions": "1 = 1",
    "balance_orders": "1 = 1",
    "redemptions": "1 = 1",
    "vouchers": "1 = 1",
    "identities": "1 = 1",
    "people": "1 = 1",
    "memberships": "1 = 1",
    "standings": "1 = 1",
}
"""By table: which rows a merge moves from one member to the other."""


def _check_moved(connection: Connection) -> Iterator[str]:
    """Find what one member gave and no other got: in each commit the account between them is zero."""
    query = (
        "SELECT env, event, definition, sum(CASE WHEN to_account = 'moved' THEN amount ELSE -amount END) AS net "
        "FROM transfers WHERE to_account = 'moved' OR from_account = 'moved' "
        "GROUP BY env, event, definition "
        "HAVING sum(CASE WHEN to_account = 'moved' THEN amount ELSE -amount END) != 0"
    )
    for env, event, definition, net in connection.execute(text(query)):
        name = "no event" if event is None else ids.show("evt", event)
        yield f"{name} definition {definition} (environment {env}): moved {net} that nobody has"


def _check_balances(connection: Connection, keys: list[Key]) -> Iterator[str]:
    def grouped(table: Any, columns: tuple[str, ...]) -> dict[Key, list[Any]]:
        rows: dict[Key, list[Any]] = defaultdict(list)
        for row in select_by_keys(connection, table, _KEY, keys, columns=columns):
            rows[row.env, row.member, row.definition].append(row)
        return rows

    columns = {
        table: tuple(c.name for c in table.columns)
        for table in (t.balances, t.transfers, t.allocations, t.lots)
    }
    balances = grouped(t.balances, columns[t.balances])
    transfers, allocations = (
        grouped(t.transfers, columns[t.transfers]),
        grouped(t.allocations, columns[t.allocations]),
    )
    lots, messages = grouped(t.lots, columns[t.lots]), _balance_messages(connection, keys)
    pending, removed = _pending_transactions(connection, keys), removed_until(connection, t.messages)
    for key in keys:
        balance = balances[key][0]
        moved = sorted(transfers[key], key=lambda row: (row.sequence, row.n))
        parts = by_transfer(moved, allocations[key])
        for violation in (
            *_check_accounts(balance, moved),
            *_check_lots(balance, lots[key], moved, parts),
            *_check_due(balance, lots[key], pending.get(key, [])),
            *_check_pending(balance, lots[key], pending.get(key, [])),
            *_check_chain(balance, moved, parts),
            *_check_messages(balance, moved, messages.get(key, []), removed.get(key[0], 0)),
        ):
            yield f"{_name(key)}: {violation}"


def _pending_transactions(connection: Connection, keys: list[Key]) -> dict[Key, list[Any]]:
    rows: dict[Key, list[Any]] = defaultdict(list)
    columns = (*_KEY, "id", "kind", "amount", "expires_at", "completes_at", "due_at", "order_ref")
    for row in select_by_keys(
        connection, t.transactions, _KEY, keys, columns=columns, where="t.state = 'pending'"
    ):
        rows[row.env, row.member, row.definition].append(row)
    return rows


def _balance_messages(connection: Connection, keys: list[Key]) -> dict[Key, list[Any]]:
    rows: dict[Key, list[Any]] = defaultdict(list)
    columns = (*_KEY, "sequence", "body")
    for row in select_by_keys(
        connection, t.messages, _KEY, keys, columns=columns, where="t.sequence IS NOT NULL"
    ):
        rows[row.env, row.member, row.definition].append(row)
    return rows


def _check_accounts(balance: Any, transfers: list[Any]) -> Iterator[str]:
    """Invariants 1 and 2: nothing below zero, and every account is the sum of its transfers."""
    sums: Counter[str] = Counter()
    members = {account.value for account in MEMBER_ACCOUNTS}
    for row in transfers:
        sums[row.from_account] -= row.amount
        sums[row.to_account] += row.amount
        sides = {row.from_account, row.to_account}
        if not sides & members or not sides <= set(Account) or len(sides) != 2 or row.amount <= 0:  # noqa: PLR2004 - two sides
            yield f"transfer {row.sequence}.{row.n} moves {row.amount} from {row.from_account} to {row.to_account}"
    for account in MEMBER_ACCOUNTS:
        held = getattr(balance, account.value)
        says = -sums[account.value] if account is Account.OWED else sums[account.value]
        if held < 0:
            yield f"{account.value} is below zero: {held}"
        if held != says:
            yield f"{account.value} is {held}, but its transfers add up to {says}"
    if balance.owed and balance.available:
        yield f"owes {balance.owed} while {balance.available} are available"
    if sum(sums.values()):
        yield f"the sum over all accounts is {sum(sums.values())}, not zero"


def _check_lots(
    balance: Any,
    lots: list[Any],
    transfers: list[Any],
    parts: dict[Place, list[Allocation]],
) -> Iterator[str]:
    """Invariant 3: lots are what their allocations made of them, and add up to the balance."""
    says: dict[int, Counter[str]] = defaultdict(Counter)
    for row in transfers:
        given = parts[place_of(row)]
        if given and sum(one.amount for one in given) != row.amount:
            yield f"transfer {row.sequence}.{row.n} moves {row.amount}, its lots {sum(one.amount for one in given)}"
        if not given and {row.from_account, row.to_account} & set(_LOT_PARTS):
            yield f"transfer {row.sequence}.{row.n} names no lot"
        for one in given:
            says[one.lot][row.from_account] -= one.amount
            says[one.lot][row.to_account] += one.amount
    for lot in lots:
        yield from _check_lot(lot, says[lot.id])
    for part in _LOT_PARTS:
        total = sum(getattr(lot, part) for lot in lots)
        if total != getattr(balance, part):
            yield f"{part} is {getattr(balance, part)}, but its lots add up to {total}"


def _check_lot(lot: Any, says: Counter[str]) -> Iterator[str]:
    for part in _LOT_PARTS:
        if getattr(lot, part) != says[part]:
            yield f"lot {ids.show('lot', lot.id)} has {getattr(lot, part)} {part}, its allocations say {says[part]}"
    if lot.idled > lot.expired:
        yield f"lot {ids.show('lot', lot.id)} has {lot.expired} expired, {lot.idled} of them by inactivity"
    if lot.expired > says["expired"]:  # less where a clawback waived what had run out
        yield f"lot {ids.show('lot', lot.id)} has {lot.expired} expired, its allocations say {says['expired']}"


def _check_pending(balance: Any, lots: list[Any], pending: list[Any]) -> Iterator[str]:
    """Compare what is held, and what is pending without an order, with the transactions that say so.

    What is only due waits for its instant, and its transaction is complete.
    """
    held = sum(row.amount for row in pending if row.kind == "debit")
    if held != balance.reserved:
        yield f"reserved is {balance.reserved}, but its pending debits hold {held}"
    waits = sum(row.amount for row in pending if row.kind == "credit" and row.order_ref is None)
    without = sum(lot.pending - lot.due_amount for lot in lots if lot.order_ref is None)
    if waits != without:
        yield f"{without} are pending without an order, but its pending credits wait with {waits}"


def _check_due(balance: Any, lots: list[Any], pending: list[Any]) -> Iterator[str]:
    """Find what the sweep would miss: a balance says when time changes something next, and so does each lot."""
    dues = [row.due_at for row in pending if row.due_at is not None]
    if balance.available:
        dues += [at for at in (balance.idle_at, balance.remind_at) if at is not None]
    for row in pending:
        ends = min((at for at in (row.expires_at, row.completes_at) if at is not None), default=None)
        if row.due_at != ends:
            yield f"transaction {ids.show('txn', row.id)} is due at {row.due_at}, but time ends it at {ends}"
    for row in lots:
        due = Lot(**{name: getattr(row, name) for name in LOT_COLUMNS}).due_at
        if row.due_at != due:
            yield f"lot {ids.show('lot', row.id)} is due at {row.due_at}, but time changes it at {due}"
        dues += [] if due is None else [due]
    if dues and (balance.next_due_at is None or balance.next_due_at > min(dues)):
        yield f"is due at {balance.next_due_at}, but something of it is at {min(dues)}"


def _check_chain(balance: Any, transfers: list[Any], parts: dict[Place, list[Allocation]]) -> Iterator[str]:
    """Invariant 5: every hash covers its transfer and the one before, up to the head; sequences have no gap."""
    head, sequence = GENESIS, 0
    for row in transfers:
        if row.sequence not in (sequence, sequence + 1):
            yield f"there is a gap in the sequence before {row.sequence}"
        sequence = row.sequence
        touched = [(one.lot, one.amount, one.expires_at) for one in parts[place_of(row)]]
        said = chain_hash(head, row[:15], touched)
        if said != bytes(row.hash):
            yield f"the hash of transfer {row.sequence}.{row.n} does not cover what it says"
        head = bytes(row.hash)
    if head != bytes(balance.head):
        yield "the head is not the hash of the last transfer"
    if sequence != balance.sequence:
        yield f"the sequence is {balance.sequence}, but the last transfer's is {sequence}"


def _check_messages(balance: Any, transfers: list[Any], messages: list[Any], removed: int) -> Iterator[str]:
    """Invariant 5: each change has its one message, and its frozen bytes say what the ledger says.

    That of a change before `removed` may be there no more.
    """
    heads = {row.sequence: bytes(row.hash).hex() for row in transfers}
    old = {row.sequence for row in transfers if row.posted_at < removed}
    told = Counter(row.sequence for row in messages)
    for sequence in range(1, balance.sequence + 1):
        if told[sequence] != 1 and (told[sequence] or sequence not in old):
            yield f"change {sequence} has {told[sequence]} messages"
    for row in messages:
        try:
            data = orjson.loads(row.body)["data"]
            right = (data["sequence"], data["chain_head"]) == (row.sequence, heads.get(row.sequence))
        except (orjson.JSONDecodeError, KeyError, TypeError):
            right = False
        if not right:
            yield f"the message of change {row.sequence} says something else than the ledger"


# --- orders -----------------------------------------------------------------------------------------------------------


def _check_orders(connection: Connection, catalog: Catalog) -> Iterator[str]:
    """Invariant 4: an order holds exactly one award, the one that its facts are worth."""
    moved: dict[tuple[int, str, str], Counter[str]] = defaultdict(Counter)
    query = (
        "SELECT env, order_source, order_ref, from_account, to_account, sum(amount) FROM transfers "
        "WHERE order_ref IS NOT NULL GROUP BY env, order_source, order_ref, from_account, to_account"
    )
    for env, source, ref, origin, target, amount in connection.execute(text(query)):
        if origin == "issued":
            moved[env, source, ref]["issued"] += int(amount)
        if target == "revoked":
            moved[env, source, ref]["revoked"] += int(amount)
    for row in connection.execute(select(t.orders).execution_options(yield_per=CHUNK)):
        name = f"order {row.source}:{row.ref} (environment {row.env})"
        for violation in _check_order(row, catalog, moved.pop((row.env, row.source, row.ref), Counter())):
            yield f"{name}: {violation}"
    for env, source, ref in moved:
        yield f"order {source}:{ref} (environment {env}): has transfers but is not there"


def _check_order(row: Any, catalog: Catalog, moved: Counter[str]) -> Iterator[str]:
    held = row.credited - row.taken
    if held != row.retained and row.member is not None:
        yield f"holds {held}, but should hold {row.retained}"
    if moved["issued"] - moved["revoked"] < held:
        yield f"holds {held}, but only {moved['issued'] - moved['revoked']} were credited"
    if row.state in (OrderState.WAITING, OrderState.PARKED):
        return
    worth = _worth(row, catalog)
    if worth != row.retained:
        yield f"retains {row.retained}, but its facts are worth {worth}"


def _worth(row: Any, catalog: Catalog) -> int:
    facts = order_facts.load(row.facts)
    assert totals_of(facts, row.source) is not None
    version = catalog.version_at(row.env, row.program, row.placed_at)
    decimals = catalog.definitions[row.env, row.definition].decimals
    known = None if row.member is not None else Reason.UNKNOWN_MEMBER
    live = catalog.environments[row.env].live
    setting = as_kept(Setting(row.source, version.program, decimals, live, known), row.standing)
    return target_of(facts, setting, row.updated_at).retained


# --- advice -----------------------------------------------------------------------------------------------------------


def _check_advices(connection: Connection) -> Iterator[str]:
    """Find advice that is outstanding although a newer one took its place."""
    query = (
        "SELECT a.env, a.member, a.number FROM advices a JOIN advices n ON n.env = a.env AND n.member = a.member "
        "AND n.number = a.number + 1 WHERE a.cleared_at IS NULL"
    )
    for env, member, number in connection.execute(text(query)):
        name = f"member {ids.show('mem', member)} (environment {env})"
        yield f"{name}: advice {number} is outstanding, but a newer one replaced it"


# --- balance orders ---------------------------------------------------------------------------------------------------


def _check_balance_orders(connection: Connection) -> Iterator[str]:
    """Find orders that are not one with a transaction of the same member and kind, of no more than was asked for."""
    query = (
        "SELECT o.env, o.id FROM balance_orders o LEFT JOIN transactions x ON x.env = o.env "
        'AND x.id = o."transaction" AND x.member = o.member AND x.definition = o.definition '
        "AND x.amount <= abs(o.amount) AND x.kind = CASE WHEN o.amount > 0 THEN 'credit' ELSE 'debit' END "
        "WHERE x.id IS NULL ORDER BY o.env, o.id"
    )
    for env, number in connection.execute(text(query)):
        name = ids.show("ord", number)
        yield f"balance order {name} (environment {env}): its transaction is not there, or says something else"
