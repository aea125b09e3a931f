"""Lines: what is claimed at once for a prompt endpoint is sent one after the other, and given back where that ends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from adapter.delivery import claim, switching
from adapter.delivery.answer import Answer
from adapter.delivery.claim import Claimed
from adapter.delivery.crew import Crew, Line, Sent
from adapter.delivery.sender import Parcel
from adapter.store.database import unit_of_work
from tests.delivery.test_slots import endpoint
from tests.delivery.world import START

if TYPE_CHECKING:
    from tests.delivery.world import Handler, Receiver, Request, World

TIMEOUT_MS = 15_000
PROMPT = Answer(200, 20)


class Answering:
    """In place of a sender: gives these answers in turn, and lets time pass with each."""

    def __init__(self, *answers: Answer, passing_ms: int = 0) -> None:
        self.now = START
        self.passing_ms = passing_ms
        self.answers = iter(answers)

    def clock(self) -> int:
        return self.now

    def send(self, _parcel: Parcel, _now: int) -> Answer:
        self.now += self.passing_ms
        return next(self.answers)

    def close(self) -> None:
        """There is nothing to close."""


def line(length: int, lease_until: int = START + 2 * TIMEOUT_MS) -> Line:
    """Return a line of deliveries 1, 2, 3, …"""
    given: dict[str, Any] = {
        "env": 1, "endpoint": 1, "member": None, "attempts": 0, "step": 0, "fence": 1, "replay": None, "body": b"",
        "due_at": START, "lease_until": lease_until,
    }  # fmt: skip
    return [
        (
            Claimed(id=number, message=number, **given),
            Parcel(endpoint(1), False, number, b""),
        )
        for number in range(1, length + 1)
    ]


def told_of(
    sender: Answering, sent: Line, *, stopping: bool = False
) -> list[tuple[int, int | None, list[int]]]:
    """Return for each request its delivery, the one that follows it, and those that are not sent."""
    told: list[Sent] = []
    crew = Crew(1, sender, sender.clock, told.append)  # type: ignore[arg-type]  # - it only ever sends
    if stopping:
        crew.finish()
    crew.start(sent)
    crew.close()
    return [
        (
            each.attempt.claimed.id,
            None if each.following is None else each.following.id,
            [left.id for left in each.unsent],
        )
        for each in told
    ]


def test_a_line_is_sent_one_after_the_other() -> None:
    assert told_of(Answering(PROMPT, PROMPT, PROMPT), line(3)) == [(1, 2, []), (2, 3, []), (3, None, [])]


@pytest.mark.parametrize(
    "answer", [Answer(500, 20), Answer(None, 20, "no answer"), Answer(200, 251), Answer(410, 1)]
)
def test_a_line_ends_with_an_answer_that_is_late_or_no_success(answer: Answer) -> None:
    assert told_of(Answering(PROMPT, answer), line(4)) == [(1, 2, []), (2, None, [3, 4])]


def test_a_line_ends_when_the_dispatcher_stops() -> None:
    assert told_of(Answering(PROMPT), line(2), stopping=True) == [(1, None, [2])]


def test_nothing_is_sent_whose_claim_might_run_out_meanwhile() -> None:
    sender = Answering(PROMPT, PROMPT, passing_ms=TIMEOUT_MS // 2)
    assert told_of(sender, line(3)) == [(1, 2, []), (2, None, [3])]


def test_what_is_given_back_is_due_as_it_was(world: World, receiver: Receiver) -> None:
    one, other = world.endpoint(receiver.url), world.endpoint(f"{receiver.url}/other")
    world.message(times=3)
    due_at, world.now = world.now, world.now + 1000
    keys = {(1, one): 2, (1, other): 1}
    with unit_of_work(world.engine) as connection:
        rows = claim.candidates(connection, keys, world.now)
        claimed = claim.claim(connection, rows, dict.fromkeys(keys, world.now + TIMEOUT_MS), world.now)
        switching.disable(connection, 1, other, now=world.now)
    stolen = next(each for each in claimed if each.endpoint == one)
    with unit_of_work(world.engine) as connection:
        connection.exec_driver_sql(f"UPDATE deliveries SET fence = 2 WHERE id = {stolen.id}")
        claim.give_back(connection, claimed, world.now)

    states = {
        row.id: (row.endpoint, row.state, row.next_attempt_at, row.lease_until) for row in world.deliveries()
    }
    mine = [states[each.id] for each in claimed if each is not stolen]
    assert sorted(mine) == sorted([(one, "due", due_at, None), (other, "held", due_at, None)])
    assert states[stolen.id][1] == "claimed"
    assert world.dispatcher().run_once() == 2


def test_a_prompt_endpoint_has_several_claimed_for_each_request_in_flight(
    world: World, receiver: Receiver
) -> None:
    claimed: list[int] = []
    alone: list[bool] = []
    lock = threading.Lock()

    def look(handler: Handler, request: Request) -> None:
        alone.append(lock.acquire(blocking=False))
        claimed.append(len(world.deliveries(state="claimed")))
        lock.release()
        handler.answer(200)

    receiver.respond = look
    world.endpoint(receiver.url, concurrency=1)
    world.message(times=9)
    assert world.dispatcher(line=4).run_once() == 9
    assert alone == [True] * 9
    assert max(claimed) == 4


def test_a_failure_ends_the_line_and_the_rest_is_claimed_again(world: World, receiver: Receiver) -> None:
    receiver.answers(200, 200, 500)
    world.endpoint(receiver.url, concurrency=1)
    world.message(times=6)
    assert world.dispatcher(line=4).run_once() == 6
    assert [(row.state, row.fence, row.attempts) for row in world.deliveries()] == [
        ("delivered", 1, 1), ("delivered", 1, 1), ("due", 1, 1), ("due", 2, 1), ("due", 2, 1), ("due", 1, 1),
    ]  # fmt: skip


def test_stopping_gives_back_what_was_not_sent(world: World, receiver: Receiver) -> None:
    world.endpoint(receiver.url, concurrency=1)
    world.message(times=5)
    dispatcher = world.dispatcher(line=4)

    def stop_then_answer(handler: Handler, request: Request) -> None:
        if len(receiver.requests) == 2:
            dispatcher._crew.finish()
        handler.answer(200)

    receiver.respond = stop_then_answer
    dispatcher._turn()
    dispatcher._gather(None)
    dispatcher._turn()
    dispatcher.drain()
    assert [(row.state, row.next_attempt_at) for row in world.deliveries()][2:] == [("due", START)] * 3
