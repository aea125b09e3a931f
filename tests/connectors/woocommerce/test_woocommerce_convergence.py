"""Whatever snapshots of an order arrive, in whatever order: the facts are those of the newest state."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from adapter.book.facts import NO_FACTS, Facts, dump, merge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from adapter.events import Event

    Normalize = Callable[..., tuple[Event, ...]]

REFUND = {"id": 2001, "reason": "chipped", "total": "-8.10"}
REST = {"id": 2002, "reason": "all of it", "total": "-69.24"}

PAID = {"date_paid_gmt": "2026-10-01T09:05:00"}
DONE = {**PAID, "date_completed_gmt": "2026-10-02T08:00:00"}
LIFE: tuple[dict[str, Any], ...] = (
    {"status": "pending", "date_modified_gmt": "2026-10-01T09:00:00"},
    {"status": "failed", "date_modified_gmt": "2026-10-01T09:02:00"},
    {"status": "processing", "date_modified_gmt": "2026-10-01T09:05:00", **PAID},
    {"status": "completed", "date_modified_gmt": "2026-10-02T08:00:00", **DONE},
    {"status": "completed", "date_modified_gmt": "2026-10-03T08:00:00", **DONE, "refunds": [REFUND]},
    {"status": "refunded", "date_modified_gmt": "2026-10-04T08:00:00", **DONE, "refunds": [REST, REFUND]},
)


def merged(webhooks: Iterable[tuple[Event, ...]]) -> Facts:
    facts = NO_FACTS
    for event in itertools.chain.from_iterable(webhooks):
        facts = merge(facts, "shop", event)
    return facts


@given(data=st.data())
def test_any_order_and_any_repetition_of_snapshots_ends_in_the_same_facts(
    normalize: Normalize, data: st.DataObject
) -> None:
    webhooks = [
        normalize("order.updated", **{"refunds": [], "date_completed": None, "date_paid": None, **state})
        for state in LIFE
    ]
    told = data.draw(st.permutations([*webhooks, *data.draw(st.lists(st.sampled_from(webhooks)))]))
    assert dump(merged(told)) == dump(merged(webhooks))


def test_the_newest_snapshot_alone_tells_as_much_as_all_of_them(normalize: Normalize) -> None:
    """Only when a refund was first seen can differ, and nothing is decided by that."""
    webhooks = [
        normalize("order.updated", **{"refunds": [], "date_completed": None, "date_paid": None, **state})
        for state in LIFE
    ]
    newest = merged(webhooks[-1:]).sources["shop"]
    for size in range(len(webhooks)):
        for earlier in itertools.combinations(webhooks[:-1], size):
            facts = merged([webhooks[-1], *earlier]).sources["shop"]
            assert facts.totals == newest.totals
            assert facts.cancellation == newest.cancellation
            assert facts.payments == newest.payments
            assert facts.shipments == newest.shipments
            assert {refund.id: refund.amount for refund in facts.refunds.values()} == {
                "2001": Decimal("8.10"),
                "2002": Decimal("69.24"),
            }


def test_an_order_comes_back_from_failed_and_from_the_trash(normalize: Normalize) -> None:
    failed = normalize("order.updated", status="failed", date_modified_gmt="2026-10-01T09:02:00")
    paid = normalize("order.updated", status="processing", date_modified_gmt="2026-10-01T09:05:00")
    deleted = normalize("order.deleted")  # arrived at noon of 5 October
    restored = normalize("order.restored", date_modified_gmt="2026-10-05T12:00:07")
    for webhooks, off in (
        ([failed, paid], False),
        ([failed, paid, deleted], True),
        ([paid, deleted, restored], False),
    ):
        for told in itertools.permutations(webhooks):
            cancellation = merged(told).sources["shop"].cancellation
            assert cancellation is not None
            assert cancellation.cancelled is off


def test_the_first_snapshot_that_shows_a_refund_dates_it(normalize: Normalize) -> None:
    early = normalize("order.updated", date_modified_gmt="2026-10-03T08:00:00")
    late = normalize("order.updated", date_modified_gmt="2026-10-04T08:00:00")
    (shown,) = merged([late, early]).sources["shop"].refunds.values()
    assert shown.at == early[0].version
    before = merged([early])
    assert all(merge(before, "shop", event) is before for event in late if event.refund)
