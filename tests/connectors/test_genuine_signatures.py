"""Signatures made by other people's tools are accepted; with one bit flipped, they are not."""

from __future__ import annotations

import base64
import shutil
import subprocess
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
import stripe
from standardwebhooks.webhooks import Webhook

from adapter.clock import to_datetime
from adapter.errors import SignatureInvalid
from connectors.base import RawEvent
from tests.connectors.case import NOW, Case
from tests.connectors.cases import CASES

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = NOW // 1000


def openssl(body: bytes, secret: str) -> str:
    """Return the base64 HMAC-SHA256, as the command line makes it."""
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"key:{secret}", "-binary"]
    done = subprocess.run(command, input=body, capture_output=True, check=True)
    return base64.b64encode(done.stdout).decode()


def by_openssl(case: Case, body: bytes) -> dict[str, str]:
    return {case.signature: openssl(body, case.secrets[0])}


def by_stripe(case: Case, body: bytes) -> dict[str, str]:
    header = stripe.WebhookSignature.generate_signature_header(body.decode(), case.secrets[0], SECONDS)
    return {case.signature: str(header)}


def by_standardwebhooks(case: Case, body: bytes) -> dict[str, str]:
    at: datetime = to_datetime(SECONDS * 1000)
    token = Webhook(case.secrets[0]).sign("msg_1", at, body.decode())
    return {"webhook-id": "msg_1", "webhook-timestamp": str(SECONDS), case.signature: token}


SIGNERS: dict[str, Callable[[Case, bytes], dict[str, str]]] = {
    "shopify": by_openssl,
    "woocommerce": by_openssl,
    "stripe": by_stripe,
    "standard": by_standardwebhooks,
    "brevo": by_standardwebhooks,
}


@pytest.mark.parametrize("name", SIGNERS)
def test_genuine_signatures(name: str) -> None:
    if SIGNERS[name] is by_openssl and shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine")
    case = CASES[name]
    _, body = case.sample
    headers = SIGNERS[name](case, body)
    case.connector.verify(RawEvent(headers, body, NOW), case.settings())
    for bit in range(0, len(body) * 8, 7):
        changed = bytearray(body)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SignatureInvalid):
            case.connector.verify(RawEvent(headers, bytes(changed), NOW), case.settings())


def test_every_connector_has_an_outside_signer() -> None:
    assert SIGNERS.keys() == CASES.keys()


def test_what_we_sign_is_accepted_by_standardwebhooks() -> None:
    case = CASES["standard"]
    topic, body = case.sample
    now = int(datetime.now().astimezone().timestamp())
    headers = case.sign(topic, body, case.secrets[0], now * 1000)
    assert Webhook(case.secrets[0]).verify(body.decode(), headers)["type"] == topic
