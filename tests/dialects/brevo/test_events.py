"""Brevo's 24 events of loyalty: what makes each of them heard, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import select

from adapter.clock import iso, parse
from adapter.commands import AttributeVoucher, LinkCustomer, MoveVoucher, TransferPoints
from adapter.engine.sweep import due_balances, due_members, due_vouchers
from adapter.program.model import Program
from adapter.store import tables as t
from connectors.brevo import ids
from connectors.brevo.messages import write
from connectors.brevo.vendor import VENDOR
from tests.shop import DAY, NOW, begin, end, enrol, play, publish, turn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from adapter.commands import Command
    from tests.web.conftest import Web

PROGRAM = {
    "name": "main",
    "title": "VIP Club",
    "balance_definitions": [
        {
            "name": "points",
            "min_amount": "10",
            "max_amount": "500",
            "title": "Stars",
            "metadata": {"colour": "gold"},
        }
    ],
    "expiry": {"days": 60},
    "reminders": {"days_before": [7]},
    "voucher_reminders": {"days_before": [1]},
    "anniversaries": {"every": "month", "days_before": [7]},
    "rewards": [{"id": "mug", "kind": "item", "cost": 100}],
    "tier_groups": [
        {
            "name": "status",
            "measure": "lifetime_points",
            "tiers": [{"name": "basic"}, {"name": "silver", "threshold": "100"}],
        }
    ],
}
JO = 7
CONTACT = ("brevo", "12345")
DAYS = 400


@pytest.fixture
def heard(sqlite_web: Web) -> Callable[..., list[dict[str, Any]]]:
    """Plays commands for a subscribed contact, at instants, with the sweep each day after; returns what was told."""
    web = sqlite_web
    with web.engine.begin() as connection:
        publish(connection, Program.model_validate(PROGRAM), version=2, at=1)
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))
    web.post("/v1/endpoints", {"url": "https://example.com/hook", "format": "brevo"}, status=201)

    def hear(
        *commands: Command, days: int = 0, enrolled: bool = True, last: Sequence[Command] = ()
    ) -> list[dict[str, Any]]:
        whole = [
            enrol(JO, customer=CONTACT, also=(("brevo", "cust_abc123"),), email="jo@example.com")
        ] * enrolled
        web.play(*whole)
        before = len(told(web))
        web.play(*commands)
        for number in range(1, days + 1):
            now = NOW + number * DAY
            for due in (due_balances, due_members, due_vouchers):
                play(web.engine, due(web.engine, now, 10), now=now, vendors={"brevo": VENDOR})
        web.play(*last, now=NOW + days * DAY)
        return told(web)[before:]

    return hear


def told(web: Web) -> list[dict[str, Any]]:
    columns = t.messages.c
    with web.engine.connect() as connection:
        query = select(columns.body).where(columns.format == "brevo").order_by(columns.id)
        return [orjson.loads(body) for body in connection.execute(query).scalars()]


def voucher(number: int = 1, **more: Any) -> AttributeVoucher:
    said = {"member": JO, "program": "main", "code": "GIFT", "percent": "10", **more}
    return AttributeVoucher(env=1, id=number, received_at=NOW, **said)


def move(state: str) -> MoveVoucher:
    return MoveVoucher(env=1, voucher=1, member=JO, state=state, received_at=NOW)


def link(number: int, customer: str, *, linked: bool = True) -> LinkCustomer:
    return LinkCustomer(
        env=1, id=number, member=JO, customer=("brevo", customer), linked=linked, received_at=NOW
    )


def credit(number: int, amount: int, **more: Any) -> Command:
    return begin(JO, number, "credit", amount, complete=True, **more)


def debit(number: int, amount: int, **more: Any) -> Command:
    return begin(JO, number, "debit", amount, complete=True, **more)


SCRIPTS: list[tuple[str, list[Command], int, dict[str, Any]]] = [
    # the event; what happens; for how many days after; what it says besides whose it is
    ("balance_value_updated", [credit(1, 50)], 0, {"value": 50}),
    ("balance_value_updated", [begin(JO, 1, "credit", 50), end(JO, 1, "completed")], 0, {"value": 50}),
    ("balance_minimum_value_reached", [credit(1, 50), debit(2, 40)], 0, {"value": 10}),
    ("balance_maximum_value_reached", [credit(1, 400), credit(2, 100)], 0, {"value": 500}),
    ("balance_expiration_reminder", [credit(1, 50)], 55,
     {"value": 50, "expires_at": iso(NOW + 60 * DAY)}),
    ("balance_value_expired", [credit(1, 50)], 61, {"value": 50}),
    ("tier_association_updated", [credit(1, 100)], 0,
     {"tier": {"id": ids.tier_id(1, "main", "status", "silver"), "name": "silver"},
      "previous_tier": {"id": ids.tier_id(1, "main", "status", "basic"), "name": "basic"}}),
    ("tier_association_month_anniversary", [], 31,
     {"tier": {"id": ids.tier_id(1, "main", "status", "basic"), "name": "basic"},
      "anniversary": {"months": 1, "years": 0, "since": iso(NOW)}}),
    ("tier_association_year_anniversary", [], DAYS, {"anniversary": {"months": 12, "years": 1, "since": iso(NOW)}}),
    ("tier_anniversary_reminder", [], DAYS,
     {"anniversary": {"months": 12, "years": 1, "since": iso(NOW), "in_days": 7}}),
    ("subscription_revoked", [turn(1, JO, "deleted")], 0,
     {"subscription": {"created_at": iso(NOW), "loyalty_subscription_id": "cust_abc123"}}),
    ("subscription_member_added", [link(1, "777")], 0, {"member_contact_id": 777}),
    ("subscription_member_removed", [link(1, "777"), link(2, "777", linked=False)], 0, {"member_contact_id": 777}),
    ("subscription_month_anniversary", [], 31, {"anniversary": {"months": 1, "years": 0, "since": iso(NOW)}}),
    ("subscription_year_anniversary", [], DAYS, {"anniversary": {"months": 12, "years": 1, "since": iso(NOW)}}),
    ("membership_anniversary_reminder", [], DAYS,
     {"anniversary": {"months": 12, "years": 1, "since": iso(NOW), "in_days": 7}}),
    ("voucher_created", [voucher()], 0, {"reward": None}),
    ("voucher_created", [voucher(percent=None, reward="mug")], 0,
     {"reward": {"id": ids.reward_id(1, "main", "mug"), "name": "mug"}}),
    ("voucher_redeemed", [voucher(), move("redeemed")], 0, {"loyalty_program": {
        "id": ids.program_id(1, "main"), "name": "VIP Club"}}),
    ("voucher_revoked", [voucher(), move("revoked")], 0, {}),
    ("voucher_expired", [voucher(ends_at=NOW + 5 * DAY)], 6, {}),
    ("voucher_expiration_reminder", [voucher(ends_at=NOW + 5 * DAY)], 5, {}),
    ("voucher_redeem_unauthorized", [voucher(), move("revoked"), move("redeemed")], 0, {"reason": "voucher_revoked"}),
    ("voucher_attribution_failed", [voucher(), voucher(2)], 0, {"reason": "code_taken"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "commands", "days", "says"),
    SCRIPTS,
    ids=[f"{number}-{one[0]}" for number, one in enumerate(SCRIPTS)],
)
def test_what_makes_it_heard(
    heard: Callable[..., list[dict[str, Any]]],
    event: str,
    commands: list[Command],
    days: int,
    says: dict[str, Any],
) -> None:
    found = [one for one in heard(*commands, days=days) if one["event_name"] == event]
    assert found, event
    body = found[-1]
    assert (body["contact_id"], body["contact_properties"], body["source"]) == (12345, {}, "loyalty")
    assert (
        body["identifiers"].items() >= {"contact_id": 12345, "loyalty_subscription_id": "cust_abc123"}.items()
    )
    assert body["event_id"].startswith("msg_")
    assert parse(body["event_date"]) >= NOW
    assert body["loyalty_program"]["id"] == ids.program_id(1, "main")
    if event.startswith("balance_"):
        assert body["source_event_id"] is None or body["source_event_id"].startswith("txn_")
        assert body["balance_definition"] == {
            "id": ids.definition_id(1, "main", "points"),
            "name": "Stars",
            "unit": "POINTS",
            "metadata": {"colour": "gold"},
        }
    if event.startswith("voucher_"):
        assert body["voucher"]["code"] == "GIFT"
    assert {name: body[name] for name in says} == says


def test_a_debit_that_no_longer_fits(heard: Callable[..., list[dict[str, Any]]]) -> None:
    """35, of which 31 end tomorrow; 25 are held, 10 have to stay. Then only 4 are left beside what is held."""
    poor = [credit(1, 31, points_end_at=NOW + DAY), credit(2, 4), begin(JO, 3, "debit", 25)]
    found = heard(*poor, days=2, last=[end(JO, 3, "completed")])
    (body,) = [one for one in found if one["event_name"] == "balance_transaction_unauthorized"]
    assert (body["value"], body["transaction"]) == (25, {"type": "debit", "value": 25})
    assert "has to stay" in body["reason"]
    assert body["source_event_id"].startswith("txn_")


def test_a_new_subscription_is_told_once(heard: Callable[..., list[dict[str, Any]]]) -> None:
    new = enrol(JO, customer=CONTACT, also=(("brevo", "cust_abc123"),))
    (body,) = [one for one in heard(new, enrolled=False) if one["event_name"] == "subscription_created"]
    assert body["subscription"] == {"created_at": iso(NOW), "loyalty_subscription_id": "cust_abc123"}


@pytest.mark.parametrize(
    "commands",
    [
        [begin(JO, 1, "credit", 50)],
        [begin(JO, 1, "credit", 50), end(JO, 1, "cancelled")],
        [credit(1, 50), begin(JO, 2, "debit", 30), end(JO, 2, "cancelled")],
        [credit(1, 100), TransferPoints(env=1, id=5, credit=6, member=JO, to=JO, definition=1, amount=5, received_at=NOW)],
    ],
    ids=["pending", "cancelled", "a debit that was cancelled", "refused"],
)  # fmt: skip
def test_what_moves_no_balance_is_not_told(
    heard: Callable[..., list[dict[str, Any]]], commands: list[Command]
) -> None:
    """A completed credit is told once; what is pending, held or cancelled never."""
    completed = sum(getattr(one, "complete", False) for one in commands)
    told_of = [one["event_name"] for one in heard(*commands)]
    assert told_of.count("balance_value_updated") == completed


def test_all_24_are_told() -> None:
    known = set(VENDOR.event_types())
    assert len(known) == 24
    apart = {"subscription_created", "balance_transaction_unauthorized"}
    assert {event for event, *_ in SCRIPTS} | apart == known
    assert VENDOR.write is write
