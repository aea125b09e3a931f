"""The standard connector, for the tests of the contract."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.standard import CONNECTOR
from tests.connectors.case import Case, read_samples

if TYPE_CHECKING:
    from adapter.clock import Millis


def sign(_topic: str, body: bytes, secret: str, now: Millis, name: str = "msg_1") -> dict[str, str]:
    seconds = str(now // 1000)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{name}.{seconds}.".encode() + body, hashlib.sha256)
    token = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": name, "webhook-timestamp": seconds, "webhook-signature": token}


CASE = Case(
    connector=CONNECTOR,
    secrets=(
        "whsec_" + base64.b64encode(b"k" * 24).decode(),
        "whsec_" + base64.b64encode(b"q" * 64).decode(),
    ),
    sign=sign,
    signature="webhook-signature",
    samples=read_samples(Path(__file__).parent / "payloads"),
    unknown=("planet.aligned", b'{"type": "planet.aligned"}'),
)
