from __future__ import annotations

import json
import time

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import ConfigurationError, SignatureInvalid
from connectors.base import RawEvent, SourceSettings
from connectors.stripe import CONNECTOR
from connectors.stripe.verify import sign

BODY = b'{"id":"evt_1","object":"event","type":"charge.succeeded","data":{"object":{"note":"caf\xc3\xa9"}}}'
SECRET = "whsec_0123456789abcdef"
SIGNED_AT = 1_790_848_800
NOW = SIGNED_AT * 1000

Official = stripe.WebhookSignature


def official(body: bytes = BODY, secret: str = SECRET, seconds: int = SIGNED_AT) -> str:
    """Write the header with Stripe's own package."""
    return str(Official.generate_signature_header(body.decode(), secret, seconds))


def verify(header: str, *, body: bytes = BODY, secrets: tuple[str, ...] = (SECRET,), now: int = NOW) -> None:
    CONNECTOR.verify(RawEvent({"stripe-signature": header}, body, now), SourceSettings("stripe", secrets))


def test_what_stripe_signs_is_accepted() -> None:
    verify(official())


def test_what_we_sign_is_accepted_by_stripes_own_package() -> None:
    seconds = str(int(time.time()))
    header = f"t={seconds},v1={sign(BODY, SECRET, seconds).decode()}"
    event = stripe.Webhook.construct_event(BODY, header, SECRET)
    assert event.id == json.loads(BODY)["id"]


def test_during_a_rotation_any_signature_may_match_any_secret() -> None:
    old, new = (
        Official._compute_signature(f"{SIGNED_AT}.{BODY.decode()}", secret)
        for secret in ("whsec_a", "whsec_b")
    )
    header = f"t={SIGNED_AT},v1={old},v1={new}"
    verify(header, secrets=("whsec_b",))
    verify(header, secrets=("whsec_z", "whsec_a"))
    with pytest.raises(SignatureInvalid, match="no v1 signature"):
        verify(header, secrets=("whsec_z",))


def test_another_scheme_is_no_proof() -> None:
    signature = Official._compute_signature(f"{SIGNED_AT}.{BODY.decode()}", SECRET)
    for scheme in ("v0", "v2", "V1", ""):
        with pytest.raises(SignatureInvalid, match="has no v1 signature"):
            verify(f"t={SIGNED_AT},{scheme}={signature}")
    verify(f"t={SIGNED_AT},v0=00,v1={signature}")


@pytest.mark.parametrize(
    ("away_ms", "accepted"),
    [(0, True), (300_000, True), (300_001, False), (-300_000, True), (-300_001, False), (10**12, False)],
)
def test_the_time_may_be_five_minutes_away_on_both_sides(away_ms: int, accepted: bool) -> None:
    if accepted:
        verify(official(), now=NOW + away_ms)
        return
    with pytest.raises(SignatureInvalid, match="five minutes"):
        verify(official(), now=NOW + away_ms)


@given(st.integers(min_value=0, max_value=len(BODY) * 8 - 1))
def test_one_flipped_bit_of_the_body_is_refused(bit: int) -> None:
    flipped = bytearray(BODY)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SignatureInvalid):
        verify(official(), body=bytes(flipped))


@given(st.data())
def test_one_flipped_bit_of_the_header_is_refused(data: st.DataObject) -> None:
    header = bytearray(official().encode())
    bit = data.draw(st.integers(min_value=0, max_value=len(header) * 7 - 1))
    header[bit // 7] ^= 1 << bit % 7
    with pytest.raises(SignatureInvalid):
        verify(header.decode())


SIGNATURE = official().partition(",v1=")[2]


@pytest.mark.parametrize(
    "header",
    [
        "",
        ",",
        "=",
        "t",
        "v1",
        f"v1={SIGNATURE}",
        f"t=,v1={SIGNATURE}",
        f"t={SIGNED_AT}",
        f"t={SIGNED_AT},v1=",
        f"t={SIGNED_AT},t={SIGNED_AT},v1={SIGNATURE}",
        f"t={SIGNED_AT}.0,v1={SIGNATURE}",
        f"t=+{SIGNED_AT},v1={SIGNATURE}",
        f"t=-{SIGNED_AT},v1={SIGNATURE}",
        f"t=1_790_848_800,v1={SIGNATURE}",
        f"t={'9' * 5000},v1={SIGNATURE}",
        f"t=١٧٩٠٨٤٨٨٠٠,v1={SIGNATURE}",
        f"t={SIGNED_AT},v1=é",
        f"t={SIGNED_AT},v1=\udcff",
        f"t={SIGNED_AT};v1={SIGNATURE}",
        f"t={SIGNED_AT},v1={SIGNATURE.upper()}",
    ],
)
def test_a_malformed_or_hostile_header_is_a_wrong_signature(header: str) -> None:
    with pytest.raises(SignatureInvalid):
        verify(header)


def test_a_missing_header_is_a_wrong_signature() -> None:
    with pytest.raises(SignatureInvalid):
        CONNECTOR.verify(RawEvent({}, BODY, NOW), SourceSettings("stripe", (SECRET,)))


def test_an_empty_secret_verifies_nothing_and_is_refused_beforehand() -> None:
    signature = sign(BODY, "", str(SIGNED_AT)).decode()
    with pytest.raises(SignatureInvalid):
        verify(f"t={SIGNED_AT},v1={signature}", secrets=("",))
    with pytest.raises(ConfigurationError):
        CONNECTOR.check_settings(SourceSettings("stripe", ("",)))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"order_fields": "order_id"}, "options.order_fields"),
        ({"order_field": ""}, "options.order_field"),
        ({"order_field": 7}, "options.order_field"),
        ({"payments_only": "perhaps"}, "options.payments_only"),
    ],
)
def test_options_that_cannot_be_used_are_refused_by_name(options: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        CONNECTOR.check_settings(SourceSettings("stripe", (SECRET,), options))
    assert refused.value.field == named
    assert named in refused.value.message


def test_options_that_can_be_used() -> None:
    CONNECTOR.check_settings(
        SourceSettings("stripe", (SECRET,), {"order_field": "order", "payments_only": True})
    )


def test_there_is_no_handshake() -> None:
    assert CONNECTOR.handshake(RawEvent({"content-type": "application/json"}, b"{}", NOW)) is False


@pytest.mark.parametrize(
    ("body", "topic"),
    [
        (BODY, "charge.succeeded"),
        (b"{}", "unknown"),
        (b'{"type":7}', "unknown"),
        (b"", "unknown"),
        (b"[" * 100_000, "unknown"),
        (b"\xff", "unknown"),
    ],
)
def test_topic_and_key_never_raise(body: bytes, topic: str) -> None:
    raw = RawEvent({}, body, NOW)
    assert CONNECTOR.topic(raw) == topic
    assert len(CONNECTOR.key(raw)) == 32


def test_the_key_is_the_event_and_its_type() -> None:
    def key(body: bytes) -> bytes:
        return CONNECTOR.key(RawEvent({}, body, NOW))

    first = key(b'{"id":"evt_1","type":"refund.created"}')
    assert key(b'{"type":"refund.created","id":"evt_1","pending_webhooks":0}') == first
    others = (
        b'{"id":"evt_2","type":"refund.created"}',
        b'{"id":"evt_1","type":"refund.updated"}',
        b'{"id":"evt_1"}',
        b"{",
    )
    assert len({first, *map(key, others)}) == 5
