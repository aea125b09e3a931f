"""The contract of `connectors.base`, for every connector that is listed; a new one needs only its case."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.errors import ConfigurationError, Ignored, Rejected, SignatureInvalid
from adapter.events import Event
from connectors import CONNECTORS, connector
from connectors.base import RawEvent, SourceSettings
from tests.connectors.case import NOW, Case
from tests.connectors.cases import CASES

if TYPE_CHECKING:
    from collections.abc import Mapping

HOSTILE = (
    "", " ", ",", "=", "\x00", "\udcff\ud800", "é" * 50, "\u0663" * 44, "a" * 100_000, "v1,", "v1," * 50,
    "v1 v1,a,b  v1", "t=,v1=", "t=1", "t=99999999999999999999,v1=00", "t=-1,v1=00", "t=\u0663,v1=00",
    "t=nan,v1=\x00", "t=1,t=2,v1=00",
)  # fmt: skip
GARBAGE = {
    "empty": b"",
    "blank": b" \n ",
    "no JSON": b"<html>",
    "cut": b'{"id": 1, "line_items": [',
    "no UTF-8": b'{"id": "\xff\xfe"}',
    "UTF-16": '{"id": 1}'.encode("utf-16"),
    "NaN": b'{"id": NaN}',
    "infinity": b'{"id": -Infinity}',
    "deep objects": b'{"id":' * 100_000 + b"1" + b"}" * 100_000,
    "deep lists": b'{"id":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "huge integer": b'{"id": ' + b"9" * 100_000 + b"}",
    "huge fraction": b'{"id": 0.' + b"9" * 100_000 + b"}",
    "huge exponent": b'{"id": 1e999999999999999999999}',
    "twice a key": b'{"id": 1, "id": 2}',
    "a list": b"[]",
    "a text": b'"id"',
    "nothing": b"null",
    "no fields": b"{}",
    "a null character": b'{"id": "\\u0000"}',
}

cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
samples = pytest.mark.parametrize(
    ("case", "topic", "body"),
    [
        pytest.param(case, topic, body, id=f"{name}-{topic}")
        for name, case in CASES.items()
        for topic, body in case.samples.items()
    ],
)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def with_header(raw: RawEvent, name: str, value: str) -> RawEvent:
    return RawEvent({**raw.headers, name: value}, raw.body, raw.received_at)


def refused(case: Case, raw: RawEvent, *secrets: str) -> bool:
    """Return whether the webhook is refused, as the contract says: by `SignatureInvalid` with a reason."""
    try:
        case.connector.verify(raw, case.settings(*secrets))
    except SignatureInvalid as error:
        return bool(error.message)
    return False


class TestRegistry:
    def test_names(self) -> None:
        assert {name: one.name for name, one in CONNECTORS.items()} == {name: name for name in CONNECTORS}
        assert set(CONNECTORS) == {"brevo", "shopify", "woocommerce", "stripe", "standard"}

    def test_one_by_name(self) -> None:
        assert connector("shopify") is CONNECTORS["shopify"]
        with pytest.raises(ConfigurationError, match="brevo, shopify, standard, stripe, woocommerce") as error:
            connector("shopifi")
        assert error.value.field == "connector"

    @cases
    def test_every_topic_says_what_becomes_of_it(self, case: Case) -> None:
        told = {**case.connector.event_types, **case.connector.ignored}
        assert all(topic and reason for topic, reason in told.items())
        assert not case.connector.event_types.keys() & case.connector.ignored.keys()

    @cases
    def test_every_understood_topic_has_a_sample(self, case: Case) -> None:
        assert set(case.samples) == set(case.connector.event_types)


class TestSettings:
    @cases
    def test_good_ones(self, case: Case) -> None:
        case.connector.check_settings(case.settings())

    @cases
    @pytest.mark.parametrize("secrets", [(), ("",), ("  ",), ("good", "")])
    def test_a_missing_or_empty_secret(self, case: Case, secrets: tuple[str, ...]) -> None:
        given_ = tuple(case.secrets[0] if secret == "good" else secret for secret in secrets)
        with pytest.raises(ConfigurationError) as error:
            case.connector.check_settings(SourceSettings("shop", given_))
        assert error.value.field == "secrets"

    @cases
    def test_an_unknown_option(self, case: Case) -> None:
        with pytest.raises(ConfigurationError, match="colour"):
            case.connector.check_settings(SourceSettings("shop", case.secrets, {"colour": "red"}))


class TestVerify:
    @samples
    def test_what_the_platform_signs(self, case: Case, topic: str, body: bytes) -> None:
        assert not refused(case, case.raw(topic, body))

    @cases
    def test_bytes_are_not_read(self, case: Case) -> None:
        assert not refused(case, case.raw("x", b"\xff\x00 not JSON"))

    @cases
    def test_each_secret_of_a_rotation(self, case: Case) -> None:
        old, new = case.secrets
        topic, body = case.sample
        assert not refused(case, case.raw(topic, body, secret=old), new, old)
        assert not refused(case, case.raw(topic, body, secret=new), new, old)
        assert refused(case, case.raw(topic, body, secret=old), new)

    @cases
    def test_no_signature(self, case: Case) -> None:
        raw = case.raw(*case.sample)
        assert refused(case, RawEvent({}, raw.body, NOW))
        for name in raw.headers.keys() - {"x-shopify-topic", "x-wc-webhook-topic"}:
            less = {key: value for key, value in raw.headers.items() if key != name}
            assert refused(case, RawEvent(less, raw.body, NOW)), name

    @cases
    def test_no_secret_or_an_empty_one_lets_nobody_in(self, case: Case) -> None:
        raw = case.raw(*case.sample)
        for secrets in ((), ("",)):
            with pytest.raises(SignatureInvalid):
                case.connector.verify(raw, SourceSettings("shop", secrets))

    @cases
    def test_every_flipped_bit_of_the_body(self, case: Case) -> None:
        topic, body = case.sample
        raw = case.raw(topic, body)
        passed = [
            bit
            for bit in range(len(body) * 8)
            if not refused(case, RawEvent(raw.headers, flipped(body, bit), NOW))
        ]
        assert passed == []

    @cases
    def test_every_flipped_bit_of_the_signature(self, case: Case) -> None:
        raw = case.raw(*case.sample)
        told = raw.headers[case.signature].encode()
        changed = [flipped(told, bit).decode("latin-1") for bit in range(len(told) * 8)]
        assert [
            value for value in changed if not refused(case, with_header(raw, case.signature, value))
        ] == []

    @cases
    @pytest.mark.parametrize("change", [b" ", b"\n", b"\x00", b"}"])
    def test_a_byte_more_or_less(self, case: Case, change: bytes) -> None:
        topic, body = case.sample
        raw = case.raw(topic, body)
        for changed in (body + change, change + body, body[:-1], body[1:], b""):
            assert refused(case, RawEvent(raw.headers, changed, NOW))

    @cases
    @pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
    def test_hostile_headers(self, case: Case, value: str) -> None:
        raw = case.raw(*case.sample)
        assert refused(case, with_header(raw, case.signature, value))
        everywhere = RawEvent(dict.fromkeys(raw.headers, value), raw.body, NOW)
        assert refused(case, everywhere)
        assert isinstance(case.connector.topic(everywhere), str)
        assert len(case.connector.key(everywhere)) == 32
        assert case.connector.handshake(everywhere) is False

    @cases
    @given(body=st.binary(max_size=50), headers=st.dictionaries(st.text(max_size=10), st.text(max_size=30)))
    def test_any_headers(self, case: Case, body: bytes, headers: Mapping[str, str]) -> None:
        assert refused(case, RawEvent({**case.raw("x", b"").headers, **headers}, b"x" + body, NOW))

    @cases
    @given(value=st.text())
    def test_any_signature(self, case: Case, value: str) -> None:
        assert refused(case, with_header(case.raw(*case.sample), case.signature, value))


class TestKey:
    @samples
    def test_a_repeat_has_the_same_key(self, case: Case, topic: str, body: bytes) -> None:
        first = case.raw(topic, body)
        again = RawEvent(dict(first.headers), bytes(body), NOW + 3_600_000)
        assert case.connector.key(first) == case.connector.key(again)

    @cases
    def test_what_is_different_has_another_key(self, case: Case) -> None:
        raws = [case.raw(topic, body) for topic, body in case.samples.items()]
        if "webhook-id" in raws[0].headers:
            raws = [with_header(raw, "webhook-id", f"msg_{number}") for number, raw in enumerate(raws)]
        assert len({case.connector.key(raw) for raw in raws}) == len(raws)

    @cases
    @given(body=st.binary(max_size=100))
    def test_any_body_has_one(self, case: Case, body: bytes) -> None:
        raw = case.raw("x", body)
        assert len(case.connector.key(raw)) == 32
        assert case.connector.key(RawEvent({}, body, NOW)) == case.connector.key(RawEvent({}, body, NOW + 1))


class TestNormalize:
    @samples
    def test_samples_become_events(self, case: Case, topic: str, body: bytes) -> None:
        raw = case.raw(topic, body)
        assert case.connector.topic(raw) == topic
        events = case.connector.normalize(raw, case.settings())
        assert events
        assert all(isinstance(event, Event) for event in events)
        assert all(0 <= event.occurred_at <= NOW for event in events)
        assert events == case.connector.normalize(raw, case.settings())

    @cases
    @pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
    def test_signed_garbage_is_rejected(self, case: Case, garbage: bytes) -> None:
        for topic in case.samples:
            raw = case.raw(topic, garbage)
            assert not refused(case, raw)
            with pytest.raises(Rejected) as error:
                case.connector.normalize(raw, case.settings())
            assert 0 < len(error.value.message) < 1000

    @cases
    def test_an_unknown_topic_is_rejected(self, case: Case) -> None:
        topic, body = case.unknown
        raw = case.raw(topic, body)
        assert case.connector.topic(raw) == topic
        with pytest.raises(Rejected, match="planet"):
            case.connector.normalize(raw, case.settings())

    @cases
    def test_ignored_topics_have_their_reason(self, case: Case) -> None:
        for topic, reason in case.connector.ignored.items():
            body = b'{"id":"evt_1","object":"event","type":"%s"}' % topic.encode()
            with pytest.raises((Ignored, Rejected)) as error:
                case.connector.normalize(case.raw(topic, body), case.settings())
            assert error.type is Rejected or reason in error.value.message

    @cases
    @given(data=st.data())
    def test_any_body_gives_events_or_a_reason(self, case: Case, data: st.DataObject) -> None:
        topic = data.draw(st.sampled_from(sorted(case.samples)))
        raw = case.raw(topic, data.draw(st.binary(max_size=60)))
        with pytest.raises((Rejected, Ignored)):
            case.connector.normalize(raw, case.settings())

    @cases
    @settings(max_examples=200)
    @given(data=st.data())
    def test_a_damaged_body_gives_events_or_a_reason(self, case: Case, data: st.DataObject) -> None:
        """Cut, change or repeat some bytes of a good body: it is often still JSON, of another shape."""
        topic = data.draw(st.sampled_from(sorted(case.samples)))
        body = case.samples[topic]
        start = data.draw(st.integers(0, len(body)))
        end = data.draw(st.integers(start, min(len(body), start + 30)))
        filling: Any = data.draw(
            st.sampled_from([b"", b"1e9", b"null", b"[]", b"{}", b'"x"', b"-5", b"true", b"9" * 90])
        )
        raw = case.raw(topic, body[:start] + filling + body[end:])
        assert case.connector.topic(raw)
        with contextlib.suppress(Rejected, Ignored):
            assert case.connector.normalize(raw, case.settings())
