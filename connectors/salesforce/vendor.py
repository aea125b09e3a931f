"""What a file may say of the dialect. Its webhooks are our own: Salesforce documents none for balances."""

from __future__ import annotations

from typing import Literal

from connectors.vendor import Options, Vendor


class SalesforceOptions(Options):
    """Whether a redemption spends its points at once, or holds them until its order is paid or off."""

    redemptions: Literal["spent", "held"] = "spent"


VENDOR = Vendor(name="salesforce", title="Salesforce Loyalty", options=SalesforceOptions)
