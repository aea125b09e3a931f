"""From a due delivery to a request, and what each kind of answer does to it."""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from adapter.delivery.sender import clean
from adapter.ids import show
from adapter.store import tables as t
from adapter.store.database import unit_of_work
from tests.delivery.world import START, Handler, Receiver, Request, World

if TYPE_CHECKING:
    from collections.abc import Callable


ENDLESS_S = 60
"""An attempt that takes this long, on the slowest machine, had no end."""


def test_a_delivery_is_sent_signed_and_recorded(world: World, receiver: Receiver) -> None:
    world.endpoint(receiver.url, headers={"X-Shop": "acme"})
    (message,) = world.message(member=7)
    dispatcher = world.dispatcher()
    assert dispatcher.run_once() == 1

    (request,) = receiver.requests
    assert request.headers["webhook-id"] == show("msg", message)
    assert request.headers["webhook-timestamp"] == str(START // 1000)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "loyalty-event-adapter"
    assert request.headers["x-shop"] == "acme"
    (delivery,) = world.deliveries()
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("delivered", 1, 200)
    (attempt,) = world.attempts()
    assert (attempt.number, attempt.status, attempt.error) == (1, 200, None)
    assert dispatcher.counts["delivered"] == 1
    assert dispatcher.run_once() == 0


def test_failures_are_retried_by_the_schedule_and_end_as_a_dead_letter(
    world: World, receiver: Receiver
) -> None:
    receiver.answers(500, 404, 503)
    world.endpoint(receiver.url, schedule=[5, 60])
    world.message()
    dispatcher = world.dispatcher()
    for wait_ms, state, step in ((0, "due", 1), (5_000, "due", 2), (60_000, "dead", 2)):
        world.now += wait_ms
        if wait_ms:
            world.now -= 1
            assert dispatcher.run_once() == 0  # not a millisecond too early
            world.now += 1
        assert dispatcher.run_once() == 1
        (delivery,) = world.deliveries()
        assert (delivery.state, delivery.step) == (state, step)
    assert [row.status for row in world.attempts()] == [500, 404, 503]
    assert world.deliveries()[0].last_error == "answered 503"
    ids = {request.headers["webhook-id"] for request in receiver.requests}
    stamps = [int(request.headers["webhook-timestamp"]) for request in receiver.requests]
    assert len(ids) == 1
    assert [stamp - START // 1000 for stamp in stamps] == [0, 5, 65]
    assert len({request.body for request in receiver.requests}) == 1


@pytest.mark.parametrize(
    ("header", "wait_ms"),
    [("120", 120_000), ("Fri, 15 Jan 2027 08:03:00 GMT", 180_000), ("1", 5_000), ("99999999", 86_400_000)],
)
def test_retry_after_is_honoured(small_world: World, receiver: Receiver, header: str, wait_ms: int) -> None:
    receiver.answers(429, 200, retry_after=header)
    small_world.endpoint(receiver.url)
    small_world.message()
    small_world.dispatcher().run_once()
    assert small_world.deliveries()[0].next_attempt_at == START + wait_ms


def test_jitter_only_lengthens_the_wait(small_world: World, receiver: Receiver) -> None:
    receiver.answers(500)
    small_world.endpoint(receiver.url, schedule=[100])
    small_world.message()
    small_world.dispatcher(random=0.5).run_once()
    assert small_world.deliveries()[0].next_attempt_at == START + 105_000


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_not_followed(
    small_world: World, receiver: Receiver, status: int
) -> None:
    receiver.answers(status, location=receiver.url)
    small_world.endpoint(receiver.url)
    small_world.message()
    small_world.dispatcher().run_once()
    assert small_world.states() == ["due"]
    assert (len(receiver.requests), receiver.followed) == (1, [])


def test_each_endpoint_that_wants_a_message_fails_and_succeeds_for_itself(
    world: World, receivers: Callable[[], Receiver]
) -> None:
    good, bad, other = receivers(), receivers(), receivers()
    bad.answers(500)
    first = world.endpoint(good.url, events=["balance.*"])
    second = world.endpoint(bad.url)
    world.endpoint(other.url, events=["member.created"])
    world.message(times=3)
    assert world.dispatcher().run_once() == 6
    assert [row.state for row in world.deliveries(endpoint=first)] == ["delivered"] * 3
    assert [row.state for row in world.deliveries(endpoint=second)] == ["due"] * 3
    assert other.requests == []


def test_without_a_secret_in_force_the_delivery_is_a_dead_letter(
    small_world: World, receiver: Receiver
) -> None:
    small_world.endpoint(receiver.url)
    with unit_of_work(small_world.engine) as connection:
        connection.execute(update(t.endpoints).values(secrets="[]"))
    small_world.message()
    small_world.dispatcher().run_once()
    (delivery,) = small_world.deliveries()
    assert (delivery.state, delivery.last_error) == ("dead", "no signing secret is in force")
    assert receiver.requests == []


def test_whoever_reads_the_log_hears_of_dead_letters_and_where_to_look(
    small_world: World, receiver: Receiver
) -> None:
    receiver.answers(410)
    small_world.endpoint(receiver.url, schedule=[])
    small_world.message()
    with capture_logs() as logs:
        small_world.dispatcher().run_once()
    told = {one["event"]: one for one in logs if one["log_level"] == "warning"}
    assert told["endpoints were disabled"]["count"] == 1
    receiver.answers(500)
    small_world.endpoint(receiver.url, schedule=[1])
    small_world.message()
    with capture_logs() as logs:
        for _ in range(2):
            small_world.dispatcher().run_once()
            small_world.now += 60_000
    (dead,) = [one for one in logs if one["event"] == "deliveries became dead letters"]
    assert (dead["count"], dead["look"]) == (1, "loyalty-adapter deliveries list --state dead")


def drip_body(handler: Handler, request: Request) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    _drip(handler, b"x")


def drip_headers(handler: Handler, request: Request) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    _drip(handler, b"x-a: b\r\n")


def drip_interim_answers(handler: Handler, request: Request) -> None:
    _drip(handler, b"HTTP/1.1 100 Continue\r\n\r\n")


def _drip(handler: Handler, piece: bytes) -> None:
    for _ in range(10 * ENDLESS_S):
        handler.wfile.write(piece)
        time.sleep(0.1)  # the receiver's own slowness, ended by the sender's deadline


def hang(handler: Handler, request: Request) -> None:
    handler.connection.settimeout(ENDLESS_S)
    handler.connection.recv(1)  # returns when the sender gives up
    handler.close_connection = True


def gigantic(handler: Handler, request: Request) -> None:
    handler.send_response(200)
    handler.send_header("content-length", str(10**12))
    handler.end_headers()
    for _ in range(10**6):
        handler.wfile.write(b"x" * 65_536)


def half_answer(handler: Handler, request: Request) -> None:
    handler.wfile.write(b"HTTP/1.1 20")
    handler.close_connection = True


def half_body(handler: Handler, request: Request) -> None:
    handler.wfile.write(b"HTTP/1.1 500 Oh\r\nContent-Length: 100\r\n\r\nonly this")
    handler.close_connection = True


def reset(handler: Handler, request: Request) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def no_http(handler: Handler, request: Request) -> None:
    handler.wfile.write(b"220 mail.example ESMTP\r\n")
    handler.close_connection = True


def endless_headers(handler: Handler, request: Request) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000 + b"\r\n")
    handler.close_connection = True


def bad_chunks(handler: Handler, request: Request) -> None:
    handler.wfile.write(b"HTTP/1.1 502 Bad\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nnothing")
    handler.close_connection = True


def controls(handler: Handler, request: Request) -> None:
    handler.answer(500, b"a\x00b\x1b[31m\xff\xc3\xa9" + b"z" * 5000)


@pytest.mark.parametrize(
    ("respond", "status", "error"),
    [
        (drip_body, 200, "the body of the answer broke off"),
        (drip_headers, None, "no answer within 1 s"),
        (drip_interim_answers, None, "no answer within 1 s"),
        (hang, None, "no answer within 1 s"),
        (gigantic, 200, None),
        (half_answer, None, "the connection broke"),
        (half_body, 500, "the body of the answer broke off"),
        (reset, None, "the connection broke"),
        (no_http, None, "the connection broke"),
        (endless_headers, None, "the connection broke"),
        (bad_chunks, 502, "the body of the answer broke off"),
        (controls, 500, None),
    ],
)
def test_whatever_a_receiver_does_the_attempt_ends_in_time_and_is_recorded(
    small_world: World, receiver: Receiver, respond: Any, status: int | None, error: str | None
) -> None:
    receiver.respond = respond
    without_answer = error is not None and error.startswith("no answer")
    small_world.endpoint(receiver.url, timeout=1 if without_answer else 3 if respond is drip_body else 30)
    small_world.message()
    started = time.monotonic()
    assert small_world.dispatcher().run_once() == 1
    assert time.monotonic() - started < ENDLESS_S
    (attempt,) = small_world.attempts()
    assert attempt.status == status
    assert (attempt.error or "").startswith(error or "")
    assert (attempt.error is None) == (error is None)
    assert len(attempt.response) <= 1024
    assert attempt.duration_ms < ENDLESS_S * 1000
    assert small_world.states() == ["delivered" if status == 200 else "due"]


def test_a_receiver_that_is_not_there_is_a_failure(small_world: World, receiver: Receiver) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        small_world.endpoint(f"http://127.0.0.1:{closed.getsockname()[1]}/")
        small_world.message()
        small_world.dispatcher().run_once()
    assert (small_world.deliveries()[0].last_error or "").startswith("cannot connect: [Errno 111]")


def test_what_is_stored_of_an_answer_is_clean(small_world: World, receiver: Receiver) -> None:
    receiver.respond = controls
    small_world.endpoint(receiver.url)
    small_world.message()
    small_world.dispatcher(response_keep_bytes=20).run_once()
    assert small_world.attempts()[0].response == "a\ufffdb\ufffd[31m\ufffdé" + "z" * 9
    assert clean(b"\xed\xa0\x80 \tok\n") == "\ufffd\ufffd\ufffd \tok\n"


def test_connections_are_kept_and_cookies_are_not(small_world: World, receiver: Receiver) -> None:
    receiver.respond = lambda handler, _request: handler.answer(200, b"thanks", set_cookie="a=b")
    small_world.endpoint(receiver.url, concurrency=1)
    small_world.message(times=5)
    small_world.dispatcher().run_once()
    assert len(receiver.requests) == 5
    assert len(receiver.connections) == 1
    assert not any("cookie" in request.headers for request in receiver.requests)
