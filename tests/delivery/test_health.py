"""When an endpoint is disabled, how it comes back, and that nothing is lost meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest
from sqlalchemy import select

from adapter.delivery import probe, switching
from adapter.delivery.answer import Answer
from adapter.delivery.health import Health, after, next_probe
from adapter.delivery.settings import DeliverySettings
from adapter.errors import NotFound
from adapter.ids import show
from adapter.messages import MessageType
from adapter.store import tables as t
from adapter.store.configuration import CatalogCache
from adapter.store.database import unit_of_work
from tests.delivery.world import DAY_MS, START, Receiver, World

if TYPE_CHECKING:
    from collections.abc import Callable

OK, FAILED, GONE = Answer(200, 1), Answer(500, 1), Answer(410, 1)
HOUR_MS = 3_600_000
SETTINGS = DeliverySettings(disable_after_s=100, disable_after_failures=3)
DISABLED = Health(False, "failing", 0, 3, HOUR_MS, 0)


@pytest.mark.parametrize(
    ("before", "answers", "expected"),
    [
        (Health(True), [(5, OK)], Health(True)),
        (Health(True), [(5, FAILED)], Health(True, None, 5, 1)),
        (Health(True, None, 5, 7), [(9, OK)], Health(True)),
        # three failures, but within 100 s; then long enough, but only two in a row; then both
        (Health(True), [(0, FAILED), (1, FAILED), (2, FAILED)], Health(True, None, 0, 3)),
        (Health(True), [(0, FAILED), (100_000, FAILED)], Health(True, None, 0, 2)),
        (
            Health(True), [(0, FAILED), (1, FAILED), (100_000, FAILED)],
            Health(False, "failing", 0, 3, 100_000 + HOUR_MS, 100_000),
        ),
        (Health(True), [(7, GONE)], Health(False, "gone", 7, 1, None, 7)),
        (DISABLED, [(HOUR_MS, OK)], Health(True, changed_at=HOUR_MS)),
        (DISABLED, [(HOUR_MS, FAILED)], Health(False, "failing", 0, 4, 2 * HOUR_MS, 0)),
        (DISABLED, [(HOUR_MS, GONE)], Health(False, "gone", 0, 4, None, HOUR_MS)),
        # what a person disabled, or the receiver itself, stays so
        (Health(False, "manual"), [(9, OK)], Health(False, "manual")),
        (Health(False, "gone"), [(9, OK)], Health(False, "gone")),
        (Health(False, "manual"), [(9, FAILED)], Health(False, "manual", 9, 1)),
    ],
)  # fmt: skip
def test_health_after_answers(before: Health, answers: list[tuple[int, Answer]], expected: Health) -> None:
    assert after(before, answers, SETTINGS) == expected


def test_probes_come_after_an_hour_then_twice_as_late_and_at_least_daily() -> None:
    at, probes = 0, []
    for _ in range(8):
        at = next_probe(0, at, SETTINGS)
        probes.append(at // HOUR_MS)
    assert probes == [1, 2, 4, 8, 16, 32, 56, 80]


def test_410_disables_at_once_and_holds_everything(world: World, receivers: Callable[[], Receiver]) -> None:
    gone, watcher = receivers(), receivers()
    gone.answers(410)
    endpoint = world.endpoint(gone.url, concurrency=1)
    world.endpoint(watcher.url, events=["endpoint.disabled"])
    version = CatalogCache(world.engine).get().version
    world.message(times=3)
    dispatcher = world.dispatcher()
    dispatcher.run_once()
    assert len(gone.requests) == 1
    assert [row.state for row in world.deliveries(endpoint=endpoint)] == ["held"] * 3
    row = world.endpoint_row(endpoint)
    assert (row.state, row.disabled_reason, row.probe_at) == ("disabled", "gone", None)
    assert CatalogCache(world.engine).get().version == version + 1

    (told,) = watcher.requests
    said = orjson.loads(told.body)
    assert said["type"] == MessageType.ENDPOINT_DISABLED
    assert said["data"]["endpoint"] == show("end", endpoint)
    assert said["data"]["reason"] == "gone"
    world.now += 400 * DAY_MS
    dispatcher.run_once()
    assert len(gone.requests) == 1  # never tried again by itself
    world.message()
    assert [row.state for row in world.deliveries(endpoint=endpoint)] == ["held"] * 4


def test_a_failing_endpoint_is_disabled_probed_and_healed(world: World, receiver: Receiver) -> None:
    receiver.answers(500)
    endpoint = world.endpoint(receiver.url, schedule=[60] * 50, concurrency=1)
    world.message(times=2)
    dispatcher = world.dispatcher(disable_after_s=600, disable_after_failures=5)
    for _ in range(12):
        dispatcher.run_once()
        world.now += 60_000
    row = world.endpoint_row(endpoint)
    assert (row.state, row.disabled_reason) == ("disabled", "failing")
    assert START <= row.failing_since < START + 5_000
    assert set(world.states()) == {"held"}
    assert dispatcher.counts["disabled"] == 1

    tried = len(receiver.requests)
    world.now = row.probe_at
    dispatcher.run_once()
    assert len(receiver.requests) == tried + 1  # one probe, not all that is held
    assert set(world.states()) == {"held"}
    probe_at = world.endpoint_row(endpoint).probe_at
    assert probe_at - world.now == pytest.approx(HOUR_MS, abs=1_000)

    receiver.answers(200)
    world.now = probe_at
    assert dispatcher.run_once() == 2  # the probe succeeds, and what was held follows
    assert set(world.states()) == {"delivered"}
    row = world.endpoint_row(endpoint)
    assert (row.state, row.disabled_reason, row.failing_since, row.failures) == ("enabled", None, None, 0)
    assert dispatcher.counts["enabled"] == 1


def test_a_probe_that_crashed_is_made_again_after_its_lease(world: World, receiver: Receiver) -> None:
    endpoint = world.endpoint(receiver.url)
    world.message()
    with unit_of_work(world.engine) as connection:
        switching.disable(connection, 1, endpoint, now=world.now)
        connection.execute(
            t.endpoints.update().values(
                disabled_reason="failing", probe_at=world.now, failures=3, failing_since=0
            )
        )
        leases = {(1, endpoint): world.now + 20_000}
        assert len(probe.claim_probes(connection, leases, world.now)) == 1
        assert probe.claim_probes(connection, leases, world.now) == []
        assert probe.claim_probes(connection, {}, world.now) == []
    world.now += 20_000
    assert world.dispatcher().run_once() == 1
    assert world.states() == ["delivered"]
    assert world.endpoint_row(endpoint).state == "enabled"


def test_disabling_by_hand_while_a_request_is_under_way_holds_what_fails(
    world: World, receiver: Receiver
) -> None:
    endpoint = world.endpoint(receiver.url)
    world.message()

    def respond(handler: object, request: object) -> None:
        with unit_of_work(world.engine) as connection:
            switching.disable(connection, 1, endpoint, now=world.now, reason="moving house")
        handler.answer(500)  # type: ignore[attr-defined]  # - our own handler

    receiver.respond = respond
    world.dispatcher().run_once()
    assert world.states() == ["held"]
    assert world.endpoint_row(endpoint).disabled_reason == "moving house"


def test_enabling_may_leave_alone_what_is_held(small_world: World, receiver: Receiver) -> None:
    endpoint = small_world.endpoint(receiver.url)
    small_world.message()
    with unit_of_work(small_world.engine) as connection:
        switching.disable(connection, 1, endpoint, now=START)
        assert switching.enable(connection, 1, endpoint, now=START, release_held=False) == 0
    assert small_world.states() == ["held"]
    with unit_of_work(small_world.engine) as connection, pytest.raises(NotFound):
        switching.enable(connection, 1, 99, now=START)
    with unit_of_work(small_world.engine) as connection, pytest.raises(NotFound):
        switching.disable(connection, 1, 99, now=START)


def test_while_all_is_well_no_endpoint_is_written(small_world: World, receiver: Receiver) -> None:
    small_world.endpoint(receiver.url)
    with small_world.engine.connect() as connection:
        before = connection.execute(select(t.endpoints)).all()
    small_world.message(times=5)
    small_world.now += 1_000
    small_world.dispatcher().run_once()
    with small_world.engine.connect() as connection:
        assert connection.execute(select(t.endpoints)).all() == before
