"""Signatures, held against the published constants and against the official library."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from adapter.catalog import EndpointSecret
from adapter.delivery import signing
from adapter.errors import Refused
from tests.delivery.world import SECRET


def test_the_published_constants() -> None:
    headers = signing.headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330_999,
        b'{"test": 2432232314}',
        [signing.decode_secret(SECRET)],
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(
    body=st.text().map(str.encode), key=st.binary(min_size=24, max_size=64), at_s=st.integers(0, 4 * 10**9)
)
def test_the_official_library_signs_alike(body: bytes, key: bytes, at_s: int) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    official = Webhook(secret).sign("msg_1", datetime.fromtimestamp(at_s, UTC), body.decode())
    ours = signing.headers("msg_1", at_s * 1000, body, [signing.decode_secret(secret)])
    assert ours["webhook-signature"] == official


def test_all_secrets_in_force_sign_newest_first_with_one_space() -> None:
    new, old, expired = (signing.new_secret() for _ in range(3))
    secrets = [EndpointSecret(new), EndpointSecret(old, 2_000), EndpointSecret(expired, 1_000)]
    keys = signing.keys_in_force(secrets, 1_000)
    assert keys == (signing.decode_secret(new), signing.decode_secret(old))
    tokens = signing.headers("msg_1", 1_000, b"{}", keys)["webhook-signature"].split(" ")
    assert [len(token) for token in tokens] == [47, 47]  # "v1," and 44 letters of padded base64
    assert tokens[0] == signing.headers("msg_1", 1_000, b"{}", keys[:1])["webhook-signature"]


def test_a_new_secret_has_32_bytes_and_is_never_the_same() -> None:
    made = {signing.new_secret() for _ in range(10)}
    assert len(made) == 10
    assert {len(signing.decode_secret(secret)) for secret in made} == {32}


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "leave out the 'v1,' in front"),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "it begins with 'whsec_'"),
        ("whsec_not base64", "must be base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "must be base64"),  # its padding is missing
        ("whsec_ümlaut", "must be base64"),
        ("whsec_" + base64.b64encode(b"x" * 23).decode(), "it has 23 bytes; 24 to 64"),
        ("whsec_" + base64.b64encode(b"x" * 65).decode(), "it has 65 bytes; 24 to 64"),
        ("", "it begins with 'whsec_'"),
    ],
)
def test_a_bad_secret_is_refused_with_what_to_do(secret: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason) as refused:
        signing.decode_secret(secret)
    assert refused.value.field == "secrets"
    assert refused.value.code == "secret_invalid"


def test_the_body_is_signed_as_bytes_even_when_it_is_no_text() -> None:
    key = signing.decode_secret(SECRET)
    first = signing.headers("msg_1", 0, b"\xff", [key])
    second = signing.headers("msg_1", 0, b"\xfe", [key])
    assert first["webhook-signature"] != second["webhook-signature"]
    assert json.dumps(first)
