"""How places are dealt out: turns, shares, windows, and a lane of their own for slow endpoints."""

from __future__ import annotations

from itertools import count

from adapter.catalog import Endpoint
from adapter.delivery.slots import Slots

_tickets = count(1)


def endpoint(number: int, *, concurrency: int = 8, rate_per_s: int | None = None) -> Endpoint:
    return Endpoint(
        env=1,
        id=number,
        url="https://example.com",
        secrets=(),
        events=("*",),
        format="native",
        schedule=(),
        timeout_s=15,
        ordered=False,
        headers={},
        concurrency=concurrency,
        rate_per_s=rate_per_s,
        description="",
        state="enabled",
        disabled_reason=None,
    )


def slots(workers: int = 32, slow_workers: int = 8) -> Slots:
    return Slots(workers=workers, slow_workers=slow_workers, slow_after_s=1.0)


def begin(held: Slots, each: Endpoint, now_s: float, times: int = 1) -> list[tuple[int, int]]:
    tickets = [(next(_tickets), 1) for _ in range(times)]
    for ticket in tickets:
        held.begin(each, ticket, now_s)
    return tickets


def answer(held: Slots, each: Endpoint, now_s: float = 0.0) -> None:
    """Let one request be answered at once, so that the window opens."""
    (ticket,) = begin(held, each, now_s)
    held.end((each.env, each.id), ticket, answered=True, now_s=now_s)


def proven(held: Slots, each: Endpoint, now_s: float = 0.0) -> Endpoint:
    for _ in range(5):
        answer(held, each, now_s)
    return each


def test_an_unknown_endpoint_begins_with_two_and_doubles_with_each_answer() -> None:
    held, one = slots(), endpoint(1, concurrency=100)
    for window in (2, 4, 8, 16, 32, 32):
        assert held.deal([one], 0.0) == {(1, 1): window}
        answer(held, one)


def test_no_answer_closes_the_window() -> None:
    held, one = slots(), proven(slots(), endpoint(1))
    for _ in range(5):
        answer(held, one)
    assert held.deal([one], 0.0) == {(1, 1): 8}
    (ticket,) = begin(held, one, 0.0)
    held.end((1, 1), ticket, answered=False, now_s=0.1)
    assert held.deal([one], 0.1) == {(1, 1): 2}


def test_places_are_shared_among_those_that_are_busy() -> None:
    held = slots(workers=8)
    many = [proven(held, endpoint(number)) for number in range(1, 5)]
    assert held.deal(many, 0.0) == {(1, 1): 2, (1, 2): 2, (1, 3): 2, (1, 4): 2}
    begin(held, many[0], 0.0, times=2)
    assert held.deal(many, 0.0) == {(1, 2): 2, (1, 3): 2, (1, 4): 2}
    assert held.flying() == {(1, 1): 2}


def test_more_endpoints_than_places_take_turns() -> None:
    held = slots(workers=2)
    three = [proven(held, endpoint(number)) for number in (1, 2, 3)]
    served = []
    for _ in range(6):
        dealt = held.deal(held.open_to(three, 0.0), 0.0)
        for _env, number in dealt:
            answer(held, three[number - 1])
            served.append(number)
    assert served == [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]


def test_a_request_that_waits_makes_its_endpoint_slow_and_frees_the_places() -> None:
    held = slots(workers=4, slow_workers=8)
    hanging, other = endpoint(1), endpoint(2)
    tickets = begin(held, hanging, 0.0, times=4)
    assert held.free(1.0) == 0
    assert held.deal([other], 1.0) == {}
    assert held.free(1.1) == 4  # its four requests have threads of the slow lane now
    assert held.deal([other, hanging], 1.1) == {(1, 2): 2}
    for ticket in tickets:
        held.end((1, 1), ticket, answered=False, now_s=5.0)
    assert held.deal([hanging], 5.0) == {(1, 1): 1}  # one at a time from now on
    (ticket,) = begin(held, hanging, 5.0)
    assert held.open_to([hanging], 5.0) == []
    held.end((1, 1), ticket, answered=True, now_s=5.1)
    assert held.deal([hanging], 5.1) == {(1, 1): 4}  # it answered in time: it is not slow any more


def test_slow_endpoints_use_half_of_their_lane_and_the_rest_takes_in_new_ones() -> None:
    held = slots(workers=4, slow_workers=8)
    slow = [endpoint(number) for number in range(1, 11)]
    for each in slow:
        (ticket,) = begin(held, each, 0.0)
        held.end((1, each.id), ticket, answered=True, now_s=2.0)  # answers, but late
    dealt = held.deal(slow, 2.0)
    assert dealt == {(1, number): 1 for number in range(1, 5)}
    for each in slow[:4]:
        begin(held, each, 2.0)
    assert held.deal(slow[4:], 2.0) == {}
    assert held.free(2.0) == 4


def test_what_overflows_the_slow_lane_counts_against_the_workers() -> None:
    held = slots(workers=4, slow_workers=2)
    for number in (1, 2, 3):
        begin(held, endpoint(number), 0.0)
    assert held.free(0.5) == 1
    assert held.free(2.0) == 3  # two are in the slow lane, one does not fit


def test_a_rate_limit_counts_the_last_second() -> None:
    held, one = slots(), endpoint(1, rate_per_s=3)
    for at in (0.0, 0.4):
        answer(held, one, at)
    assert held.deal([one], 0.5) == {(1, 1): 1}
    answer(held, one, 0.5)
    assert held.open_to([one], 0.99) == []
    assert held.deal([one], 1.0) == {(1, 1): 1}
    assert held.deal([one], 1.41) == {(1, 1): 2}


def test_lines_are_for_endpoints_that_are_prompt_and_have_no_rate_limit() -> None:
    held = Slots(workers=32, slow_workers=8, slow_after_s=1.0, line=16)
    one, limited = endpoint(1), endpoint(2, rate_per_s=10)
    lines = []
    for taken_s in (None, 0.0, 0.02, 0.05, 0.2, 0.25):
        for each in (one, limited):
            (ticket,) = begin(held, each, 0.0)
            held.end((1, each.id), ticket, answered=True, now_s=0.1, taken_s=taken_s)
        lines.append((held.line(one), held.line(limited)))
    assert lines == [(1, 1), (16, 1), (10, 1), (4, 1), (1, 1), (1, 1)]
