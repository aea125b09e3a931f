"""What Salesforce's clients are answered, as models by Salesforce's names."""

from __future__ import annotations

from typing import Any, Literal

from adapter.web.dialects import Answered

Figure = int | float
Status = Literal["Pending", "Processed", "Cancelled", "Error"]
RedemptionStatus = Literal["pending", "processed", "released", "expired", "reversed"]


class BalanceShown(Answered):
    """A balance; `balance` is the one that was asked for by `balanceType`. The last two only with `includeExpiring`."""

    member_id: str
    program_name: str
    program_currency: str
    balance_type: Literal["TOTAL", "AVAILABLE", "PENDING", "RESERVED"]
    balance: Figure
    total_balance: Figure
    available_balance: Figure
    pending_balance: Figure
    reserved_balance: Figure
    as_of: str
    expiring_balance: Figure | None = None
    next_expiry_date: str | None = None


class TransactionShown(Answered):
    """A journal: points earned, redeemed, or brought back."""

    transaction_id: str
    member_id: str
    points: Figure
    journal_type: Literal["Accrual", "Redemption"]
    journal_sub_type: str | None
    transaction_type: str | None
    order_id: str | None
    status: Status
    processing_status: Status
    original_transaction_id: str | None
    activity_date: str
    created_date: str
    available_date: str | None


class RedemptionShown(Answered):
    """Points redeemed, and the money off that was had for them where the program says what they are worth."""

    id: str
    transaction_id: str
    status: RedemptionStatus
    member_id: str
    points: Figure
    order_id: str | None
    redemption_type: str | None
    discount_amount: int | None
    currency_iso_code: str | None
    discount_code: str | None
    lock_expires_at: str | None
    needs_reconciliation: bool
    created_date: str


class RejectedShown(Answered):
    """A redemption that was not made, for a client that asked not to be refused."""

    id: None = None
    status: Literal["rejected"] = "rejected"
    error_code: str
    message: str
    member_id: str
    requested: Figure
    available: Figure
    order_id: str | None
    redemption_type: str | None


class VersionShown(Answered):
    label: str
    url: str
    version: str


class CompositeShown(Answered):
    composite_response: list[dict[str, Any]]
