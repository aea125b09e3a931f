"""Programs in the console: their state, and every rule in words."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.program.model import Program
from adapter.web.console.words import told
from tests.web.console.conftest import Browser, published

SALE = (
    "sale: 2 for each 1.00 of the order's currency of its lines, not by product 7, in EUR, from 50.00, "
    "for orders since 2026-11-27, for orders until 2026-11-30."
)
SENTENCES: list[tuple[dict[str, Any], str, str]] = [
    ({"earning": {"rate": "1.5"}}, "Earning", "1.5 for each 1.00 of the order's currency."),
    ({"earning": {"rates": {"EUR": "1", "JPY": "0.01"}}}, "Earning",
     "1 for each 1.00 EUR; 0.01 for each 1.00 JPY."),
    ({"earning": {"rate": "1", "tier_multipliers": {"gold": "2"}}}, "Earning",
     "1 for each 1.00 of the order's currency, times 2 on gold."),
    ({"earning": {"rules": [{"name": "shoes", "per_item": "5",
                             "only": {"categories": ["shoes", "boots"], "skus": ["S1"]}}]}},
     "Earning", "shoes: 5 for each unit of its lines, by SKU S1 or category shoes, boots."),
    ({"earning": {"rules": [{"name": "sale", "rate": "2", "minimum": "50", "starts": "2026-11-27", "ends": "2026-11-30",
                             "currencies": ["EUR"], "exclude": {"products": ["7"]}}]}},
     "Earning",
     SALE),
    ({"earning": {"rules": [{"name": "a", "rate": "1"}, {"name": "b", "bonus": 5}], "combine": "best"}}, "Earning",
     "Only the rule that gives most counts."),
    ({"earning": {"rules": [{"name": "a", "rate": "1"}, {"name": "b", "bonus": 5, "first_order": True}]}}, "Earning",
     "b: 5 for the order of the first order."),
    ({"earning": {"rate": "1", "minimum": "10", "cap": 500}}, "Earning", "An order of less than 10.00 earns nothing."),
    ({"earning": {"rate": "1", "cap": 500}}, "Earning", "One order earns at most 500."),
    ({"earning": {"rate": "1", "caps": [{"window": "month", "points": 900}]}}, "Earning",
     "A member earns at most 900 in a month."),
    ({"earning": {"rate": "1", "include_tax": True}}, "Earning", "What is paid for goods counts, with tax."),
    ({"earning": {"rate": "1", "exclude": {"skus": ["GIFT"]}}}, "Earning", "Nothing is earned by SKU GIFT."),
    ({"earning": {"rate": "1", "award_on": "payment.completed", "hold_days": 14}}, "When points can be used",
     "Points of an order are pending at first; they can be used once the order is paid, 14 days later."),
    ({"processing_mode": "batch"}, "When points can be used", "They are posted in batches, every 300 s."),
    ({}, "When points end", "Points never end."),
    ({"expiry": {"months": 12}}, "When points end", "Points end 12 months after they became available."),
    ({"expiry": {"months": 12, "end_of": "year"}}, "When points end",
     "Points end with the year in which 12 months have passed."),
    ({"expiry": {"on": "31-12"}}, "When points end", "Points end on 31-12 (day and month)."),
    ({"expiry": {"inactive_months": 6, "activity": ["earn"]}}, "When points end",
     "All points end when their member does nothing for 6 months (earn counts)."),
    ({}, "Redeeming", "Points buy rewards, not money off."),
    ({"redeeming": {"currency": "EUR", "per_day": "50"}}, "Redeeming", "At most 50.00 EUR a day."),
    ({"redeeming": {"currency": "EUR", "tiers": {"gold": {"per_transaction": "80"}}}}, "Redeeming",
     "On gold at most 80.00 EUR at once."),
    ({"rewards": [{"id": "bag", "kind": "item", "cost": 50, "title": "A bag"}]}, "Rewards", "A bag (item): 50 points."),
    ({"tier_groups": [{"name": "status", "measure": "rolling_points", "window_months": 12, "downgrade": "tier_anniversary",
                       "tiers": [{"name": "basic"}, {"name": "gold", "threshold": "1000"}]}]}, "Tiers",
     "Members of status move up at once, down on the tier anniversary."),
    ({"bonuses": {"sign_up": 10, "birthday": 20}}, "Bonuses", "20 on each birthday."),
    ({"voucher_rules": [{"name": "hello", "when": "enrolled", "percent": "10", "valid_days": 30, "limit_per_member": 1}]},
     "Vouchers", "hello: 10 % for becoming a member, valid for 30 days, at most 1 a member."),
    ({"clawback": {"shortfall": "waived"}}, "Refunds and cancellations",
     "Points of what is refunded or cancelled are taken back; what the balance cannot cover is waived."),
]  # fmt: skip


@pytest.mark.parametrize(("said", "section", "sentence"), SENTENCES, ids=[row[2][:40] for row in SENTENCES])
def test_a_program_is_told_in_words(said: dict[str, Any], section: str, sentence: str) -> None:
    sections = dict(told(Program.model_validate({"name": "main", **said})))
    assert sentence in sections[section]
    assert all(each.endswith(".") for sentences in sections.values() for each in sentences)


@pytest.fixture
def drafted(sqlite_browser: Browser) -> Browser:
    """A program that gives 1, and a draft that would give 3 and never end."""
    published(sqlite_browser.web, 2, state="draft", earning={"rate": "3"}, expiry={})
    return sqlite_browser


def test_a_program_shows_its_state_its_rules_and_its_draft(drafted: Browser) -> None:
    listed = drafted.open("/console/programs").text
    assert "main published version 1, since" in listed
    assert "version 2 at once" in listed
    text = drafted.open("/console/programs/main").text
    assert "In force: version 1 published" in text
    assert "Draft: version 2 draft" in text
    in_force, draft = text.split("Draft: version 2")
    assert "1 for each 1.00 of the order's currency." in in_force
    assert "An order of less than 10.00 earns nothing." in in_force
    assert "Points end 12 months after they became available." in in_force
    assert "3 for each 1.00 of the order's currency." in draft
    assert "Points never end." in draft


@pytest.mark.parametrize(
    ("said", "state"),
    [({"state": "paused"}, "paused"), ({"ends": "2026-11-01"}, "ended"), ({"starts": "2027-01-01"}, "draft")],
)
def test_the_state_is_that_of_now(sqlite_browser: Browser, said: dict[str, str], state: str) -> None:
    published(sqlite_browser.web, 2, **said)
    assert f"main {state} version 2" in sqlite_browser.open("/console/programs").text
