"""Stripe, for the tests of the contract."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.stripe import CONNECTOR
from tests.connectors.case import Case, read_samples

if TYPE_CHECKING:
    from adapter.clock import Millis


def sign(_topic: str, body: bytes, secret: str, now: Millis) -> dict[str, str]:
    seconds = str(now // 1000)
    digest = hmac.digest(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256)
    return {"stripe-signature": f"t={seconds},v1={digest.hex()}"}


SAMPLES = read_samples(Path(__file__).parent / "payloads")
STRANGE = {**json.loads(SAMPLES["charge.succeeded"]), "type": "planet.aligned"}
CASE = Case(
    connector=CONNECTOR,
    secrets=("whsec_hush", "whsec_hush-hush"),
    sign=sign,
    signature="stripe-signature",
    samples={topic: body for topic, body in SAMPLES.items() if topic in CONNECTOR.event_types},
    unknown=("planet.aligned", json.dumps(STRANGE).encode()),
)
