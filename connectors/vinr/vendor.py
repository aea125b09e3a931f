"""VINR, besides its API: what a file may say of it, what it tells of a change, and how that is signed."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from connectors.vendor import Options, Parcelled, Vendor
from connectors.vinr.messages import EVENTS, write
from connectors.vinr.words import NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEDULE_S = (60, 300, 1800, 7200, 86_400)
"""When VINR sends again: after 1, 5 and 30 minutes, 2 and 24 hours; then it gives up."""
TIMEOUT_S = 5


class VinrOptions(Options):
    """`code_prefix`: how the codes of discounts begin that VINR's clients redeem."""

    code_prefix: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,16}$")] = "VINR"


def sign(parcel: Parcelled) -> Mapping[str, str]:
    """Return VINR's headers for one attempt.

    VINR's guide does not say what exactly is signed. Here it is `{unix seconds}.{body}`, by HMAC-SHA256 in hex, with the
    whole text of the secret as the key, `whsec_` included.
    `Vinr-Signature` is `t={unix seconds},v1={hex}`, with a `v1` for each secret in force; the older pair of headers has
    the time, and the signature by the newest secret.
    """
    at = str(parcel.at // 1000)
    signed = f"{at}.".encode() + parcel.body
    found = [hmac.new(one.encode(), signed, hashlib.sha256).hexdigest() for one in parcel.secrets]
    return {
        "Vinr-Signature": ",".join((f"t={at}", *(f"v1={one}" for one in found))),
        "x-vinr-timestamp": at,
        "x-vinr-signature": found[0],
    }


VENDOR = Vendor(name=NAME, title="VINR", options=VinrOptions, events=EVENTS, write=write, sign=sign)
