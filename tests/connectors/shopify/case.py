"""Shopify, for the tests of the contract."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.shopify import CONNECTOR
from tests.connectors.case import Case, read_samples

if TYPE_CHECKING:
    from adapter.clock import Millis


def sign(topic: str, body: bytes, secret: str, _now: Millis) -> dict[str, str]:
    digest = hmac.digest(secret.encode(), body, hashlib.sha256)
    return {"x-shopify-topic": topic, "x-shopify-hmac-sha256": base64.b64encode(digest).decode()}


CASE = Case(
    connector=CONNECTOR,
    secrets=("hush", "hush-hush"),
    sign=sign,
    signature="x-shopify-hmac-sha256",
    samples=read_samples(Path(__file__).parent / "payloads", "/"),
    unknown=("planets/align", b'{"id": 1}'),
)
