"""What reports answer, as models: their documentation, which the tests hold every answer against."""

from __future__ import annotations

from pydantic import Field

from adapter.web.routing import Shown
from adapter.web.shown import Instant, MemberId, Points

Money = str


class ExpiryShown(Shown):
    """What ends in a month of the program's time zone; `never`; or `undecided` while a fact is awaited."""

    expires: str = Field(examples=["2027-11"])
    pending: Points
    available: Points
    reserved: Points
    points: Points = Field(description="All of these together.")
    value: Money | None


class MonthShown(Shown):
    """What was posted in a month of the program's time zone, less what was taken back of it."""

    month: str = Field(examples=["2026-11"])
    issued: Points
    redeemed: Points
    expired: Points
    revoked: Points
    adjusted: Points


class DefinitionLiability(Shown):
    """One balance definition. `outstanding = pending + available + reserved - owed`."""

    program: str
    balance_definition: str
    unit: str
    point_value: Money | None = Field(description="Money for one unit, as the program in force then says.")
    currency: str | None
    pending: Points
    available: Points
    reserved: Points
    owed: Points
    outstanding: Points
    value: Money | None = Field(description="Of what is outstanding.")
    lapsed: Points = Field(description="Over, although the sweep has not come by; in none of the above.")
    by_expiry: list[ExpiryShown]
    issued: Points
    expired: Points
    revoked: Points
    breakage_rate: str | None = Field(description="Expired / issued; nothing where nothing was issued.")
    by_month: list[MonthShown]


class MoneyShown(Shown):
    currency: str
    value: Money


class LiabilityShown(Shown):
    as_of: Instant
    definitions: list[DefinitionLiability]
    totals: list[MoneyShown]


class TransferLine(Shown):
    """One side of a transfer: an account is debited or credited."""

    entry: str = Field(
        description="The transfer; both its lines have the same.", examples=["mem_0000000000005.1.12.0"]
    )
    program: str
    balance_definition: str
    member: MemberId
    account: str = Field(
        description="A member's account, or the program's: `issued`, `redeemed` and the like."
    )
    debit: Points | None
    credit: Points | None
    kind: str
    order_source: str | None
    order: str | None
    transaction: str | None
    event: str | None
    occurred_at: Instant
    posted_at: Instant


class AccountShown(Shown):
    """One account; `total` is all of a balance definition."""

    program: str
    balance_definition: str
    account: str
    debit: Points
    credit: Points
    balance: Points = Field(description="Debit less credit.")


class TrialBalanceShown(Shown):
    accounts: list[AccountShown]
