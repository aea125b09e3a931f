"""Balance orders over HTTP: an order and its transaction are one, whoever completes, cancels or forgets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from adapter.clock import iso
from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.engine.sweep import due_balances
from adapter.program.model import Program
from adapter.store import tables as t
from tests.engine.test_audit import corrupt, read
from tests.shop import NOW, customer, play, publish, recorded
from tests.web.conftest import PROGRAM

if TYPE_CHECKING:
    from tests.web.conftest import Web

URL = "/v1/orders"
HOUR = 3_600_000


@pytest.fixture
def shopper(web: Web) -> Web:
    """Somebody with 100 points."""
    web.play(recorded(customer("7000")))
    web.post(
        "/v1/transactions",
        {"member": "shop:7000", "type": "credit", "amount": 100, "complete": True},
        status=201,
    )
    return web


def order(web: Web, amount: Any, *, status: int = 201, **more: Any) -> Any:
    body = {"member": "shop:7000", "amount": amount, "source": "engine", "due_at": iso(NOW + HOUR), **more}
    return web.post(URL, body, status=status)


def says(web: Web, **changes: Any) -> None:
    with web.engine.begin() as connection:
        publish(connection, Program.model_validate(PROGRAM.model_dump() | changes), version=2, at=NOW - 1)
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))


def amounts(web: Web) -> tuple[int, int, int]:
    told = web.get("/v1/members/shop:7000/balance")
    return told["pending"], told["available"], told["reserved"]


def sound(web: Web) -> None:
    assert audit(web.engine) == []
    assert rebuild(web.engine, read) == []


def test_an_order_is_placed_with_its_transaction(shopper: Web) -> None:
    placed = order(shopper, 89, metadata={"order": "789", "total": "89.99"})
    assert (placed["state"], placed["amount"], placed["source"]) == ("pending", 89, "engine")
    assert (placed["due_at"], placed["processed_at"], placed["expires_at"]) == (iso(NOW + HOUR), None, None)
    assert placed["metadata"] == {"order": "789", "total": "89.99"}
    assert placed["id"].startswith("ord_")
    transaction = shopper.get(f"/v1/transactions/{placed['transaction']}")
    assert (transaction["type"], transaction["state"], transaction["amount"]) == ("credit", "pending", 89)
    assert amounts(shopper) == (89, 100, 0)
    assert shopper.get(f"{URL}/{placed['id']}") == placed
    sound(shopper)


UNITS = [
    # amount, by which of the two, what is done → state, pending, available, reserved
    (30, "order", "complete", "completed", (0, 130, 0)),
    (30, "transaction", "complete", "completed", (0, 130, 0)),
    (30, "order", "cancel", "cancelled", (0, 100, 0)),
    (30, "transaction", "cancel", "cancelled", (0, 100, 0)),
    (-30, "order", "complete", "completed", (0, 70, 0)),
    (-30, "transaction", "cancel", "cancelled", (0, 100, 0)),
]


@pytest.mark.parametrize(("amount", "which", "verb", "state", "left"), UNITS, ids=str)
def test_the_two_end_as_one(
    shopper: Web, amount: int, which: str, verb: str, state: str, left: tuple[int, int, int]
) -> None:
    placed = order(shopper, amount)
    assert amounts(shopper) == ((amount, 100, 0) if amount > 0 else (0, 100 + amount, -amount))
    shopper.now += 1000
    address = f"{URL}/{placed['id']}" if which == "order" else f"/v1/transactions/{placed['transaction']}"
    shopper.post(f"{address}/{verb}")
    ended = shopper.get(f"{URL}/{placed['id']}")
    assert ended["state"] == shopper.get(f"/v1/transactions/{placed['transaction']}")["state"] == state
    assert ended["processed_at"] == (iso(shopper.now) if verb == "complete" else None)
    assert ended["cancelled_at"] == (iso(shopper.now) if verb == "cancel" else None)
    assert (placed["updated_at"], ended["updated_at"]) == (iso(NOW), iso(shopper.now))
    assert amounts(shopper) == left
    for again in ("complete", "cancel"):
        assert shopper.post(f"{URL}/{placed['id']}/{again}", status=409)["code"] == f"transaction_{state}"
    assert amounts(shopper) == left
    sound(shopper)


@pytest.mark.parametrize("amount", [30, -30])
def test_past_its_time_both_have_expired_whether_or_not_the_sweep_came(shopper: Web, amount: int) -> None:
    placed = order(shopper, amount, expires_at=iso(NOW + 2 * HOUR))
    shopper.now = NOW + 2 * HOUR - 1
    assert shopper.get(f"{URL}/{placed['id']}")["state"] == "pending"
    shopper.now += 1
    for _ in ("before the sweep", "after it"):
        for address in (f"{URL}/{placed['id']}", f"/v1/transactions/{placed['transaction']}"):
            assert shopper.get(address)["state"] == "expired"
        assert [one["id"] for one in shopper.get(URL, state="expired")["data"]] == [placed["id"]]
        assert shopper.get(URL, state="pending")["data"] == []
        assert amounts(shopper) == (0, 100, 0)
        play(shopper.engine, due_balances(shopper.engine, shopper.now, 9), now=shopper.now)
    assert shopper.post(f"{URL}/{placed['id']}/complete", status=409)["code"] == "transaction_expired"
    sound(shopper)


@pytest.mark.parametrize("amount", [30, -30])
@pytest.mark.parametrize("auto", [False, True])
def test_due_informs_unless_the_program_completes_what_is_due(shopper: Web, amount: int, auto: bool) -> None:
    says(shopper, auto_process_due_orders=auto)
    placed = order(shopper, amount)
    waiting = (amount, 100, 0) if amount > 0 else (0, 100 + amount, -amount)
    shopper.now = NOW + HOUR - 1
    assert (shopper.get(f"{URL}/{placed['id']}")["state"], amounts(shopper)) == ("pending", waiting)
    shopper.now += 1
    for _ in ("before the sweep", "after it"):
        found = shopper.get(f"{URL}/{placed['id']}")
        assert found["state"] == ("completed" if auto else "pending")
        assert found["processed_at"] == (iso(NOW + HOUR) if auto else None)
        assert [one["id"] for one in shopper.get(URL, state=found["state"])["data"]] == [placed["id"]]
        assert amounts(shopper) == ((0, 100 + amount, 0) if auto else waiting)
        play(shopper.engine, due_balances(shopper.engine, shopper.now, 9), now=shopper.now)
    sound(shopper)


def test_what_is_due_posts_with_its_batch(shopper: Web) -> None:
    says(shopper, auto_process_due_orders=True, processing_mode="batch", batch_interval_s=600)
    placed = order(shopper, 30)
    boundary = -(-(NOW + HOUR) // 600_000) * 600_000
    assert placed["available_at"] == iso(boundary)
    for at, state, left in (
        (NOW + HOUR - 1, "pending", (30, 100, 0)),
        (NOW + HOUR, "completed", (30, 100, 0)),
        (boundary - 1, "completed", (30, 100, 0)),
        (boundary, "completed", (0, 130, 0)),
    ):
        shopper.now = at
        assert (shopper.get(f"{URL}/{placed['id']}")["state"], amounts(shopper)) == (state, left)
    play(shopper.engine, due_balances(shopper.engine, boundary, 9), now=boundary)
    assert amounts(shopper) == (0, 130, 0)
    sound(shopper)


def test_one_completed_before_it_is_due_counts_from_then(shopper: Web) -> None:
    says(shopper, auto_process_due_orders=True)
    placed = order(shopper, 30)
    done = shopper.post(f"{URL}/{placed['id']}/complete")
    assert done["available_at"] == done["processed_at"] == iso(NOW)
    assert amounts(shopper) == (0, 130, 0)
    shopper.now += HOUR
    play(shopper.engine, due_balances(shopper.engine, shopper.now, 9), now=shopper.now)
    assert amounts(shopper) == (0, 130, 0)
    sound(shopper)


def test_it_expires_where_that_comes_first(shopper: Web) -> None:
    says(shopper, auto_process_due_orders=True)
    placed = order(shopper, 30, expires_at=iso(NOW + HOUR))
    shopper.now += HOUR
    assert shopper.get(f"{URL}/{placed['id']}")["state"] == "expired"
    play(shopper.engine, due_balances(shopper.engine, shopper.now, 9), now=shopper.now)
    assert amounts(shopper) == (0, 100, 0)
    sound(shopper)


@pytest.mark.parametrize("which", ["order", "transaction"])
def test_what_the_book_rejects_is_422_and_kept(shopper: Web, which: str) -> None:
    placed = order(shopper, -30)
    says(shopper, balance_definitions=[{"name": "points", "min_amount": "80"}])
    address = f"{URL}/{placed['id']}" if which == "order" else f"/v1/transactions/{placed['transaction']}"
    for _ in range(2):
        sent = {"Idempotency_Key": "k1"}
        answer = shopper.post(f"{address}/complete", status=422, **sent)
        assert answer["code"] == "rejected"
    found = shopper.get(f"{URL}/{placed['id']}")
    assert (found["state"], found["rejected_at"], found["processed_at"]) == ("rejected", iso(NOW), None)
    assert found["reason"] == "It would leave less than has to stay on the balance."
    assert amounts(shopper) == (0, 100, 0)
    assert shopper.post(f"{address}/complete", status=409)["code"] == "transaction_rejected"


def test_an_order_that_partly_has_room_keeps_what_was_asked(shopper: Web) -> None:
    says(shopper, balance_definitions=[{"name": "points", "max_amount": "120", "overtaking": "partial"}])
    placed = order(shopper, 30)
    assert (placed["amount"], shopper.get(f"/v1/transactions/{placed['transaction']}")["amount"]) == (30, 20)
    shopper.post(f"{URL}/{placed['id']}/complete")
    assert amounts(shopper) == (0, 120, 0)
    assert audit(shopper.engine) == []


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"amount": 0}, "amount"),
    ({"amount": "-0"}, "amount"),
    ({"amount": "1.5"}, "amount"),
    ({"amount": "--5"}, "amount"),
    ({"source": "shop"}, "source"),
    ({"source": None}, "source"),
    ({"due_at": "tomorrow"}, "due_at"),
    ({"due_at": None}, "due_at"),
    ({"expires_at": iso(NOW)}, "expires_at"),
    ({"metadata": {"a:b": "c"}}, "metadata.a:b.[key]"),
]


@pytest.mark.parametrize(("change", "field"), FAULTS, ids=str)
def test_the_field_at_fault_is_named(shopper: Web, change: dict[str, Any], field: str) -> None:
    body = {"member": "shop:7000", "amount": 5, "source": "engine", "due_at": iso(NOW), **change}
    answer = shopper.post(URL, {name: value for name, value in body.items() if value is not None}, status=400)
    assert [one["field"] for one in answer["errors"]] == [field]
    assert shopper.get(URL)["data"] == []


def test_what_the_book_refuses_leaves_no_order(shopper: Web) -> None:
    answer = order(shopper, -101, status=422)
    assert (answer["code"], answer["figures"]["available"]) == ("insufficient_balance", 100)
    order(shopper, 5, member="shop:nobody", status=404)
    says(shopper, state="paused")
    assert order(shopper, 5, status=422)["code"] == "program_paused"
    assert shopper.get(URL)["data"] == []
    assert shopper.get(f"{URL}/ord_0000000000009", status=404)["code"] == "not_found"
    assert audit(shopper.engine) == []


def test_orders_are_found_by_what_is_known_of_them(shopper: Web) -> None:
    first = order(shopper, 5, metadata={"order": "789"})
    second = order(shopper, -7, source="user")
    shopper.post(f"{URL}/{second['id']}/cancel")
    for query, found in (
        ({}, [second, first]),
        ({"member": "shop:7000"}, [second, first]),
        ({"state": "pending"}, [first]),
        ({"state": "cancelled"}, [second]),
        ({"source": "user"}, [second]),
        ({"metadata": "order:789"}, [first]),
        ({"metadata": "order:790"}, []),
    ):
        listed = shopper.ask("GET", URL, query=query)["data"]
        assert [one["id"] for one in listed] == [one["id"] for one in found], query


def test_audit_names_an_order_that_is_not_its_transaction(sqlite_web: Web) -> None:
    sqlite_web.play(recorded(customer("7000")))
    placed = order(sqlite_web, 5)
    corrupt(sqlite_web.engine, "UPDATE balance_orders SET amount = 4")
    (violation,) = audit(sqlite_web.engine)
    assert placed["id"] in violation
