"""WooCommerce, for the tests of the contract."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.woocommerce import CONNECTOR
from tests.connectors.case import Case, read_samples

if TYPE_CHECKING:
    from adapter.clock import Millis


def sign(topic: str, body: bytes, secret: str, _now: Millis) -> dict[str, str]:
    digest = hmac.digest(secret.encode(), body, hashlib.sha256)
    return {"x-wc-webhook-topic": topic, "x-wc-webhook-signature": base64.b64encode(digest).decode()}


SAMPLES = read_samples(Path(__file__).parent / "payloads")
CASE = Case(
    connector=CONNECTOR,
    secrets=("hush", "hush-hush"),
    sign=sign,
    signature="x-wc-webhook-signature",
    samples={topic: body for topic, body in SAMPLES.items() if topic in CONNECTOR.event_types},
    unknown=("planet.aligned", b'{"id": 1}'),
)
