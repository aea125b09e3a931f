"""ES Loyalty as a vendor: what a file may say of it. It has no webhooks."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from connectors.vendor import Options, Vendor

NAME = "es_loyalty"
TITLE = "ES Loyalty"


class IdentifierType(StrEnum):
    """By what a session's account is named."""

    ACCOUNT_ID = "ACCOUNT_ID"
    LOYALTY_ID = "LOYALTY_ID"
    EXTERNAL_ID = "EXTERNAL_ID"
    EMAIL = "EMAIL"
    PARTNER_LINK_ID = "PARTNER_LINK_ID"
    PHONE_NUMBER = "PHONE_NUMBER"
    EXTERNAL_AGENT_ID = "EXTERNAL_AGENT_ID"


class EsLoyaltyOptions(Options):
    """What a file may say of ES Loyalty."""

    points_bank: bool = True  # SYSTEM_OF_RECORD: without it there are no balances to ask for
    adhoc_redemption: bool = True  # whether points can be reserved
    dollar_rounding_unit: Annotated[Decimal, Field(gt=0)] | None = None  # of balances; else the currency's
    session_minutes: Annotated[int, Field(ge=1, le=525_600)] = 1440
    identifiers: dict[IdentifierType, str] = Field(default_factory=dict)  # type → source; else `customers_of`
    purchases_of: str | None = None  # the source that purchases are orders of; else `customers_of`
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None  # of purchases; else of redeeming


VENDOR = Vendor(name=NAME, title=TITLE, options=EsLoyaltyOptions)
