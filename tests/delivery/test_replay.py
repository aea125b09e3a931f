"""Sending again because somebody asked: what is chosen, each sent once, restarts without effect."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import select

from adapter.delivery import replay, switching
from adapter.delivery.replay import Selection
from adapter.errors import NotFound, Refused
from adapter.ids import read
from adapter.store import tables as t
from adapter.store.database import unit_of_work
from tests.delivery.world import START, Receiver, World


def ask(world: World, **wanted: Any) -> dict[str, Any]:
    with unit_of_work(world.engine) as connection:
        return replay.create(connection, 1, Selection(**wanted), now=world.now)


def progress(world: World, asked: dict[str, Any]) -> dict[str, int]:
    number = read("rpl", asked["id"])
    assert number is not None
    with world.engine.connect() as connection:
        shown = replay.progress(connection, 1, number)
    assert shown["selected"] == shown["waiting"] + shown["queued"] + shown["sent"] + shown["failed"]
    assert (shown["finished_at"] is None) == (shown["waiting"] + shown["queued"] > 0)
    return {name: shown[name] for name in ("selected", "waiting", "queued", "sent", "failed")}


def dead_letters(world: World, receiver: Receiver, count: int, **fields: Any) -> int:
    """Make that many dead letters of an endpoint with an empty schedule; the receiver is well afterwards."""
    receiver.answers(500)
    endpoint = world.endpoint(receiver.url, schedule=[], **fields)
    world.message(times=count)
    world.dispatcher().run_once()
    assert world.states() == ["dead"] * count
    receiver.answers(200)
    return endpoint


def sends(receiver: Receiver) -> Counter[str]:
    return Counter(request.headers["webhook-id"] for request in receiver.requests)


def test_250_dead_letters_are_sent_again_each_once_in_chunks(world: World, receiver: Receiver) -> None:
    dead_letters(world, receiver, 250)
    before = sends(receiver)
    asked = ask(world, state="dead")
    assert progress(world, asked) == {"selected": 250, "waiting": 250, "queued": 0, "sent": 0, "failed": 0}
    assert world.dispatcher(replay_chunk=100).run_once() == 250
    assert progress(world, asked) == {"selected": 250, "waiting": 0, "queued": 0, "sent": 250, "failed": 0}
    assert set(world.states()) == {"delivered"}
    assert sends(receiver) == Counter({key: 2 * count for key, count in before.items()})  # the same ids


def test_a_restart_in_the_middle_goes_on_and_repeats_nothing(world: World, receiver: Receiver) -> None:
    dead_letters(world, receiver, 40)
    asked = ask(world, state="dead")
    number = read("rpl", asked["id"]) or 0
    with unit_of_work(world.engine) as connection:  # one chunk was fed, then the process died
        assert replay.feed(connection, 1, number, now=world.now, chunk=15) == 15
        assert replay.feed(connection, 1, number, now=world.now, chunk=15) == 0
    assert progress(world, asked) == {"selected": 40, "waiting": 25, "queued": 15, "sent": 0, "failed": 0}
    assert world.dispatcher().run_once() == 40
    assert progress(world, asked)["sent"] == 40
    assert set(sends(receiver).values()) == {2}
    assert world.dispatcher().run_once() == 0


def test_asking_twice_on_purpose_sends_twice(world: World, receiver: Receiver) -> None:
    dead_letters(world, receiver, 3)
    first, second = ask(world, state="dead"), ask(world, state="dead")
    assert world.dispatcher().run_once() == 6
    assert progress(world, first)["sent"] == progress(world, second)["sent"] == 3
    assert set(sends(receiver).values()) == {3}


def test_a_replay_that_fails_goes_on_by_the_schedule_and_then_counts_as_failed(
    world: World, receiver: Receiver
) -> None:
    receiver.answers(500)
    world.endpoint(receiver.url, schedule=[5])
    world.message()
    dispatcher = world.dispatcher()
    dispatcher.run_once()
    world.now += 5_000
    dispatcher.run_once()
    assert world.states() == ["dead"]
    asked = ask(world, state="dead")
    assert dispatcher.run_once() == 1
    assert (world.states(), progress(world, asked)["queued"]) == (["due"], 1)
    world.now += 5_000
    assert dispatcher.run_once() == 1
    assert (world.states(), progress(world, asked)["failed"]) == (["dead"], 1)
    assert [row.number for row in world.attempts()] == [1, 2, 3, 4]


def test_one_delivery_is_sent_again_though_it_arrived(small_world: World, receiver: Receiver) -> None:
    small_world.endpoint(receiver.url)
    small_world.message()
    dispatcher = small_world.dispatcher()
    dispatcher.run_once()
    (delivery,) = small_world.deliveries()
    asked = ask(small_world, delivery=delivery.id)
    assert dispatcher.run_once() == 1
    assert progress(small_world, asked)["sent"] == 1
    assert set(sends(receiver).values()) == {2}


def test_a_retry_that_waits_is_taken_over_and_sent_now(small_world: World, receiver: Receiver) -> None:
    receiver.answers(500, 200)
    small_world.endpoint(receiver.url, schedule=[86_400])
    small_world.message()
    dispatcher = small_world.dispatcher()
    dispatcher.run_once()
    (delivery,) = small_world.deliveries()
    asked = ask(small_world, delivery=delivery.id)
    assert dispatcher.run_once() == 1
    assert progress(small_world, asked)["sent"] == 1
    assert small_world.states() == ["delivered"]


def test_what_is_about_to_be_sent_is_waited_for_and_then_sent_again(
    small_world: World, receiver: Receiver
) -> None:
    small_world.endpoint(receiver.url)
    small_world.message()
    (delivery,) = small_world.deliveries()
    ask(small_world, delivery=delivery.id)
    assert small_world.dispatcher().run_once() == 2


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ({"state": "dead"}, 4),
        ({"state": "held"}, 0),
        ({"endpoint": 1}, 4),
        ({"endpoint": 2}, 0),
        ({"since": START}, 4),
        ({"since": START + 1_000}, 2),
        ({"until": START + 1_000}, 2),
        ({"since": START, "until": START + 1_000, "type": "member.created"}, 1),
        ({"type": "member.created"}, 2),
        ({"member": 7}, 2),
        ({"member": 8}, 0),
    ],
)
def test_a_filter_chooses(
    small_world: World, receiver: Receiver, wanted: dict[str, Any], chosen: int
) -> None:
    receiver.answers(500)
    endpoint = small_world.endpoint(receiver.url, schedule=[])
    for _ in range(2):
        small_world.message(member=7)
        small_world.message(message_type="member.created")
        small_world.now += 1_000
    small_world.dispatcher().run_once()
    if wanted.get("endpoint") == 1:
        wanted = {"endpoint": endpoint}
    assert ask(small_world, **wanted)["selected"] == chosen


def test_what_was_never_attempted_is_found_and_sent(world: World, receiver: Receiver) -> None:
    world.message(times=3)  # nobody listened yet
    world.message(message_type="member.created")
    endpoint = world.endpoint(receiver.url, events=["balance.*"])
    world.message()
    dispatcher = world.dispatcher()
    dispatcher.run_once()
    asked = ask(world, endpoint=endpoint, missing=True)
    assert asked["selected"] == 3
    assert dispatcher.run_once() == 3
    assert progress(world, asked)["sent"] == 3
    assert sends(receiver).most_common(1)[0][1] == 1
    assert ask(world, endpoint=endpoint, missing=True)["selected"] == 0  # nothing is missing any more


def test_a_replay_waits_while_its_endpoint_is_disabled(world: World, receiver: Receiver) -> None:
    endpoint = dead_letters(world, receiver, 5)
    asked = ask(world, state="dead")
    number = read("rpl", asked["id"]) or 0
    with unit_of_work(world.engine) as connection:
        assert replay.feed(connection, 1, number, now=world.now, chunk=2) == 2
        switching.disable(connection, 1, endpoint, now=world.now)
    assert progress(world, asked)["waiting"] == 5
    assert world.dispatcher().run_once() == 0
    with unit_of_work(world.engine) as connection:
        switching.enable(connection, 1, endpoint, now=world.now, release_held=False)
    assert world.dispatcher().run_once() == 5
    assert progress(world, asked)["sent"] == 5


def test_410_during_a_replay_puts_its_items_back(small_world: World, receiver: Receiver) -> None:
    dead_letters(small_world, receiver, 3, concurrency=1)
    receiver.answers(410)
    asked = ask(small_world, state="dead")
    small_world.dispatcher().run_once()
    assert progress(small_world, asked) == {"selected": 3, "waiting": 3, "queued": 0, "sent": 0, "failed": 0}
    assert set(small_world.states()) == {"held"}


def test_the_selection_is_frozen(small_world: World, receiver: Receiver) -> None:
    dead_letters(small_world, receiver, 2)
    asked = ask(small_world, state="dead")
    receiver.answers(500)
    small_world.message()
    small_world.dispatcher().run_once()
    assert progress(small_world, asked)["failed"] == 2  # and the third dead letter is not part of it


def test_an_empty_selection_is_finished_at_once(small_world: World) -> None:
    asked = ask(small_world, state="dead")
    assert progress(small_world, asked) == {"selected": 0, "waiting": 0, "queued": 0, "sent": 0, "failed": 0}


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({}, "filter"),
        ({"state": "lost"}, "state"),
        ({"missing": True}, "endpoint"),
        ({"missing": True, "endpoint": 1, "state": "dead"}, "missing"),
    ],
)
def test_a_selection_without_sense_is_refused(small_world: World, wanted: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as refused:
        ask(small_world, **wanted)
    assert refused.value.field == field


def test_unknown_ids_are_not_found(small_world: World) -> None:
    with pytest.raises(NotFound, match="no delivery dlv_"):
        ask(small_world, delivery=5)
    with pytest.raises(NotFound, match="no endpoint end_"):
        ask(small_world, endpoint=5, missing=True)
    with unit_of_work(small_world.engine) as connection, pytest.raises(NotFound, match="no replay rpl_"):
        replay.progress(connection, 1, 5)
    with small_world.engine.connect() as connection:
        assert connection.execute(select(t.replays)).all() == []


def test_replays_are_listed_newest_first_with_their_filters(small_world: World, receiver: Receiver) -> None:
    endpoint = dead_letters(small_world, receiver, 1)
    made = []
    for wanted in ({"state": "dead"}, {"endpoint": endpoint, "since": START}):
        small_world.now += 1
        made.append(ask(small_world, **wanted)["id"])
    with small_world.engine.connect() as connection:
        shown = replay.listed(connection, 1)
        assert [each["id"] for each in shown] == made[::-1]
        assert shown[0]["filter"]["since"] == "2027-01-15T08:00:00.000Z"
        assert shown[0]["filter"]["endpoint"].startswith("end_")
        assert replay.listed(connection, 1, limit=1, before=read("rpl", made[1])) == shown[1:]
