"""Brevo, besides its API: what a file may say of it, and what it tells of a change."""

from __future__ import annotations

from typing import Literal

from connectors.brevo.messages import EVENTS, write
from connectors.vendor import Options, Vendor

NAME = "brevo"


class BrevoOptions(Options):
    """`ttl_unit`: Brevo's guide gives a transaction's `ttl` in minutes, its SDKs in seconds."""

    ttl_unit: Literal["minutes", "seconds"] = "minutes"


VENDOR = Vendor(name=NAME, title="Brevo", options=BrevoOptions, events=EVENTS, write=write)
