"""Standard Webhooks, from the receiver's side: known vectors, rotation, the window, and what is no proof."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from adapter.errors import ConfigurationError, SignatureInvalid
from connectors.base import RawEvent, SourceSettings
from connectors.signed import key_of, sign
from connectors.standard import CONNECTOR

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
BODY = b'{"test": 2432232314}'
SIGNED_AT = 1_614_265_330_000


def verify(
    changes: Mapping[str, str] | None = None, *, secrets: tuple[str, ...] = (SECRET,), now: int = SIGNED_AT
) -> None:
    CONNECTOR.verify(RawEvent({**HEADERS, **(changes or {})}, BODY, now), SourceSettings("shop", secrets))


def secret_of(size: int) -> str:
    return "whsec_" + base64.b64encode(b"s" * size).decode()


def test_the_vector_that_the_reference_libraries_share() -> None:
    verify()


@pytest.mark.parametrize(
    ("away_ms", "accepted"),
    [(0, True), (300_000, True), (300_001, False), (-300_000, True), (-300_001, False)],
)
def test_the_time_may_be_five_minutes_away_on_both_sides(away_ms: int, accepted: bool) -> None:
    if accepted:
        verify(now=SIGNED_AT + away_ms)
        return
    with pytest.raises(SignatureInvalid, match="five minutes"):
        verify(now=SIGNED_AT + away_ms)


GOOD = HEADERS["webhook-signature"]


@pytest.mark.parametrize(
    "told",
    [
        f"v1,AAAA {GOOD}",
        f"{GOOD} v1,AAAA",
        f"garbage {GOOD}",
        f"v1a,AAAA {GOOD}",
        f"v1,a,b  {GOOD}",
        f"v1,\udcff\u0663 {GOOD}",
        " ".join(["v1,AAAA"] * 100 + [GOOD]),
    ],
)
def test_one_good_token_among_others_is_enough(told: str) -> None:
    verify({"webhook-signature": told})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-signature", GOOD.removeprefix("v1,")),
        ("webhook-signature", GOOD.replace("v1,", "v1a,")),
        ("webhook-signature", GOOD.replace("v1,", "V1,")),
        ("webhook-signature", GOOD.rstrip("=")),
        ("webhook-signature", f"{GOOD}="),
        ("webhook-signature", f"{GOOD},"),
        ("webhook-signature", f"\t{GOOD}"),
        ("webhook-signature", f"{GOOD}\n"),
        ("webhook-signature", f"v2,{GOOD}"),
        ("webhook-timestamp", "1614265330.0"),
        ("webhook-timestamp", " 1614265330"),
        ("webhook-timestamp", "1614265330\n"),
        ("webhook-timestamp", "161426_5330"),
        ("webhook-timestamp", "+1614265330"),
        ("webhook-timestamp", "1614265330abc"),
        ("webhook-timestamp", "\u0661\u0666"),
        ("webhook-timestamp", "9" * 5000),
        ("webhook-id", ""),
        ("webhook-id", "a" * 129),
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek "),
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek\n"),
        ("webhook-id", "msg.p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJe\u212a"),
    ],
)
def test_what_is_no_proof(name: str, value: str) -> None:
    with pytest.raises(SignatureInvalid, match="webhook-"):
        verify({name: value})


def test_an_id_cannot_move_the_border_to_the_body() -> None:
    """`x.1614265330` with a body, and `x` with `1614265330.` before it, would be the same signed bytes."""
    key = key_of(SECRET)
    assert key is not None
    inner = b"1614265330." + BODY
    assert sign(BODY, key, "x.1614265330", "1614265330") == sign(inner, key, "x", "1614265330")
    moved = {**HEADERS, "webhook-id": "x.1614265330"}
    moved["webhook-signature"] = sign(BODY, key, "x.1614265330", "1614265330").decode()
    with pytest.raises(SignatureInvalid, match="webhook-id"):
        verify(moved)


@pytest.mark.parametrize(
    ("secret", "usable"),
    [
        (SECRET, True),
        (secret_of(24), True),
        (secret_of(64), True),
        (secret_of(23), False),
        (secret_of(65), False),
        (secret_of(1), False),
        ("whsec_", False),
        (SECRET.removeprefix("whsec_"), False),
        (secret_of(25).rstrip("="), False),
        ("whsec_" + "*" * 40, False),
        ("whsec_" + "\u0663" * 40, False),
        (f"{SECRET} ", False),
    ],
)
def test_which_secrets_may_be_used(secret: str, usable: bool) -> None:
    settings = SourceSettings("shop", (SECRET, secret))
    if usable:
        CONNECTOR.check_settings(settings)
        return
    assert key_of(secret) is None
    with pytest.raises(ConfigurationError, match="whsec_") as error:
        CONNECTOR.check_settings(settings)
    assert error.value.field == "secrets"
    verify(secrets=(secret, SECRET))


def test_the_key_is_the_signed_id() -> None:
    def key(name: str, body: bytes) -> bytes:
        return CONNECTOR.key(RawEvent({"webhook-id": name}, body, 0))

    assert key("a", b"1") == key("a", b"2") != key("b", b"1")
    assert key("", b"1") != key("", b"2")
