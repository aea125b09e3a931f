"""Payments that are rehearsed: told by commands, and worth what a shop's webhooks of the same would be worth."""

from __future__ import annotations

import json
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from adapter import ids
from adapter.commands import BeginPayment, EndPayment, TurnMember
from adapter.engine.audit import audit
from adapter.engine.door import Door
from adapter.engine.rebuild import rebuild
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.configuration import load_catalog
from adapter.store.database import open_database
from adapter.store.explain import explain_order
from adapter.store.reading.payments import find_payment
from tests.engine.test_audit import read
from tests.engine.test_redemptions import FIRST, RULES, kept, move, redeem, rich, state_of
from tests.engine.test_transactions import amounts
from tests.shop import NOW, configure, member_of, placed, play, recorded

if TYPE_CHECKING:
    from sqlalchemy import Engine

PAYMENT = 90
NEWCOMER = 77
REF = ids.show("pay", PAYMENT)


def pay(number: int = PAYMENT, **more: Any) -> BeginPayment:
    """Return the command that begins a payment of 29.99, less the first redemption's 5.00."""
    asked: dict[str, Any] = {
        "env": 1,
        "received_at": NOW,
        "source": "vendor",
        "program": "main",
        "amount": 2999,
    }
    asked |= {"currency": "EUR", "member": NEWCOMER, "redemptions": (FIRST,), **more}
    return BeginPayment(id=number, **asked)


def ended(state: str, number: int = PAYMENT, **more: Any) -> EndPayment:
    fields: dict[str, Any] = {"env": 1, "received_at": NOW, "source": "vendor", "program": "main", **more}
    return EndPayment(payment=number, state=state, **fields)


def sound(engine: Engine) -> None:
    assert audit(engine) == []
    assert rebuild(engine, read) == []


ENDS = [
    # what is told → the payment, the redemption; available and reserved of 1000 points
    ([pay()], ("pending", "pending", 500, 500)),
    ([pay(), ended("completed")], ("completed", "applied", 500, 0)),
    ([pay(state="completed")], ("completed", "applied", 500, 0)),
    ([pay(state="failed")], ("failed", "released", 1000, 0)),
    ([pay(), ended("failed")], ("failed", "released", 1000, 0)),
    ([pay(), ended("cancelled")], ("cancelled", "released", 1000, 0)),
    ([pay(), ended("expired")], ("expired", "released", 1000, 0)),
]


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize(("commands", "ends"), ENDS, ids=range(len(ENDS)))
def test_a_redemption_follows_its_payment(
    database: Engine, commands: list[Any], ends: tuple[str, str, int, int], size: int
) -> None:
    member = rich(database)
    outcomes = play(database, [redeem(member), *commands], sizes=[size])
    assert [one.error for one in outcomes] == [None] * len(outcomes)
    row = outcomes[-1].row
    assert row is not None
    assert (row["amount"], row["discount"], row["charged"]) == (2999, 500, 2499)
    _, available, reserved, _ = amounts(database, member)
    assert (row["state"], state_of(database), available, reserved) == ends
    assert (kept(database).order_source, kept(database).order_ref) == ("vendor", REF)
    sound(database)


REFUSED = [
    # what is different → the error
    ({"redemptions": (FIRST + 7,)}, "discount_unusable"),
    ({"redemptions": (FIRST + 1,)}, "discount_unusable"),  # an item
    ({"currency": "USD"}, "discount_unusable"),
    ({"redemptions": (FIRST + 2,)}, "redemption_reversed"),
    ({"redemptions": (FIRST + 3,)}, "redemption_in_use"),
]


@pytest.mark.parametrize(("change", "error"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_taken_off_is_refused_and_writes_nothing(
    database: Engine, change: dict[str, Any], error: str
) -> None:
    member = rich(database)
    asked = [redeem(member, reward="one"), redeem(member, FIRST + 1, reward="tote")]
    asked += [redeem(member, number, reward="one") for number in (FIRST + 2, FIRST + 3)]
    play(database, [*asked, move(member, "reversed", FIRST + 2), pay(PAYMENT + 1, redemptions=(FIRST + 3,))])
    before = amounts(database, member)
    (outcome,) = play(database, [pay(**change)])
    assert (outcome.error, outcome.field) == (error, "discounts")
    assert amounts(database, member) == before
    with database.connect() as connection:
        assert find_payment(connection, 1, "vendor", PAYMENT) is None
    sound(database)


def test_a_redemption_is_taken_off_one_of_two_payments_in_one_batch(database: Engine) -> None:
    member = rich(database)
    outcomes = play(database, [redeem(member), pay(), pay(PAYMENT + 1)], sizes=[3])
    assert [one.error for one in outcomes] == [None, None, "redemption_in_use"]
    sound(database)


def test_more_off_than_there_is_to_pay_charges_nothing(database: Engine) -> None:
    member = rich(database)
    _, outcome = play(database, [redeem(member), pay(amount=300, state="completed")])
    assert outcome.row is not None
    assert (outcome.row["discount"], outcome.row["charged"]) == (300, 0)
    assert state_of(database) == "applied"
    sound(database)


@pytest.mark.parametrize("state", ["reversed", "released"])
def test_a_discount_that_was_taken_back_before_the_payment_settles_is_not_taken_off(
    database: Engine, state: str
) -> None:
    """29.99 less 5.00 and 1.00: without the first one 28.99 are charged, and earn 28."""
    member = rich(database)
    begun = pay(customer="7000", source="shop", redemptions=(FIRST, FIRST + 1))
    play(database, [redeem(member), redeem(member, FIRST + 1, reward="one"), begun, move(member, state)])
    (outcome,) = play(database, [ended("completed", source="shop")])
    assert outcome.row is not None
    assert (outcome.row["charged"], outcome.row["redemptions"]) == (2899, [FIRST + 1])
    assert (state_of(database), state_of(database, FIRST + 1)) == (state, "applied")
    assert amounts(database, member) == (0, 928, 0, 0)
    sound(database)


def test_a_payment_ends_once(database: Engine) -> None:
    member = rich(database)
    play(database, [redeem(member), pay(), ended("cancelled")])
    outcomes = play(database, [ended("completed"), ended("cancelled"), ended("failed", PAYMENT + 1)])
    assert [one.error for one in outcomes] == ["payment_cancelled", "payment_cancelled", "not_found"]
    sound(database)


@pytest.mark.parametrize("auto_enrol", [True, False])
def test_who_pays_earns_and_becomes_a_member_where_the_program_says_so(
    database: Engine, auto_enrol: bool
) -> None:
    """24.99 at 1 point for 1.00 are 24, once the payment is complete: nothing of it is shipped."""
    rules = {**RULES, "members": {"auto_enrol": auto_enrol}, "bonuses": {"sign_up": 100}}
    configure(database, Program.model_validate(rules))
    asked = pay(redemptions=(), customer="cust_1", amount=2499)
    play(database, [asked, ended("completed")])
    with database.connect() as connection:
        found = connection.execute(select(t.identities.c.member)).scalars().all()
    assert found == ([NEWCOMER] if auto_enrol else [])
    if auto_enrol:
        assert amounts(database, NEWCOMER) == (0, 124, 0, 0)
        play(database, [pay(PAYMENT + 1, redemptions=(), customer="cust_1", state="completed", member=78)])
        assert amounts(database, NEWCOMER) == (0, 153, 0, 0)  # + 29 of 29.99
    sound(database)


def test_a_source_of_that_name_elsewhere_is_somebody_elses(database: Engine) -> None:
    """Who enrols by itself is said by the program of the payment's own environment."""
    configure(database, Program.model_validate(RULES))
    with database.begin() as connection:
        connection.execute(
            t.environments.insert().values(
                id=2, tenant="umbrella", mode="live", created_at=0, secret=b"secret"
            )
        )
        row = dict(connection.execute(select(t.sources)).mappings().one())
        connection.execute(
            t.sources.insert().values({**row, "env": 2, "name": "vendor", "program": "theirs"})
        )
    (outcome,) = play(database, [pay(redemptions=(), customer="cust_1", state="completed")])
    assert outcome.error is None
    assert amounts(database, member_of(database, "cust_1", "vendor")) == (0, 29, 0, 0)


def test_live_environments_have_real_payments(sqlite_database: Engine) -> None:
    configure(sqlite_database, Program.model_validate(RULES), live=True)
    (outcome,) = play(sqlite_database, [pay(redemptions=())])
    assert outcome.error == "payment_in_live"


def test_a_payment_is_explained_like_any_order(sqlite_database: Engine) -> None:
    configure(sqlite_database, Program.model_validate(RULES))
    play(sqlite_database, [pay(redemptions=(), customer="cust_1"), ended("completed")])
    with sqlite_database.connect() as connection:
        told = explain_order(connection, load_catalog(connection), 1, f"vendor:{REF}", now=NOW)
    assert (told["award"], told["state"]) == (29, "posted")
    assert [one["topic"] for one in told["events"]] == ["payment.pending", "payment.completed"]
    assert told["sentences"]


def test_an_order_of_a_shop_is_no_payment(sqlite_database: Engine) -> None:
    configure(sqlite_database, Program.model_validate(RULES))
    play(sqlite_database, [recorded(placed(REF))])
    with sqlite_database.connect() as connection:
        assert find_payment(connection, 1, "shop", PAYMENT) is None


def test_subscribers_hear_of_each_state(database: Engine) -> None:
    member = rich(database)
    play(database, [redeem(member), pay(customer="7000", source="shop"), ended("expired", source="shop")])
    with database.connect() as connection:
        bodies = connection.execute(select(t.messages.c.body).order_by(t.messages.c.id)).scalars()
        heard = [body for raw in bodies if (body := json.loads(raw))["type"].startswith("payment.")]
    assert [body["type"] for body in heard] == ["payment.created", "payment.expired"]
    data = heard[-1]["data"]
    assert (data["payment"], data["state"], data["charged"]) == (REF, "expired", 2499)
    assert (data["member"], data["source_ids"]) == (ids.show("mem", member), ["shop:7000"])
    assert data["redemptions"] == [ids.show("rdm", FIRST)]


def test_who_is_erased_is_found_by_the_events_of_a_payment_all_the_same(database: Engine) -> None:
    configure(database, Program.model_validate(RULES))
    play(database, [pay(redemptions=(), customer="cust_1", state="completed")])
    play(database, [TurnMember(env=1, received_at=NOW, id=5, member=NEWCOMER, state="erased")])
    with database.connect() as connection:
        rows = connection.execute(
            select(t.events.c.order_ref).where(t.events.c.topic.like("payment.%"))
        ).all()
    assert [row.order_ref for row in rows] == [REF]
    sound(database)


def test_of_two_ends_at_once_exactly_one_wins(database: Engine, database_url: str) -> None:
    member = rich(database)
    play(database, [redeem(member), pay()])
    other = open_database(database_url)
    with Door(database, lambda: NOW) as one, Door(other, lambda: NOW) as two:
        futures = [one.offer(ended("completed")), two.offer(ended("failed"))]
        wait(futures, 60)
        errors = {future.result(0).error for future in futures}
    other.dispose()
    assert None in errors
    assert errors & {"payment_completed", "payment_failed"}
    sound(database)
