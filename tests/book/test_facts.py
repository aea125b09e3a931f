"""Merging facts is commutative, associative and idempotent: the property that everything else rests on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapter.book.facts import NO_FACTS, Facts, dump, load, merge, weightiest
from adapter.events import Event, PaymentState, RefundState
from tests.engine.test_convergence import lives
from tests.shop import NOW, cancelled, paid, placed, refunded


def merged(events: list[Event]) -> Facts:
    facts = NO_FACTS
    for event in events:
        facts = merge(facts, "shop", event)
    return facts


@given(lives("1001"), st.data())
def test_order_and_repetition_do_not_matter(life: list[Event], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(life), max_size=4))
    shuffled = data.draw(st.permutations([*life, *again]))
    assert dump(merged(shuffled)) == dump(merged(life))


@given(lives("1001"))
def test_facts_survive_being_stored(life: list[Event]) -> None:
    facts = merged(life)
    assert load(dump(facts)) == facts


def test_a_repeat_tells_nothing_new() -> None:
    facts = merge(NO_FACTS, "shop", placed())
    assert merge(facts, "shop", placed()) is facts


def test_at_one_instant_the_later_state_wins() -> None:
    done, failed = paid(at=NOW), paid(at=NOW, state=PaymentState.FAILED)
    payments = merged([done, failed]).sources["shop"].payments
    assert payments["p1"].state is PaymentState.COMPLETED
    back, gone = refunded(at=NOW), refunded(at=NOW, state=RefundState.FAILED)
    assert merged([gone, back]).sources["shop"].refunds["r1"].state is RefundState.FAILED
    on, off = cancelled(at=NOW, off=False), cancelled(at=NOW)
    cancellation = merged([off, on]).sources["shop"].cancellation
    assert cancellation is not None
    assert cancellation.cancelled


def test_an_order_remembers_nothing_personal_of_a_known_customer() -> None:
    facts = merge(NO_FACTS, "shop", placed(email="ada@example.com"))
    assert "ada" not in dump(facts)
    guest = merge(NO_FACTS, "shop", placed(customer=None, email="ada@example.com"))
    assert "ada@example.com" in dump(guest)


def test_the_weightiest_event_names_what_a_webhook_was_about() -> None:
    assert weightiest([placed(), refunded(), paid()]).type == "order.refunded"
