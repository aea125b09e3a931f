"""Redemptions by the API: what moves, what is refused, what time does, and that the books agree with it."""

from __future__ import annotations

from concurrent.futures import wait
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import select

from adapter.book.state import RedemptionState
from adapter.commands import AttributeVoucher, BeginRedemption, Command, Elapse, MoveRedemption
from adapter.engine.audit import audit
from adapter.engine.door import Door
from adapter.engine.rebuild import rebuild
from adapter.engine.sweep import due_balances
from adapter.events import EventType
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.database import open_database
from adapter.store.reading.balances import balance_now
from adapter.store.reading.redemptions import RedemptionFilter, list_redemptions
from tests.engine.test_audit import corrupt, read
from tests.engine.test_convergence import fresh
from tests.engine.test_transactions import CREDIT, amounts, told
from tests.shop import (
    DAY,
    NOW,
    begin,
    cancelled,
    configure,
    customer,
    end,
    member_of,
    placed,
    play,
    publish,
    recorded,
    shipped,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from adapter.outcome import Outcome

HOUR = 3_600_000
RULES: dict[str, Any] = {
    "name": "main",
    "balance_definitions": [{"name": "points"}, {"name": "cash", "decimals": 2}],
    "earning": {"rate": "1"},
    "redeeming": {"currency": "EUR", "hold_minutes": 60, "return_on_refund": "proportional"},
    "rewards": [
        {"id": "five", "kind": "discount", "cost": 500, "value": "5.00", "currency": "EUR"},
        {"id": "one", "kind": "discount", "cost": 100, "value": "1.00", "currency": "EUR"},
        {"id": "tote", "kind": "item", "cost": 300},
        {"id": "store", "kind": "credit", "cost": 200, "value": "2.00", "currency": "EUR"},
        {"id": "cash", "kind": "credit", "cost": 200, "value": "2.50", "credits": "cash"},
    ],
}
MAIN = Program.model_validate(RULES)
FIRST = 50
"""The id of the first redemption of a test."""


def rich(engine: Engine, points: int = 1000, program: Program = MAIN) -> int:
    """Return a member with this many points."""
    configure(engine, program)
    play(engine, [recorded(customer("7000"))])
    member = member_of(engine)
    play(engine, [begin(member, 1, CREDIT, points, complete=True)])
    return member


def redeem(member: int, number: int = FIRST, **more: Any) -> BeginRedemption:
    """Return the command that begins a redemption; a discount of 500 points unless said otherwise."""
    what = {} if {"points", "value"} & more.keys() else {"reward": "five"}
    fields: dict[str, Any] = {"env": 1, "definition": 1, "received_at": NOW, "code": f"CODE-{number}"}
    return BeginRedemption(id=number, member=member, **{**fields, **what, **more})


def move(member: int, state: str, number: int = FIRST, **more: Any) -> MoveRedemption:
    fields: dict[str, Any] = {"env": 1, "definition": 1, "received_at": NOW, **more}
    return MoveRedemption(redemption=number, member=member, state=state, **fields)


def kept(engine: Engine, number: int = FIRST) -> Any:
    """Return a redemption's row."""
    with engine.connect() as connection:
        return connection.execute(select(t.redemptions).where(t.redemptions.c.id == number)).one()


def state_of(engine: Engine, number: int = FIRST) -> str:
    return str(kept(engine, number).state)


def sound(engine: Engine) -> None:
    assert audit(engine) == []
    assert rebuild(engine, read) == []


# --- what is had, and what it costs -----------------------------------------------------------------------------------

HAD = [
    # what is asked for → kind, state, cost, value, currency; then available, reserved of 1000 points
    ({"reward": "five"}, ("discount", "pending", 500, 500, "EUR"), (500, 500)),
    ({"points": 333}, ("discount", "pending", 333, 333, "EUR"), (667, 333)),
    ({"value": 250}, ("discount", "pending", 250, 250, "EUR"), (750, 250)),
    ({"reward": "tote"}, ("item", "fulfillment_pending", 300, None, None), (700, 0)),
    ({"reward": "store"}, ("credit", "applied", 200, 200, "EUR"), (800, 0)),
    ({"reward": "cash"}, ("credit", "applied", 200, 250, None), (800, 0)),
]


@pytest.mark.parametrize(("asked", "row", "left"), HAD, ids=str)
def test_what_is_had_and_what_it_costs(
    database: Engine, asked: dict[str, Any], row: tuple[Any, ...], left: tuple[int, int]
) -> None:
    member = rich(database)
    (outcome,) = play(database, [redeem(member, **asked)])
    assert (outcome.error, outcome.state) == (None, row[1])
    found = kept(database)
    assert (found.kind, found.state, found.cost, found.value, found.currency) == row
    assert found.code == ("CODE-50" if row[0] == "discount" else None)
    assert found.expires_at == (NOW + HOUR if row[0] == "discount" else None)
    assert amounts(database, member) == (0, *left, 0)
    sound(database)


def test_credit_lands_in_another_balance_and_is_taken_back_from_it(database: Engine) -> None:
    member = rich(database)
    play(database, [redeem(member, reward="cash")])
    assert amounts(database, member, 2) == (0, 250, 0, 0)
    play(database, [begin(member, 2, "debit", 100, complete=True, definition=2)])
    (outcome,) = play(database, [move(member, "reversed", force=True)])
    assert outcome.row is not None
    assert outcome.row["notes"] == ["Some of the credit was used already; what was used is owed."]
    assert amounts(database, member) == (0, 1000, 0, 0)
    assert amounts(database, member, 2) == (0, 0, 0, 100)  # 2.50 given, 1.00 used
    sound(database)


def test_the_cost_is_the_catalogues_of_now(database: Engine) -> None:
    member = rich(database)
    dearer = [{**RULES["rewards"][0], "cost": 700}, *RULES["rewards"][1:]]
    with database.begin() as connection:
        publish(connection, Program.model_validate({**RULES, "rewards": dearer}), version=2, at=NOW + 1000)
        connection.execute(t.configuration.update().values(version=2))
    play(database, [redeem(member, 50)])
    play(database, [move(member, "released", 50), redeem(member, 51)], now=NOW + 1000)
    assert (kept(database, 50).cost, kept(database, 51).cost) == (500, 700)
    sound(database)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"reward": "unknown"}, "reward_unknown"),
    ({"reward": "five", "definition": 2}, "reward_not_for_balance"),
    ({"points": 1001}, "insufficient_balance"),
    ({"value": 1001}, "insufficient_balance"),
    ({"member": 77}, "member_unknown"),
]


@pytest.mark.parametrize(("change", "error"), REFUSED, ids=[str(change) for change, _ in REFUSED])
def test_what_is_refused_writes_nothing(database: Engine, change: dict[str, Any], error: str) -> None:
    member = rich(database)
    (outcome,) = play(database, [redeem(**{"member": member, **change})])
    assert outcome.error == error
    assert outcome.reason
    with database.connect() as connection:
        assert connection.execute(select(t.redemptions)).all() == []
    assert amounts(database, member) == (0, 1000, 0, 0)
    sound(database)


def test_a_program_that_names_no_currency_sells_only_rewards(sqlite_database: Engine) -> None:
    rewards = {"rewards": RULES["rewards"][:1]}
    member = rich(sqlite_database, program=Program.model_validate({"name": "main", **rewards}))
    outcomes = play(sqlite_database, [redeem(member, points=5), redeem(member, value=5), redeem(member)])
    assert [outcome.error for outcome in outcomes] == ["nothing_to_redeem", "nothing_to_redeem", None]


def test_too_few_points_are_counted(database: Engine) -> None:
    member = rich(database, 450)
    play(database, [redeem(member, 50, reward="one")])
    (outcome,) = play(database, [redeem(member, 51)])
    assert outcome.error == "insufficient_balance"
    assert outcome.figures is not None
    assert [outcome.figures[name] for name in ("requested", "available", "reserved")] == [500, 350, 100]


# --- the state machine --------------------------------------------------------------------------------------------------

REACHED: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "pending": [("five", {})],
    "applied": [("five", {"state": "applied"})],
    "released": [("five", {"state": "released"})],
    "expired": [("five", {})],
    "fulfillment_pending": [("tote", {})],
    "fulfilled": [("tote", {"state": "fulfilled"})],
    "reversed": [("tote", {"state": "reversed"})],
}
"""How each state is reached: the reward, and the move after it. Expired is what time makes of pending."""
ENDS: dict[tuple[str, str, bool], str] = {
    ("pending", "applied", False): "applied",
    ("pending", "applied", True): "applied",
    ("pending", "released", False): "released",
    ("pending", "released", True): "released",
    ("pending", "reversed", False): "reversed",
    ("pending", "reversed", True): "reversed",
    ("fulfillment_pending", "fulfilled", False): "fulfilled",
    ("fulfillment_pending", "fulfilled", True): "fulfilled",
    ("fulfillment_pending", "reversed", False): "reversed",
    ("fulfillment_pending", "reversed", True): "reversed",
    ("applied", "reversed", True): "reversed",
    ("fulfilled", "reversed", True): "reversed",
}
"""What is allowed: (from, to, by force) → where it ends. Everything else is refused by name."""
UNFORCED = {("applied", "reversed"): "already_applied", ("fulfilled", "reversed"): "already_fulfilled"}
BACK = {"released", "expired", "reversed"}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("to", ["applied", "released", "fulfilled", "reversed"])
@pytest.mark.parametrize("state", [one.value for one in RedemptionState])
def test_every_move_from_every_state(state: str, to: str, force: bool) -> None:
    with fresh(MAIN) as engine:
        play(engine, [recorded(customer("7000"))])
        member = member_of(engine)
        play(engine, [begin(member, 1, CREDIT, 1000, complete=True)])
        ((reward, before),) = REACHED[state]
        now = NOW + HOUR if state == "expired" else NOW
        play(engine, [redeem(member, reward=reward), *([move(member, **before)] if before else [])])
        (outcome,) = play(engine, [move(member, to, force=force)], now=now)
        ends = ENDS.get((state, to, force))
        named = UNFORCED.get((state, to), f"redemption_{state}")
        assert (outcome.error, outcome.state) == ((None, ends) if ends else (named, None))
        assert state_of(engine) == (ends or state)
        spent = 0 if (ends or state) in BACK else kept(engine).cost
        assert amounts(engine, member)[1] == 1000 - spent
        assert audit(engine) == []


@pytest.mark.parametrize("size", [1, 10])
def test_a_life_in_one_batch_or_many(database: Engine, size: int) -> None:
    member = rich(database, 2000)
    commands: list[Command] = [
        redeem(member, 50),
        move(member, "applied", 50),
        redeem(member, 51, reward="tote"),
        move(member, "fulfilled", 51, tracking="1Z999", reason="sent"),
        redeem(member, 52),
        move(member, "released", 52, reason="another cart"),
        move(member, "reversed", 50, force=True, reason="a mistake"),
    ]
    outcomes = play(database, commands, sizes=[size])
    assert [outcome.error for outcome in outcomes] == [None] * 7
    assert [state_of(database, number) for number in (50, 51, 52)] == ["reversed", "fulfilled", "released"]
    assert (kept(database, 51).tracking, kept(database, 52).reason) == ("1Z999", "another cart")
    assert amounts(database, member) == (0, 1700, 0, 0)
    sound(database)


def test_subscribers_hear_of_each_move(database: Engine) -> None:
    member = rich(database)
    before = len(told(database))
    play(
        database,
        [redeem(member), move(member, "applied"), move(member, "reversed", force=True, reason="returned")],
    )
    play(
        database,
        [redeem(member, 51, reward="tote", shipping={"city": "Oslo"}), move(member, "fulfilled", 51)],
    )
    heard = [kind for kind in told(database)[before:] if kind.startswith("redemption.")]
    assert heard == [
        f"redemption.{word}" for word in ("created", "applied", "reversed", "created", "fulfilled")
    ]
    with database.connect() as connection:
        query = select(t.messages.c.body).where(t.messages.c.type == "redemption.reversed")
        data = orjson.loads(connection.execute(query).scalar_one())["data"]
        began = select(t.messages.c.body).where(t.messages.c.type == "redemption.created")
        query = began.order_by(t.messages.c.id)
        created = [orjson.loads(body)["data"] for body in connection.execute(query).scalars()]
    assert (data["redemption"], data["state"], data["reason"]) == (
        "rdm_000000000001j",
        "reversed",
        "returned",
    )
    assert created[0]["discount"] == {"amount": 500, "currency": "EUR", "code": "CODE-50"}
    assert (created[1]["kind"], created[1]["shipping"]) == ("item", {"city": "Oslo"})


def test_original_entries_are_never_edited(database: Engine) -> None:
    """The debit of 500 stays as it was; what comes back is a credit of 500 of its own."""
    member = rich(database)
    play(database, [redeem(member), move(member, "applied")])
    with database.connect() as connection:
        before = connection.execute(select(t.transfers).order_by(t.transfers.c.sequence)).all()
    play(database, [move(member, "reversed", force=True)])
    with database.connect() as connection:
        after = connection.execute(select(t.transfers).order_by(t.transfers.c.sequence)).all()
        query = select(t.transactions.c.kind, t.transactions.c.state, t.transactions.c.amount)
        owned = connection.execute(query.where(t.transactions.c.redemption == FIRST)).all()
    assert after[: len(before)] == before
    assert sorted(map(tuple, owned)) == [("credit", "completed", 500), ("debit", "completed", 500)]


def test_its_transaction_is_not_anybodys_to_end(database: Engine) -> None:
    member = rich(database)
    play(database, [redeem(member)])
    for state in ("completed", "cancelled"):
        (outcome,) = play(database, [end(member, kept(database).transaction, state)])
        assert outcome.error == "transaction_of_redemption"
        assert "rdm_" in (outcome.reason or "")
    assert amounts(database, member) == (0, 500, 500, 0)


def test_of_two_moves_at_once_exactly_one_wins(database: Engine, database_url: str) -> None:
    member = rich(database, 1000)
    numbers = range(50, 60)
    play(database, [redeem(member, number, reward="one") for number in numbers], sizes=[10])
    other = open_database(database_url)
    with Door(database, lambda: NOW) as one, Door(other, lambda: NOW) as two:
        futures = [
            (one.offer(move(member, "applied", number)), two.offer(move(member, "released", number)))
            for number in numbers
        ]
        wait([future for pair in futures for future in pair], 60)
        errors = [{future.result(0).error for future in pair} for pair in futures]
    other.dispose()
    assert all(len(pair) == 2 and None in pair for pair in errors), errors
    applied = [state_of(database, number) for number in numbers].count("applied")
    assert amounts(database, member) == (0, 1000 - 100 * applied, 0, 0)
    assert audit(database) == []


# --- lots and time ------------------------------------------------------------------------------------------------------


def two_lots(engine: Engine) -> int:
    """Return a member with 300 points that end in a day and 700 that never do."""
    configure(engine, MAIN)
    play(engine, [recorded(customer("7000"))])
    member = member_of(engine)
    soon = begin(member, 1, CREDIT, 300, complete=True, points_end_at=NOW + DAY)
    play(engine, [soon, begin(member, 2, CREDIT, 700, complete=True)])
    return member


def lots(engine: Engine) -> list[tuple[int, int, int]]:
    """Return available, reserved and expired of each lot, the oldest first."""
    columns = t.lots.c
    query = select(columns.available, columns.reserved, columns.expired).order_by(columns.id)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query)]


def test_points_go_back_to_the_lots_they_came_from(database: Engine) -> None:
    member = two_lots(database)
    play(database, [redeem(member), move(member, "applied")])
    assert lots(database) == [(0, 0, 0), (500, 0, 0)]
    play(database, [move(member, "reversed", force=True)])
    assert lots(database) == [(300, 0, 0), (700, 0, 0)]
    sound(database)


@pytest.mark.parametrize("moves", [["reversed"], ["applied", "reversed"], ["released"]], ids=str)
def test_points_of_a_lot_that_is_over_expire_at_once_and_it_says_so(
    database: Engine, moves: list[str]
) -> None:
    long = {**RULES["redeeming"], "hold_minutes": 10_000}
    configure(database, Program.model_validate({**RULES, "redeeming": long}))
    play(database, [recorded(customer("7000"))])
    member = member_of(database)
    soon = begin(member, 1, CREDIT, 300, complete=True, points_end_at=NOW + DAY)
    play(database, [soon, begin(member, 2, CREDIT, 700, complete=True), redeem(member)])
    outcomes: list[Outcome] = []
    for state in moves:
        outcomes += play(database, [move(member, state, force=True)], now=NOW + 2 * DAY)
    assert outcomes[-1].row is not None
    assert "expired at once" in outcomes[-1].row["notes"][-1]
    assert amounts(database, member) == (0, 700, 0, 0)
    assert lots(database) == [(0, 0, 300), (700, 0, 0)]
    sound(database)


def test_a_reversal_repays_what_is_owed_first(database: Engine) -> None:
    member = rich(database, 500)
    play(database, [redeem(member), move(member, "applied")])
    with database.connect() as connection:
        assert connection.execute(select(t.balances.c.available)).scalar_one() == 0
    play(database, [recorded(placed("9")), recorded(shipped("9"))])
    play(database, [begin(member, 3, "debit", 89, complete=True), recorded(cancelled("9"))])
    assert amounts(database, member) == (0, 0, 0, 89)
    play(database, [move(member, "reversed", force=True)])
    assert amounts(database, member) == (0, 411, 0, 0)
    sound(database)


@pytest.mark.parametrize("swept", [False, True])
def test_past_its_deadline_it_has_expired(database: Engine, swept: bool) -> None:
    """Half-open: usable until the last millisecond before it, whether or not the sweep has come by."""
    member = rich(database)
    play(database, [redeem(member)])
    later = NOW + HOUR
    assert due_balances(database, later - 1, 10) == []
    with database.connect() as connection:
        balance, _ = balance_now(connection, 1, member, 1, later)
        assert (balance.available, balance.reserved) == (1000, 0)
        listed = {
            state: len(
                list_redemptions(connection, 1, RedemptionFilter(state=state), now=later, limit=9).rows
            )
            for state in ("pending", "expired")
        }
        assert listed == {"pending": 0, "expired": 1}
    if swept:
        play(database, [Elapse(env=1, member=member, definition=1)], now=later)
        assert (state_of(database), kept(database).expired_at) == ("expired", later)
        assert [kind for kind in told(database) if kind.startswith("redemption.")][-1] == "redemption.expired"
    (outcome,) = play(database, [move(member, "applied")], now=later)
    assert outcome.error == "redemption_expired"
    assert (state_of(database), amounts(database, member)) == ("expired", (0, 1000, 0, 0))
    sound(database)


def test_a_moment_before_its_deadline_it_can_be_applied(database: Engine) -> None:
    member = rich(database)
    play(database, [redeem(member)])
    (outcome,) = play(database, [move(member, "applied")], now=NOW + HOUR - 1)
    assert outcome.error is None
    assert amounts(database, member) == (0, 500, 0, 0)
    sound(database)


# --- people ------------------------------------------------------------------------------------------------------------


def test_who_is_forgotten_leaves_no_address_behind(database: Engine) -> None:
    member = rich(database)
    shipping = {"name": "Jo Secret", "city": "Oslo"}
    play(database, [redeem(member, reward="tote", shipping=shipping), redeem(member, 51)])
    play(database, [recorded(customer("7000", type=EventType.CUSTOMER_REDACTED))])
    assert kept(database).shipping is None
    with database.connect() as connection:
        stored = (
            connection.execute(select(t.events.c.body).where(t.events.c.source == "@api")).scalars().all()
        )
    assert all(b"Secret" not in bytes(body) for body in stored)
    assert len(stored) == 3
    assert (state_of(database), state_of(database, 51)) == ("fulfillment_pending", "pending")
    sound(database)


# --- what the audit sees ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (
            "UPDATE redemptions SET state = 'applied'",
            "is applied and should have spent 500, but its transactions spent 0",
        ),
        ("UPDATE redemptions SET state = 'released'", "is released, but 1 of its transactions are pending"),
        ("UPDATE redemptions SET cost = 400", "costs 400, but its transaction is not a debit of that"),
        ("UPDATE redemptions SET expires_at = 5", "waits until 5, but its hold until"),
        ("UPDATE redemptions SET kind = 'item'", "is a redemption of the kind item, and its code is CODE-50"),
        ('UPDATE redemptions SET "transaction" = 1', "is not a debit of that"),
        ("DELETE FROM redemptions", "has transactions but is not there"),
    ],
)
def test_audit_names_what_is_wrong(sqlite_database: Engine, statement: str, named: str) -> None:
    member = rich(sqlite_database)
    play(sqlite_database, [redeem(member)])
    assert audit(sqlite_database) == []
    corrupt(sqlite_database, statement)
    assert any(named in violation for violation in audit(sqlite_database)), audit(sqlite_database)


def test_rebuild_names_what_the_stored_commands_do_not_explain(sqlite_database: Engine) -> None:
    member = rich(sqlite_database)
    play(sqlite_database, [redeem(member), move(member, "applied")])
    assert rebuild(sqlite_database, read) == []
    corrupt(sqlite_database, "UPDATE redemptions SET state = 'fulfilled', value = 900")
    (difference,) = rebuild(sqlite_database, read)
    assert "redemption" in difference
    assert "'value': 900" in difference


def test_a_code_is_never_given_twice(database: Engine) -> None:
    """To no redemption and no voucher, be it in one batch or another."""
    member = rich(database)
    taken = AttributeVoucher(
        env=1, id=90, member=member, program="main", code="SAME", percent="10", received_at=NOW
    )
    asked = [redeem(member, number, code="SAME", reward="one") for number in (50, 51)]
    outcomes = play(database, [*asked, taken], sizes=[3])
    assert [outcome.error for outcome in outcomes] == [None, "code_taken", "code_taken"]
    again = play(database, [redeem(member, 52, code="SAME", reward="one"), taken])
    assert [outcome.error for outcome in again] == ["code_taken", "code_taken"]
    assert amounts(database, member) == (0, 900, 100, 0)
    assert audit(database) == []
