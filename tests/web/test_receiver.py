from __future__ import annotations

import asyncio
import io
import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from adapter.errors import Busy, DatabaseUnavailable, Unavailable
from adapter.events import Event
from adapter.intake import clean, kept_headers
from adapter.outcome import Outcome
from adapter.store import tables as t
from adapter.web.errors import Problem
from adapter.web.parts import LastCatalog, WebSettings
from adapter.web.wire import CutOff, read_body, receive_body, received_headers
from connectors.woocommerce import WooCommerce
from tests.shop import NOW

if TYPE_CHECKING:
    from adapter.store.configuration import CatalogCache
    from connectors.base import RawEvent, SourceSettings
    from tests.web.conftest import Web

ORDER: dict[str, Any] = {
    "id": 1001, "number": "1001", "status": "processing", "currency": "EUR", "customer_id": 7000,
    "date_created_gmt": "2026-11-10T12:00:00", "date_modified_gmt": "2026-11-10T12:00:00",
    "date_paid_gmt": "2026-11-10T12:00:00", "date_completed_gmt": None, "prices_include_tax": False,
    "total": "89.99", "total_tax": "0.00", "shipping_total": "0.00", "shipping_tax": "0.00",
    "discount_total": "0.00",
    "discount_tax": "0.00", "cart_tax": "0.00", "billing": {"email": "jo@example.com"}, "refunds": [],
    "line_items": [{"id": 1, "quantity": 1, "total": "89.99", "total_tax": "0.00", "subtotal": "89.99"}],
    "fee_lines": [], "coupon_lines": [], "shipping_lines": [], "tax_lines": [], "transaction_id": "",
}  # fmt: skip


def stored(web: Web) -> list[Any]:
    with web.engine.connect() as connection:
        return list(connection.execute(select(t.events).order_by(t.events.c.id)))


def test_an_order_is_durable_before_it_is_answered(web: Web) -> None:
    answer = web.shop("order.created", ORDER)
    told = answer.get_json()
    assert (answer.status_code, told["status"], told["duplicate"]) == (200, "applied", False)
    (row,) = stored(web)
    assert row.received_at == NOW
    assert bytes(row.body) == json.dumps(ORDER).encode()
    assert web.get("/v1/members/shop:7000/balance")["pending"] == 89


def test_a_repeat_gets_the_first_ones_event_and_has_no_effect(web: Web) -> None:
    first, again = (web.shop("order.created", ORDER).get_json() for _ in range(2))
    assert again == {"event": first["event"], "status": "applied", "duplicate": True}
    assert web.get("/v1/members/shop:7000/balance")["total"] == 89


def test_both_of_a_sources_secrets_are_valid(sqlite_web: Web) -> None:
    assert sqlite_web.shop("order.created", ORDER, secret="older").status_code == 200


HOSTILE = [
    "",
    "garbage",
    "garbage v1,AAAA",
    "v1,abc v1,AAAA",
    "v1,a,b",
    "v1,AAAA  v1,BBBB",
    "=" * 10_000,
    "\xff\xfe\x80",
    "é",
    "1700000000.9",
    "170_0000000",
    "t=1,v1=",
    "null",
    "%00",
    "' OR 1=1 --",
    "{}",
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    "name",
    ["X-WC-Webhook-Signature", "Webhook-Signature", "Webhook-Timestamp", "Webhook-Id", "X-WC-Webhook-Topic",
     "Stripe-Signature", "X-Shopify-Hmac-Sha256"],
)  # fmt: skip
def test_hostile_headers_are_401_and_nothing_is_kept(sqlite_web: Web, name: str, value: str) -> None:
    sent = {"X-WC-Webhook-Signature": "AAAA", name: value}
    answer = sqlite_web.client.post("/webhooks/shop", data=b"{}", headers=sent)
    assert (answer.status_code, answer.get_json()["code"]) == (401, "signature_invalid")
    assert answer.mimetype == "application/problem+json"
    assert stored(sqlite_web) == []


def test_a_forged_webhook_is_counted(sqlite_web: Web) -> None:
    sqlite_web.shop("order.created", ORDER, secret="guess")
    text = sqlite_web.client.get("/metrics").get_data(as_text=True)
    assert 'loyalty_signatures_refused_total{source="shop"} 1.0' in text


@pytest.mark.parametrize("name", ["nobody", "shop2", "%00", "..", "s" * 5000])
def test_an_unknown_source_is_404(sqlite_web: Web, name: str) -> None:
    answer = sqlite_web.shop("order.created", ORDER, source=name)
    assert answer.status_code == 404
    assert answer.get_json()["request_id"] == answer.headers["X-Request-ID"]


def test_a_source_that_was_applied_a_moment_ago_is_found(sqlite_web: Web) -> None:
    assert sqlite_web.shop("order.created", ORDER, source="second").status_code == 404
    with sqlite_web.engine.begin() as connection:
        connection.execute(
            t.sources.insert().values(
                env=1,
                name="second",
                connector="woocommerce",
                program="main",
                orders_of="second",
                secrets='["hush"]',
                options="{}",
            )
        )
        connection.execute(t.configuration.update().values(version=2))
    assert sqlite_web.shop("order.created", ORDER, source="second").status_code == 200


def test_a_source_with_an_unknown_connector_says_so(sqlite_web: Web) -> None:
    sqlite_web.use(connectors={})
    answer = sqlite_web.shop("order.created", ORDER)
    assert answer.status_code == 404
    assert "'woocommerce', which is not installed" in answer.get_json()["detail"]


def test_the_unsigned_hello_of_the_platform_is_answered_200(sqlite_web: Web) -> None:
    answer = sqlite_web.client.post("/webhooks/shop", data={"webhook_id": "12"})
    assert (answer.status_code, answer.get_json()) == (200, {"status": "handshake"})
    assert stored(sqlite_web) == []


NOT_UNDERSTOOD = [
    (b"", "rejected"),
    (b"{", "rejected"),
    (b"[]", "rejected"),
    (b"null", "rejected"),
    (b"\xff\xfe", "rejected"),
    (b'{"id": NaN}', "rejected"),
    (b'{"id": 1, "id": 2}', "rejected"),
    (b'{"id": "\\u0000"}', "rejected"),
    (b'{"id": ' + b"9" * 5000 + b"}", "rejected"),
    (b"[" * 5000 + b"]" * 5000, "rejected"),
    (b'{"a":' * 5000 + b"1" + b"}" * 5000, "rejected"),
    (json.dumps({**ORDER, "total": "1e400"}).encode(), "rejected"),
    (json.dumps({**ORDER, "line_items": "three"}).encode(), "rejected"),
]


@pytest.mark.parametrize(("body", "state"), NOT_UNDERSTOOD, ids=lambda value: repr(value)[:24])
def test_what_is_not_understood_is_kept_with_a_reason(web: Web, body: bytes, state: str) -> None:
    told = web.shop("order.created", body).get_json()
    assert (told["status"], bool(told["reason"])) == (state, True)
    (row,) = stored(web)
    assert (row.state, bytes(row.body)) == (state, body)


def test_what_has_nothing_to_do_with_points_is_kept_as_ignored(sqlite_web: Web) -> None:
    told = sqlite_web.shop("product.created", {"id": 5}).get_json()
    assert told["status"] == "ignored"


def test_text_that_no_database_keeps_does_not_stop_an_order(web: Web) -> None:
    odd = {**ORDER, "number": "10\x0001", "billing": {"email": "jo@example.com", "first_name": "\ud83d"}}
    assert web.shop("order.created", json.dumps(odd).encode()).get_json()["status"] == "applied"


# --- how large, how long --------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "status"), [(1024, 200), (1025, 413)])
def test_a_body_is_taken_up_to_the_cap(sqlite_web: Web, size: int, status: int) -> None:
    sqlite_web.use(settings=WebSettings(max_body=1024))
    body = b'{"id":"' + b"x" * (size - 9) + b'"}'
    assert sqlite_web.shop("order.created", body).status_code == status


class Sent:
    """What a server hands on of a request's body, message by message; counts those that were asked for."""

    def __init__(self, *chunks: bytes | None) -> None:
        self.chunks = chunks
        self.asked = 0

    async def receive(self) -> Any:
        chunk = self.chunks[self.asked]
        self.asked += 1
        if chunk is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": self.asked < len(self.chunks)}


@pytest.mark.parametrize(
    ("declared", "chunks", "told", "asked"),
    [
        ("6", [b"abcdef"], b"abcdef", 1),
        ("6", [b"abc", b"", b"def"], b"abcdef", 3),
        (None, [b"abc", b"def"], b"abcdef", 2),  # chunked: nobody knows how much will come
        ("-1", [b"abc"], b"abc", 1),
        ("²", [b"abc"], b"abc", 1),
        ("10", [b"abcde", b"fghij"], b"abcdefghij", 2),
        ("11", [b"abcdefghijk"], None, 0),  # its length says enough
        (None, [b"abcde", b"fghijk", b"l"], None, 2),  # no more is read than decides it
        ("1", [b"abcdefghijk"], None, 1),  # a length that lies
    ],
)
def test_a_webhooks_body_is_read_up_to_the_cap(
    declared: str | None, chunks: list[bytes | None], told: bytes | None, asked: int
) -> None:
    sent = Sent(*chunks)
    if told is None:
        with pytest.raises(Problem, match="larger than 10 bytes"):
            asyncio.run(receive_body(declared, sent.receive, 10))
    else:
        assert asyncio.run(receive_body(declared, sent.receive, 10)) == told
    assert sent.asked == asked


@pytest.mark.parametrize("chunks", [[None], [b"{}", None]])
def test_what_was_cut_off_is_no_body(chunks: list[bytes | None]) -> None:
    """Nobody hears the answer, and it would take up an Idempotency-Key for what was never meant."""
    with pytest.raises(CutOff):
        asyncio.run(receive_body("9", Sent(*chunks).receive, 10))


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ([(b"a", b"1"), (b"b", b"2")], {"a": "1", "b": "2"}),
        ([(b"a", b"1"), (b"a", b"2")], {"a": "1,2"}),
        ([(b"a", b"\xff\xe4")], {"a": "\xff\xe4"}),
    ],
)
def test_headers_are_text_by_lower_case_name(sent: list[tuple[bytes, bytes]], told: dict[str, str]) -> None:
    assert received_headers(sent) == told


class Endless(io.RawIOBase):
    """A body without an end; counts what was read of it."""

    taken = 0

    def read(self, size: int = -1) -> bytes:
        self.taken += size
        return b"x" * size


def test_no_more_is_read_than_decides_that_it_is_too_large() -> None:
    body = Endless()
    with pytest.raises(Problem, match="larger than 100000 bytes"):
        read_body({"wsgi.input": body, "wsgi.input_terminated": True}, 100_000)
    assert body.taken == 100_001


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"CONTENT_LENGTH": "3"}, b"abc"),
        ({"CONTENT_LENGTH": "90"}, b"abcdef"),  # the connection broke: what came is what there is
        ({"CONTENT_LENGTH": "-1"}, b""),
        ({"CONTENT_LENGTH": "²"}, b""),
        ({}, b""),
        ({"wsgi.input_terminated": True}, b"abcdef"),
    ],
)
def test_a_body_is_read_as_it_was_announced(environ: dict[str, Any], told: bytes) -> None:
    assert read_body({"wsgi.input": io.BytesIO(b"abcdef"), **environ}, 100) == told


def test_nothing_that_signs_or_opens_anything_is_stored(sqlite_web: Web) -> None:
    secrets = {
        "Authorization": "Basic x", "Cookie": "a=b", "Api-Key": "k", "X-Api-Key": "k",
        "Proxy-Authorization": "p",
        "X-Shopify-Hmac-Sha256": "h", "X-Auth-Token": "t", "X-My-Secret": "s",
    }  # fmt: skip
    sqlite_web.shop("order.created", ORDER, **secrets, **{"X-WC-Webhook-Delivery-ID": "d1"})
    (row,) = stored(sqlite_web)
    kept = json.loads(row.headers)
    assert kept["x-wc-webhook-delivery-id"] == "d1"
    assert kept["x-wc-webhook-topic"] == "order.created"
    assert not set(kept) & {name.lower() for name in [*secrets, "X-WC-Webhook-Signature"]}


def test_stored_headers_are_capped_and_clean() -> None:
    kept = kept_headers({f"x-{number}": "a\x00b" + "c" * 5000 for number in range(500)})
    assert len(kept) == 64
    assert set(kept.values()) == {"a b" + "c" * 1021}


@pytest.mark.parametrize(
    ("text", "told"), [("a\nb", "a b"), ("\x00", ""), ("\ud800x", "?x"), ("x" * 50, "x" * 10), ("é", "é")]
)
def test_text_is_cleaned(text: str, told: str) -> None:
    assert clean(text, 10) == told


# --- bad nights -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Busy(), "busy"),
        (Unavailable(), "unavailable"),
        (DatabaseUnavailable(), "database_unavailable"),
    ],
)
def test_what_was_not_kept_is_503_with_retry_after(sqlite_web: Web, error: Exception, code: str) -> None:
    sqlite_web.submit_error = error
    answer = sqlite_web.shop("order.created", ORDER)
    assert (answer.status_code, answer.get_json()["code"], answer.headers["Retry-After"]) == (503, code, "2")
    assert stored(sqlite_web) == []
    sqlite_web.submit_error = None
    assert sqlite_web.shop("order.created", ORDER).get_json()["duplicate"] is False


@pytest.mark.parametrize(
    ("code", "status"), [("database_unavailable", 503), ("refused", 422), ("a_new_one", 500)]
)
def test_an_outcome_that_is_an_error_is_answered_as_one(sqlite_web: Web, code: str, status: int) -> None:
    sqlite_web.use(submit=lambda _command: Outcome(error=code))
    answer = sqlite_web.shop("order.created", ORDER)
    assert (answer.status_code, answer.get_json()["code"]) == (status, code)
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_without_the_database_the_last_catalog_serves(sqlite_web: Web) -> None:
    assert sqlite_web.shop("order.created", ORDER).status_code == 200

    class Gone:
        asked = 0
        fresh = False

        def get(self, *, fresh: bool = False) -> Any:
            self.asked += 1
            raise OperationalError("select", {}, Exception("gone"))

    gone = Gone()
    sqlite_web.parts.catalog._cache = cast("CatalogCache", gone)
    assert sqlite_web.shop("order.created", {**ORDER, "id": 1002}).status_code == 200
    assert sqlite_web.shop("order.created", ORDER, source="nobody").status_code == 404
    assert gone.asked == 1  # nobody asks a dead database again within a second
    sqlite_web.now += 1000
    assert sqlite_web.shop("order.created", {**ORDER, "id": 1003}).status_code == 200
    assert gone.asked == 2


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OperationalError("select", {}, Exception("gone")), 503),
        (PoolTimeout(), 503),
        (ProgrammingError("select", {}, Exception("a table is missing")), 500),
    ],
)
def test_a_database_that_was_never_there_is_503(sqlite_web: Web, error: Exception, status: int) -> None:
    class Never:
        fresh = False

        def get(self, *, fresh: bool = False) -> Any:
            raise error

    sqlite_web.use(catalog=LastCatalog(cast("CatalogCache", Never()), sqlite_web.clock))
    answer = sqlite_web.shop("order.created", ORDER)
    assert (answer.status_code, "Retry-After" in answer.headers) == (status, status == 503)
    assert answer.get_json()["request_id"] == answer.headers["X-Request-ID"]


class Tripping(WooCommerce):
    """A connector with defects."""

    def __init__(self, *methods: str) -> None:
        self.methods = methods

    def _trip(self, method: str) -> None:
        if method in self.methods:
            raise KeyError(method)

    def handshake(self, raw: RawEvent) -> bool:
        self._trip("handshake")
        return super().handshake(raw)

    def verify(self, raw: RawEvent, settings: SourceSettings) -> None:
        self._trip("verify")
        super().verify(raw, settings)

    def topic(self, raw: RawEvent) -> str:
        self._trip("topic")
        return super().topic(raw)

    def key(self, raw: RawEvent) -> bytes:
        self._trip("key")
        return b"k" * 32

    def normalize(self, raw: RawEvent, settings: SourceSettings) -> tuple[Event, ...]:
        self._trip("normalize")
        if "nothing" in self.methods:
            return ()
        return super().normalize(raw, settings)


@pytest.mark.parametrize(
    ("method", "status", "state"),
    [
        ("handshake", 200, "applied"),
        ("verify", 401, None),
        ("key", 200, "applied"),
        ("normalize", 200, "rejected"),
        ("nothing", 200, "ignored"),
    ],
)
def test_a_defect_of_a_connector_never_costs_the_shop_its_webhook(
    sqlite_web: Web, method: str, status: int, state: str | None
) -> None:
    sqlite_web.use(connectors={"woocommerce": Tripping(method)})
    answer = sqlite_web.shop("order.created", ORDER)
    assert (answer.status_code, answer.get_json().get("status") if status == 200 else None) == (status, state)


def test_a_connector_without_a_topic_leaves_it_unknown(sqlite_web: Web) -> None:
    sqlite_web.use(connectors={"woocommerce": Tripping("topic", "normalize")})
    told = sqlite_web.shop("order.created", ORDER).get_json()
    assert told["reason"] == "internal error: KeyError"
    assert stored(sqlite_web)[0].topic == "unknown"


class Careless(Tripping):
    """A connector that passes text on as it comes."""

    def normalize(self, raw: RawEvent, settings: SourceSettings) -> tuple[Event, ...]:
        return (Event(type="customer.created", occurred_at=1, version=1, order=json.loads(raw.body)["id"]),)  # type: ignore[arg-type]  # - on purpose


@pytest.mark.parametrize(
    ("text", "reason"),
    [("a\\u0000", "null character"), ("\\ud83d", "surrogate")],
)
def test_text_that_cannot_be_kept_is_refused_whatever_the_connector(
    sqlite_web: Web, text: str, reason: str
) -> None:
    sqlite_web.use(connectors={"woocommerce": Careless()})
    told = sqlite_web.shop("customer.created", b'{"id": "%s"}' % text.encode()).get_json()
    assert told["status"] == "rejected"
    assert reason in told["reason"]


def test_an_escaped_backslash_is_text_like_any_other(sqlite_web: Web) -> None:
    sqlite_web.use(
        connectors={"woocommerce": Careless()}, submit=lambda _command: Outcome(event=1, state="applied")
    )
    told = sqlite_web.shop("customer.created", b'{"id": "a\\\\u0000"}').get_json()
    assert told["status"] == "applied"


def test_a_webhook_is_only_posted(sqlite_web: Web) -> None:
    answer = sqlite_web.client.get("/webhooks/shop")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
