from __future__ import annotations

import base64
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import ConfigurationError, SignatureInvalid
from connectors.base import RawEvent, SourceSettings
from connectors.woocommerce import CONNECTOR
from connectors.woocommerce.verify import decoded, sign

BODY = b'{"id":1001,"link":"https:\\/\\/shop.example","symbol":"\\u20ac"}'


def signed(body: bytes, signature: str) -> RawEvent:
    return RawEvent({"x-wc-webhook-signature": signature}, body, 0)


def openssl(body: bytes, key: str) -> str:
    """Sign with a third party's tool."""
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"key:{key}", "-binary"]
    return base64.b64encode(
        subprocess.run(command, input=body, capture_output=True, check=True).stdout
    ).decode()


@pytest.mark.parametrize(
    ("kept", "used"),
    [
        ("hush", "hush"),
        ("a&b", "a&b"),
        ("a&amp;b", "a&b"),
        ("a&lt;b&gt;c", "a<b>c"),
        ("&quot;&#039;&#39;&#x27;&#X27;&#0034;&#x22;", "\"''''\"\""),
        ("&#038;&#x26;&#060;&#62;", "&&<>"),
        ("&amp;lt;", "&lt;"),  # once, not until nothing is left
        ("&#x3c;&apos;&euro;&lt", "&#x3c;&apos;&euro;&lt"),  # not among those that WordPress decodes
    ],
)
def test_a_secret_is_used_as_wordpress_decodes_it(kept: str, used: str) -> None:
    assert decoded(kept) == used
    CONNECTOR.verify(signed(BODY, openssl(BODY, used)), SourceSettings("shop", (kept,)))


def test_the_undecoded_secret_is_no_key() -> None:
    forged = signed(BODY, openssl(BODY, "a&amp;b"))
    with pytest.raises(SignatureInvalid, match="none of the source's secrets"):
        CONNECTOR.verify(forged, SourceSettings("shop", ("a&amp;b",)))


def test_any_of_several_secrets_will_do() -> None:
    raw = signed(BODY, openssl(BODY, "new"))
    CONNECTOR.verify(raw, SourceSettings("shop", ("old", "new")))
    with pytest.raises(SignatureInvalid):
        CONNECTOR.verify(raw, SourceSettings("shop", ("old", "older")))


@given(st.integers(min_value=0, max_value=len(BODY) * 8 - 1))
def test_one_flipped_bit_of_the_body_is_refused(bit: int) -> None:
    body = bytearray(BODY)
    body[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SignatureInvalid):
        CONNECTOR.verify(signed(bytes(body), sign(BODY, "hush").decode()), SourceSettings("shop", ("hush",)))


@given(st.integers(min_value=0, max_value=44 * 7 - 1))
def test_one_flipped_bit_of_the_signature_is_refused(bit: int) -> None:
    signature = bytearray(sign(BODY, "hush"))
    signature[bit // 7] ^= 1 << bit % 7
    with pytest.raises(SignatureInvalid):
        CONNECTOR.verify(signed(BODY, signature.decode()), SourceSettings("shop", ("hush",)))


@pytest.mark.parametrize("signature", ["", " ", "é", "\udcff", "=" * 10_000, "bm8=", "null"])
def test_a_hostile_header_is_a_wrong_signature(signature: str) -> None:
    with pytest.raises(SignatureInvalid):
        CONNECTOR.verify(signed(BODY, signature), SourceSettings("shop", ("hush",)))


def test_a_missing_header_is_a_wrong_signature() -> None:
    with pytest.raises(SignatureInvalid, match="X-WC-Webhook-Signature is missing"):
        CONNECTOR.verify(RawEvent({}, BODY, 0), SourceSettings("shop", ("hush",)))


def test_an_empty_secret_verifies_nothing_and_is_refused_beforehand() -> None:
    with pytest.raises(SignatureInvalid):
        CONNECTOR.verify(signed(BODY, sign(BODY, "").decode()), SourceSettings("shop", ("",)))
    for secrets in ((), ("",), ("hush", " ")):
        with pytest.raises(ConfigurationError) as refused:
            CONNECTOR.check_settings(SourceSettings("shop", secrets))
        assert refused.value.field == "secrets"


def test_an_unknown_option_is_refused_by_its_name() -> None:
    CONNECTOR.check_settings(SourceSettings("shop", ("hush",)))
    with pytest.raises(ConfigurationError, match=r"options\.topics") as refused:
        CONNECTOR.check_settings(SourceSettings("shop", ("hush",), {"topics": []}))
    assert refused.value.field == "options.topics"


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("application/x-www-form-urlencoded", b"webhook_id=9", True),
        ("Application/X-WWW-Form-Urlencoded; charset=UTF-8", b"webhook_id=123456", True),
        ("application/json", b"webhook_id=9", False),
        ("application/x-www-form-urlencoded", b"webhook_id=", False),
        ("application/x-www-form-urlencoded", b"webhook_id=9\n", False),
        ("application/x-www-form-urlencoded", b"webhook_id=9&id=1", False),
        ("application/x-www-form-urlencoded", b'{"id":1001}', False),
        ("", b"webhook_id=9", False),
    ],
)
def test_only_the_form_of_a_saved_webhook_is_a_handshake(kind: str, body: bytes, expected: bool) -> None:
    assert CONNECTOR.handshake(RawEvent({"content-type": kind}, body, 0)) is expected


def test_the_key_is_topic_and_body_and_not_the_delivery_id() -> None:
    def key(topic: str, body: bytes, delivery: str) -> bytes:
        return CONNECTOR.key(
            RawEvent({"x-wc-webhook-topic": topic, "x-wc-webhook-delivery-id": delivery}, body, 0)
        )

    first = key("order.updated", BODY, "d1")
    assert len(first) == 32
    assert key("order.updated", BODY, "d2") == first
    assert len({first, key("order.created", BODY, "d1"), key("order.updated", BODY + b" ", "d1")}) == 3


def test_a_webhook_without_topic_is_unknown() -> None:
    assert CONNECTOR.topic(RawEvent({}, b"", 0)) == "unknown"
    assert CONNECTOR.topic(RawEvent({"x-wc-webhook-topic": " Order.Created "}, b"", 0)) == "order.created"
