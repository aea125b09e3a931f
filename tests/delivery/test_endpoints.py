"""Managing endpoints: what is accepted, what is shown, and that each change is noticed."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from adapter.delivery import endpoints, listing
from adapter.delivery.listing import DeliveryFilter
from adapter.errors import Conflict, NotFound, Refused
from adapter.ids import read, show
from adapter.store import tables as t
from adapter.store.configuration import CatalogCache
from adapter.store.database import unit_of_work
from tests.delivery.world import DAY_MS, SECRET, START, Receiver, World

URL = "https://example.com/hook"


def add(world: World, env: int = 1, **given: Any) -> dict[str, Any]:
    with unit_of_work(world.engine) as connection:
        return endpoints.add(connection, env, {"url": URL, **given}, now=world.now)


def number(view: dict[str, Any]) -> int:
    found = read("end", view["id"])
    assert found is not None
    return found


def test_a_new_endpoint_shows_its_secret_once(world: World) -> None:
    view = add(world, headers={"Authorization": "Bearer hush"}, description="the till")
    assert view["secret"].startswith("whsec_")
    assert view["timeout"] == 15
    assert view["schedule"] == [5, 60, 300, 1800, 7200, 21600, 43200, 86400, 86400]
    assert (view["events"], view["state"], view["concurrency"]) == (["*"], "enabled", 8)
    with world.engine.connect() as connection:
        later = endpoints.show_one(connection, 1, number(view))
        assert endpoints.listed(connection, 1) == [later]
        assert endpoints.listed(connection, 2) == []
    assert later == {name: value for name, value in view.items() if name != "secret"}
    assert later["headers"] == {"Authorization": "hidden"}
    assert view["secret"] not in str(later)
    assert "hush" not in str(later)
    kept = CatalogCache(world.engine).get().endpoints[1, number(view)]
    assert kept.headers == {"Authorization": "Bearer hush"}
    assert kept.secrets[0].secret == view["secret"]


@pytest.mark.parametrize(
    ("given", "field", "reason"),
    [
        ({"url": "ftp://example.com"}, "url", "must look like"),
        ({"url": "https://"}, "url", "must look like"),
        ({"url": "example.com/hook"}, "url", "must look like"),
        ({"url": "https://user:pw@example.com/"}, "url", "user name or password"),
        ({"url": "https://example.com/#top"}, "url", "fragment"),
        ({"url": "https://example.com:99999/"}, "url", "not a URL"),
        ({"url": "https://[::1/"}, "url", "not a URL"),
        ({"url": "https://exa mple.com/"}, "url", "plain ASCII"),
        ({"url": "https://example.com/\r\nx"}, "url", "plain ASCII"),
        ({"url": "https://münchen.de/"}, "url", "plain ASCII"),
        ({"url": "https://example.com/" + "x" * 2048}, "url", "at most 2048"),
        ({"url": 5}, "url", "string"),
        ({"events": []}, "events", "at least 1"),
        ({"events": ["order.*"]}, "events", "matches no message type"),
        ({"events": ["balance"]}, "events", "matches no message type"),
        ({"events": ["Balance.Updated"]}, "events", "matches no message type"),
        ({"events": ["ba*"]}, "events", "matches no message type"),
        ({"secrets": ["v1," + SECRET]}, "secrets", "leave out the 'v1,'"),
        ({"secrets": [SECRET] * 11}, "secrets", "at most 10"),
        ({"schedule": [-1]}, "schedule", "greater than or equal to 0"),
        ({"schedule": [1] * 51}, "schedule", "at most 50"),
        ({"timeout": 0}, "timeout", "greater than or equal to 1"),
        ({"timeout": 31}, "timeout", "less than or equal to 30"),
        ({"concurrency": 0}, "concurrency", "greater than or equal to 1"),
        ({"rate_per_s": 0}, "rate_per_s", "greater than or equal to 1"),
        ({"format": "Native!"}, "format", "match pattern"),
        ({"headers": {"Webhook-Id": "x"}}, "headers", "set by the adapter"),
        ({"headers": {"HOST": "x"}}, "headers", "set by the adapter"),
        ({"headers": {"Content-Type": "x"}}, "headers", "set by the adapter"),
        ({"headers": {"x": "a\r\nb: c"}}, "headers", "on one line"),
        ({"headers": {"x": " "}}, "headers", "on one line"),
        ({"headers": {"x": "ü"}}, "headers", "printable ASCII"),
        ({"headers": {"x y": "a"}}, "headers", "not a header's name"),
        ({"headers": {f"x-{n}": "a" for n in range(21)}}, "headers", "at most 20"),
        ({"colour": "red"}, "colour", "not permitted"),
    ],
)
def test_bad_fields_are_refused_by_name(
    small_world: World, given: dict[str, Any], field: str, reason: str
) -> None:
    with pytest.raises(Refused, match=reason) as refused:
        add(small_world, **given)
    assert (refused.value.field, refused.value.code) == (field, "endpoint_invalid")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "https://localhost/", "https://a.localhost./", "https://127.0.0.1/", "https://127.1/",
        "https://2130706433/", "https://0x7f.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://10.0.0.1/",
        "https://169.254.169.254/latest", "https://192.168.1.1:8443/",
    ],
)  # fmt: skip
def test_a_live_environment_takes_public_https_urls_only(small_world: World, url: str) -> None:
    small_world.environment(2, "live")
    with pytest.raises(Refused) as refused:
        add(small_world, env=2, url=url)
    assert refused.value.field == "url"
    assert add(small_world, env=1, url=url)["url"] == url
    assert add(small_world, env=2, url="https://8.8.8.8/hook")["state"] == "enabled"


def test_every_change_is_noticed_by_every_process(world: World) -> None:
    cache = CatalogCache(world.engine, 0.0)
    seen = [cache.get().version]

    def noticed() -> bool:
        seen.append(cache.get().version)
        return seen[-1] > seen[-2]

    endpoint = number(add(world))
    assert noticed()
    with unit_of_work(world.engine) as connection:
        endpoints.change(connection, 1, endpoint, {"timeout": 20}, now=START)
    assert noticed()
    with unit_of_work(world.engine) as connection:
        endpoints.rotate(connection, 1, endpoint, now=START)
    assert noticed()
    with unit_of_work(world.engine) as connection:
        endpoints.remove(connection, 1, endpoint, now=START)
    assert noticed()
    assert cache.get().endpoints == {}


def test_a_change_leaves_the_other_fields_alone(world: World) -> None:
    endpoint = number(add(world, headers={"x": "1"}, timeout=9, ordered=True))
    with unit_of_work(world.engine) as connection:
        view = endpoints.change(
            connection, 1, endpoint, {"events": ["member.*"], "rate_per_s": 3}, now=START + 5
        )
    assert (view["events"], view["timeout"], view["ordered"], view["rate_per_s"]) == (
        ["member.*"],
        9,
        True,
        3,
    )
    kept = CatalogCache(world.engine).get().endpoints[1, endpoint]
    assert (kept.headers, len(kept.secrets)) == ({"x": "1"}, 1)
    with unit_of_work(world.engine) as connection:
        endpoints.change(connection, 1, endpoint, {"secrets": [SECRET]}, now=START + 5)
        with pytest.raises(Refused):
            endpoints.change(connection, 1, endpoint, {"timeout": 99}, now=START)
    assert [each.secret for each in CatalogCache(world.engine).get().endpoints[1, endpoint].secrets] == [
        SECRET
    ]


def test_rotation_overlaps_and_the_old_secrets_run_out(world: World) -> None:
    endpoint = number(add(world, secrets=[SECRET]))

    def rotate(**options: Any) -> dict[str, Any]:
        with unit_of_work(world.engine) as connection:
            return endpoints.rotate(connection, 1, endpoint, now=world.now, **options)

    def kept() -> list[tuple[str, int | None]]:
        found = CatalogCache(world.engine).get().endpoints[1, endpoint].secrets
        return [(each.secret, each.expires_at) for each in found]

    first = rotate()["secret"]
    assert kept() == [(first, None), (SECRET, START + DAY_MS)]
    world.now += DAY_MS // 2
    second = rotate(overlap_s=7 * 86_400)["secret"]  # the oldest keeps its earlier end
    assert kept() == [(second, None), (first, world.now + 7 * DAY_MS), (SECRET, START + DAY_MS)]
    world.now = START + DAY_MS
    view = rotate(overlap_s=0, secret=SECRET)
    assert kept() == [(SECRET, None)]
    assert view["secret"] == SECRET
    assert view["secrets"] == [{"hint": "whsec_MfKQ…", "expires_at": None}]
    with pytest.raises(Refused, match="overlap"):
        rotate(overlap_s=7 * 86_400 + 1)
    with pytest.raises(Refused, match="secrets"):
        rotate(secret="hush")
    for _ in range(9):
        rotate()
    with pytest.raises(Conflict, match="ten secrets"):
        rotate()


def test_a_test_message_goes_to_one_endpoint_whatever_its_filter(world: World, receiver: Receiver) -> None:
    chosen = world.endpoint(receiver.url + "/chosen", events=["member.*"])
    world.endpoint(receiver.url + "/other")
    with unit_of_work(world.engine) as connection:
        sent = endpoints.send_test(connection, 1, chosen, now=START)
    assert world.dispatcher().run_once() == 1
    (request,) = receiver.requests
    assert request.path == "/hook/chosen"
    assert request.headers["webhook-id"] == sent["message"]
    assert b'"type":"endpoint.test"' in request.body
    with unit_of_work(world.engine) as connection:
        connection.execute(update(t.endpoints).values(state="disabled"))
        with pytest.raises(Conflict, match="disabled"):
            endpoints.send_test(connection, 1, chosen, now=START)


def test_a_removed_endpoint_leaves_dead_letters(world: World, receiver: Receiver) -> None:
    endpoint = world.endpoint(receiver.url)
    world.message(times=2)
    with unit_of_work(world.engine) as connection:
        endpoints.remove(connection, 1, endpoint, now=START)
    assert world.dispatcher().run_once() == 0
    with world.engine.connect() as connection:
        shown = listing.deliveries(connection, 1, DeliveryFilter())
    assert [(each["state"], each["last_error"], each["url"]) for each in shown] == [
        ("dead", "the endpoint was removed", None)
    ] * 2


def test_unknown_ids_are_not_found(small_world: World) -> None:
    with unit_of_work(small_world.engine) as connection:
        for call in (
            lambda: endpoints.show_one(connection, 1, 5),
            lambda: endpoints.change(connection, 1, 5, {}, now=START),
            lambda: endpoints.rotate(connection, 1, 5, now=START),
            lambda: endpoints.remove(connection, 1, 5, now=START),
            lambda: endpoints.send_test(connection, 1, 5, now=START),
            lambda: endpoints.add(connection, 9, {"url": URL}, now=START),
            lambda: listing.delivery(connection, 1, 5),
        ):
            with pytest.raises(NotFound):
                call()


def test_deliveries_are_listed_with_what_happened(world: World, receiver: Receiver) -> None:
    receiver.answers(500, 200)
    endpoint = world.endpoint(receiver.url, concurrency=1)
    (first,) = world.message(member=7)
    world.now += 1_000
    world.message(member=8)
    world.dispatcher().run_once()

    def found(**wanted: Any) -> list[Any]:
        with world.engine.connect() as connection:
            return [each["state"] for each in listing.deliveries(connection, 1, DeliveryFilter(**wanted))]

    assert found() == ["delivered", "due"]  # the newest first
    assert found(limit=1) == ["delivered"]
    assert found(before=world.deliveries()[1].id) == ["due"]
    assert (
        found(state="due") == found(member=7) == found(until=START + 1_000) == found(message=first) == ["due"]
    )
    assert found(since=START + 1_000) == found(member=8) == ["delivered"]
    assert found(endpoint=endpoint) == ["delivered", "due"]
    assert found(endpoint=5) == []
    with pytest.raises(Refused, match="state"):
        found(state="lost")
    with world.engine.connect() as connection:
        shown = listing.delivery(connection, 1, world.deliveries()[0].id)
        assert listing.counts(connection) == listing.counts(connection, 1) == {
            "due": 1, "claimed": 0, "dead": 0, "held": 0,
        }  # fmt: skip
        assert listing.counts(connection, 2)["due"] == 0
    assert shown["message"] == show("msg", first)
    assert shown["member"] == show("mem", 7)
    assert shown["next_attempt_at"] == "2027-01-15T08:00:06.000Z"
    assert shown["body"]["type"] == "balance.updated"
    assert [(each["number"], each["status"]) for each in shown["attempts"]] == [(1, 500)]
