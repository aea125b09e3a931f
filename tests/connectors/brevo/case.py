"""Brevo's orders and events, for the tests of the contract: signed as the standard says, where no key of the API does."""

from __future__ import annotations

from pathlib import Path

from connectors.brevo.connector import CONNECTOR
from tests.connectors.case import Case, read_samples
from tests.connectors.standard.case import CASE as STANDARD

CASE = Case(
    connector=CONNECTOR,
    secrets=STANDARD.secrets,
    sign=STANDARD.sign,
    signature=STANDARD.signature,
    samples=read_samples(Path(__file__).parent / "payloads"),
    unknown=("planet_aligned", b'{"event_name": "planet_aligned"}'),
)
