from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from adapter.engine.sweep import due_balances
from adapter.program.model import Program
from adapter.program.reasons import SENTENCES, Reason
from adapter.store import tables as t
from adapter.store.configuration import load_catalog
from adapter.store.explain import as_text, order_lines
from tests.shop import (
    DAY,
    NOW,
    cancelled,
    customer,
    line,
    paid,
    placed,
    publish,
    recorded,
    refunded,
    shipped,
    totals,
)

if TYPE_CHECKING:
    from adapter.events import Event
    from tests.web.conftest import Web


def program(earning: dict[str, Any] | None = None, **more: Any) -> Program:
    return Program.model_validate({"name": "main", "earning": {"rate": "1", **(earning or {})}, **more})


def told_of(web: Web, rules: Program, *events: Event) -> dict[str, Any]:
    """Return the explanation of the only order of a member that these events give."""
    with web.engine.begin() as connection:
        publish(connection, rules, version=2, at=1)
    web.play(*(recorded(event) for event in events))
    (order,) = web.get("/v1/members/shop:7000/explain")["orders"]
    return dict(order)


def test_an_order_is_told_from_the_basis_to_what_is_left(web: Web) -> None:
    rules = program({"minimum": "10.00"}, expiry={"months": 12})
    told = told_of(web, rules, placed(), paid(), shipped(), refunded())
    assert told["sentences"] == [
        "It was placed on 2026-11-08 11:06 UTC.",
        "89.99 EUR of it counts for the program main (version 2).",
        "That earned 89 points: 1 for each 1.00 EUR, rounded down.",
        "30.00 EUR was refunded on 2026-11-11 11:06 UTC.",
        "59 points are kept after refunds, 30 points went back.",
        "59 points are available; they expire on 2027-11-10 11:06 UTC.",
        "30 points were taken back in all.",
    ]
    assert [(one["kind"], one["amount"]) for one in told["transfers"]] == [
        ("earn", 89),
        ("activate", 89),
        ("reverse", 30),
    ]
    assert [one["types"][0] for one in told["events"]] == [
        "order.placed",
        "payment.completed",
        "order.shipped",
        "order.refunded",
    ]
    assert {one["event"] for one in told["transfers"]} <= {one["id"] for one in told["events"]}
    assert told["net"] == {"available": 59}


RULES = [
    {"name": "base", "rate": "1", "multiplier": "2"},
    {"name": "coffee", "per_item": "50", "only": {"skus": ["BAG"]}, "cap": 60},
    {"name": "welcome", "bonus": 100, "minimum": "500"},
]


def test_the_rules_that_gave_an_award_are_named(web: Web) -> None:
    basket = placed("1001", line(1, "60.00"), line(2, "30.00", quantity="2", sku="BAG"))
    rules = Program.model_validate({"name": "main", "earning": {"rules": RULES}})
    told = told_of(web, rules, basket)
    assert told["parts"] == [{"rule": "base", "points": 180}, {"rule": "coffee", "points": 60}]
    assert (
        "That earned 240 points: 180 points by base (1 for each 1.00 EUR, times 2); "
        "60 points by coffee (50 for each unit of its lines, at most 60), rounded down."
    ) in told["sentences"]


def test_a_credit_shows_the_award_that_it_is_of(web: Web) -> None:
    basket = placed("1001", line(1, "60.00"), line(2, "30.00", quantity="2", sku="BAG"))
    rules = Program.model_validate({"name": "main", "earning": {"rules": RULES}})
    told_of(web, rules, basket, shipped(), refunded())
    shown = {one["type"]: one["id"] for one in web.get("/v1/transactions")["data"]}
    parts = [{"rule": "base", "points": 180}, {"rule": "coffee", "points": 60}]
    assert web.get(f"/v1/transactions/{shown['credit']}")["award"] == {"points": 240, "parts": parts}
    assert "award" not in web.get(f"/v1/transactions/{shown['debit']}")


def test_the_best_rule_is_named_and_no_rule_has_a_reason(web: Web) -> None:
    best = Program.model_validate({"name": "main", "earning": {"rules": RULES[:2], "combine": "best"}})
    told = told_of(web, best, placed("1001", line(1, "60.00"), line(2, "30.00", sku="BAG")))
    assert told["parts"] == [{"rule": "base", "points": 180}]
    assert (
        "by base (1 for each 1.00 EUR, times 2), the best of the rules, rounded down." in told["sentences"][2]
    )


def test_an_order_that_no_rule_is_for_says_so(web: Web) -> None:
    only = Program.model_validate({"name": "main", "earning": {"rules": RULES[1:]}})
    told = told_of(web, only, placed("1001", line(1, "60.00")))
    assert (told["parts"], told["reason"]) == ([], "below_minimum")
    assert not any(sentence.startswith("The minimum is") for sentence in told["sentences"])


def test_the_short_form_is_one_rule(web: Web) -> None:
    assert told_of(web, program(), placed())["parts"] == [{"rule": "base", "points": 89}]


SHIPPED_IN_PART = shipped(lines=[("1", "1")])
TWO_LINES = placed("1001", line(1, "30.00"), line(2, "60.00"))


@pytest.mark.parametrize(
    ("rules", "events", "says"),
    [
        (program(), [placed()], "89 points are pending: they wait until the order is shipped."),
        (
            program({"award_on": "payment.completed"}),
            [placed()],
            "89 points are pending: they wait until the order is paid.",
        ),
        (
            program({"hold_days": 30}),
            [placed(), shipped()],
            "89 points are pending: they become available on 2026-12-10 11:06 UTC.",
        ),
        (program(), [placed(), shipped()], "89 points are available; they never expire."),
        (
            program({"multiplier": "2.5"}), [placed()],
            "That earned 224 points: 1 for each 1.00 EUR, times 2.5, rounded down.",
        ),
        (
            program({"cap": 50}), [placed()],
            "That earned 50 points: 1 for each 1.00 EUR, rounded down, cut to the cap for one order.",
        ),
        (program({"cap": 50}), [placed()], SENTENCES[Reason.CAPPED]),
        (program({"minimum": "100"}), [placed()], "The minimum is 100.00 EUR."),
        (program({"rate": "0"}), [placed()], SENTENCES[Reason.NO_RULE]),
        (program({"rates": {"USD": "1"}}), [placed()], SENTENCES[Reason.NO_RATE_FOR_CURRENCY]),
        (program({"rate": "0.001"}), [placed()], SENTENCES[Reason.ROUNDS_TO_ZERO]),
        (program(state="paused"), [placed()], SENTENCES[Reason.PROGRAM_PAUSED]),
        (program(state="ended"), [placed()], SENTENCES[Reason.PROGRAM_ENDED]),
        (program(ends="2026-11-01"), [placed()], SENTENCES[Reason.PROGRAM_ENDED]),
        (program(starts="2026-12-01"), [placed()], SENTENCES[Reason.PROGRAM_NOT_PUBLISHED]),
        (program(), [placed(), cancelled()], SENTENCES[Reason.CANCELLED]),
        (program(), [placed(), refunded(amount="89.99")], SENTENCES[Reason.FULLY_REFUNDED]),
        (
            program(), [placed(what=totals(line(amount="0.0005")))],
            "0.0005 EUR of it counts for the program main (version 2).",
        ),
        (program(), [placed(), refunded(currency="USD")], SENTENCES[Reason.REFUND_CURRENCY]),
        (program({"cap": 50}), [placed(), refunded(currency="USD")], SENTENCES[Reason.REFUND_CURRENCY]),
        (
            program({"partial_shipments": "pro_rata", "hold_days": 30}),
            [TWO_LINES, SHIPPED_IN_PART],
            (
                "90 points are pending: they become available on 2026-12-10 11:06 UTC, "
                "the other 60 points wait for the next shipment."
            ),
        ),
        (program(expiry={"days": 1}), [placed(), shipped()], "89 points expired on 2026-11-11 11:06 UTC."),
    ],
)  # fmt: skip
def test_every_order_has_an_answer(web: Web, rules: Program, events: list[Event], says: str) -> None:
    assert says in told_of(web, rules, *events)["sentences"]


def test_points_that_were_used_are_accounted_for(web: Web) -> None:
    web.play(recorded(placed()), recorded(shipped()))
    with web.engine.begin() as connection:  # as a hold and a spend will leave the lot
        connection.execute(t.lots.update().values(available=0, reserved=40))
    (order,) = web.get("/v1/members/shop:7000/explain")["orders"]
    assert "40 points are reserved by a hold." in order["sentences"]
    assert "49 points of it were used: spent, or taken for a clawback or a debt." in order["sentences"]


@pytest.mark.parametrize("swept", [False, True])
def test_points_that_end_by_inactivity_say_so(web: Web, swept: bool) -> None:
    told = told_of(web, program(expiry={"inactive_days": 10, "months": 12}), placed(), shipped())
    assert told["sentences"][-1] == "89 points are available; they expire on 2026-11-28 11:06 UTC."
    assert told["lot"]["expires_at"] == "2026-11-28T11:06:40.000Z"
    web.now += 10 * DAY
    if swept:
        web.play(*due_balances(web.engine, web.now, 9))
    (told,) = web.get("/v1/members/shop:7000/explain")["orders"]
    assert told["sentences"][-1] == "89 points expired because the member had done nothing for so long."
    assert (told["lot"]["available"], told["lot"]["expired"]) == (0, 89)


def test_the_balance_is_told_and_adds_up(web: Web) -> None:
    web.play(recorded(placed()), recorded(shipped()), recorded(placed("1002")))
    told = web.get("/v1/members/shop:7000/explain")
    assert told["adds_up"] is True
    assert told["sentences"] == [
        "89 points are earned and wait.",
        "89 points can be used now.",
        "The transfers add up to the balance.",
    ]
    summed: dict[str, int] = {}
    for order in told["orders"]:
        for account, amount in order["net"].items():
            summed[account] = summed.get(account, 0) + amount
    assert summed == {"pending": 89, "available": 89}


def test_a_balance_that_does_not_add_up_says_so(web: Web) -> None:
    web.play(recorded(placed()), recorded(shipped()))
    with web.engine.begin() as connection:
        connection.execute(t.balances.update().values(available=90))
    told = web.get("/v1/members/shop:7000/explain")
    assert told["adds_up"] is False
    assert "available is 90 but its transfers give 89" in told["sentences"][-1]


def test_nothing_is_told_as_nothing(sqlite_web: Web) -> None:
    sqlite_web.play(recorded(customer()))
    told = sqlite_web.get("/v1/members/shop:7000/explain")
    assert told["sentences"][0] == "There are no points."
    assert told["orders"] == []


def test_what_time_did_is_counted_before_it_is_written(web: Web) -> None:
    with web.engine.begin() as connection:
        publish(connection, program({"hold_days": 10}), version=2, at=1)
    web.play(recorded(placed()), recorded(shipped()))
    web.now = NOW + 2 * DAY
    told = web.get("/v1/members/shop:7000/explain")
    assert told["balances"]["available"] == 89
    assert "yet to write down" in told["sentences"][1]
    assert "89 points are available; they never expire." in told["orders"][0]["sentences"]
    assert (
        "89 points are available; they never expire." in web.get("/v1/orders/shop:1001/explain")["sentences"]
    )


def test_a_guests_order_is_explained_without_a_member(web: Web) -> None:
    web.play(recorded(placed(customer=None, email="guest@example.com")))
    told = web.get("/v1/orders/shop:1001/explain")
    assert (told["member"], told["reason"], told["lot"]) == (None, "unknown_member", None)
    assert SENTENCES[Reason.UNKNOWN_MEMBER] in told["sentences"]


def test_an_order_without_a_definition_is_told_in_its_programs_first(sqlite_web: Web) -> None:
    sqlite_web.play(recorded(shipped()))
    with sqlite_web.engine.begin() as connection:
        connection.execute(t.orders.update().values(definition=None))
    assert sqlite_web.get("/v1/orders/shop:1001/explain")["award"] == 0


def test_facts_without_an_order_are_explained(web: Web) -> None:
    web.play(recorded(shipped()))
    told = web.get("/v1/orders/shop:1001/explain")
    assert (told["state"], told["sentences"]) == ("waiting", [SENTENCES[Reason.TOTALS_UNKNOWN]])


@pytest.mark.parametrize("reference", ["shop:1", "1001", "other:1001", ":"])
def test_an_unknown_order_is_404(sqlite_web: Web, reference: str) -> None:
    assert sqlite_web.get(f"/v1/orders/{reference}/explain", status=404)["errors"][0]["field"] == "order"


def test_many_orders_are_summed_beyond_the_newest(sqlite_web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.store.explain.ORDERS_SHOWN", 2)
    for number in range(4):
        sqlite_web.play(recorded(placed(str(number))), now=NOW + number)
    told = sqlite_web.get("/v1/members/shop:7000/explain")
    assert [one["order"] for one in told["orders"]] == ["3", "2"]
    assert (told["more_orders"], told["other_changes"], told["adds_up"]) == (2, {"pending": 178}, True)
    assert "… and 2 older orders, which changed {'pending': 178}." in as_text(told)


def test_transfers_without_an_order_are_listed(sqlite_web: Web) -> None:
    sqlite_web.play(recorded(placed()))
    with sqlite_web.engine.begin() as connection:
        connection.execute(t.transfers.update().values(order_source=None, order_ref=None))
    told = sqlite_web.get("/v1/members/shop:7000/explain")
    assert [one["kind"] for one in told["other_transfers"]] == ["earn"]
    assert told["other_changes"] == {"pending": 89}
    assert "earn 89: issued → pending" in as_text(told)


def test_the_text_says_the_same(web: Web) -> None:
    web.play(recorded(placed()), recorded(shipped()), recorded(refunded()))
    told = web.get("/v1/members/shop:7000/explain")
    text = as_text(told)
    assert text.startswith(f"{told['member']} (shop:7000), main/points\n  59 points can be used now.")
    assert "\nOrder shop:1001, posted\n" in text
    assert "reverse 30: available → revoked (evt_" in text
    for order in told["orders"]:
        assert all(sentence in text for sentence in order["sentences"])


def test_the_text_names_what_is_set_aside(sqlite_web: Web) -> None:
    sqlite_web.play(recorded(shipped()))
    order = {**sqlite_web.get("/v1/orders/shop:1001/explain"), "name": "#1001"}
    lines = order_lines(order)
    assert lines[0] == "Order shop:1001 (#1001), waiting"
    assert lines[-1].endswith("shop test, parked")


def test_decimals_are_kept(web: Web) -> None:
    with web.engine.begin() as connection:
        connection.execute(t.definitions.update().values(decimals=2, unit="EUR"))
        connection.execute(t.configuration.update().values(version=2))
    web.play(recorded(placed()), recorded(shipped()))
    with web.engine.connect() as connection:
        assert load_catalog(connection).definitions[1, 1].decimals == 2
    told = web.get("/v1/members/shop:7000/explain")
    assert told["sentences"][0] == "89.99 EUR can be used now."
    assert Decimal(told["orders"][0]["award"]) == Decimal("89.99")
