"""What the API answers, as models: they are its documentation, and the tests hold every answer against them.

Answers are built as plain dicts and never pass through these models on their way out. Points are whole
numbers, or text such as `"12.50"` where the balance definition has decimals; instants are ISO 8601 in UTC
with milliseconds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from adapter.web.routing import Shown

Points = Annotated[
    int | str, Field(examples=[99], description="A whole number; text where there are decimals.")
]
Instant = Annotated[
    str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-20T12:00:00.000Z"])
]
MemberId = Annotated[str, Field(examples=["mem_0000000000005"])]
TransactionId = Annotated[str, Field(examples=["txn_0000000000007"])]


class Balances(Shown):
    """`posted = available + reserved`, `total = posted + pending`."""

    total: Points
    posted: Points
    available: Points
    pending: Points
    reserved: Points
    owed: Points = Field(description="Taken back after it had been used; the next credits repay it.")


class Expiring(Shown):
    amount: Points = Field(description="What ends within 30 days.")
    next_at: Instant | None = Field(description="When the next points end, however far away.")


class NativeBalance(Balances):
    """A balance as of `as_of`; `sequence` is that of the newest `balance.updated` message."""

    member: MemberId
    program: str
    balance_definition: str
    expiring: Expiring
    sequence: int
    as_of: Instant


class MemberShown(Shown):
    """Who holds points. `balances` only where one member is shown."""

    id: MemberId
    state: Literal["active", "deleted", "erased", "merged"]
    email: str | None
    name: str | None
    birthday: str | None = Field(examples=["1990-02-28"])
    metadata: dict[str, str]
    merged_into: MemberId | None = Field(
        description="Who has everything of theirs, and answers to their ids."
    )
    source_ids: list[str] = Field(examples=[["shop:7000"]])
    created_at: Instant
    updated_at: Instant
    deleted_at: Instant | None
    balances: list[NativeBalance] | None = None


class StatementLine(Shown):
    """One transfer, with the balances after it. Transfers of one change share its `sequence`."""

    sequence: int
    n: int
    kind: str
    from_: str = Field(alias="from")
    to: str
    amount: Points
    source: str | None
    order: str | None
    transaction: str | None
    event: str | None
    occurred_at: Instant
    posted_at: Instant
    hash: str
    balances: Balances


class StatementShown(Shown):
    member: MemberId
    program: str
    balance_definition: str
    as_of: Instant
    data: list[StatementLine]
    next_cursor: str | None
    closing: Balances = Field(description="The sum of all transfers until `as_of`.")


class TransferExplained(Shown):
    sequence: int
    kind: str
    from_: str = Field(alias="from")
    to: str
    amount: Points
    event: str | None
    posted_at: Instant


class EventExplained(Shown):
    id: str
    source: str
    topic: str
    types: list[str]
    state: str
    occurred_at: Instant
    received_at: Instant


class LotExplained(Shown):
    pending: Points
    available: Points
    reserved: Points
    expired: Points
    earned_at: Instant
    available_at: Instant | None
    expires_at: Instant | None


class PartOfAward(Shown):
    rule: str = Field(
        examples=["base"], description="`base` where the program has a rate and no list of rules."
    )
    points: Points


class AwardShown(Shown):
    """What the order earned in all, and by which rules; a transaction may be of a part of it."""

    points: Points
    parts: list[PartOfAward]


class StandingKept(Shown):
    """Where the member stood when the order was settled first; `room` is what the caps of its windows left for it."""

    tier: str | None
    first_order: bool
    room: Points | None


class OrderExplained(Shown):
    """One order's points: the story in `sentences`, and what it rests on."""

    source: str
    order: str
    name: str | None
    member: MemberId | None
    state: str
    reason: str | None
    sentences: list[str]
    currency: str | None
    basis: str | None
    program_version: int | None
    award: Points
    parts: list[PartOfAward] = Field(description="Which rules of the program gave the award.")
    standing: StandingKept | None
    retained: Points
    lot: LotExplained | None
    events: list[EventExplained]
    transfers: list[TransferExplained]
    net: dict[str, Points] = Field(description="What the order brought to and took from each account.")


class ExplanationShown(Shown):
    member: MemberId
    source_ids: list[str]
    program: str
    balance_definition: str
    unit: str
    as_of: Instant
    balances: Balances
    sentences: list[str]
    adds_up: bool = Field(
        description="Whether the transfers give the balance; false is a reason to run `audit`."
    )
    orders: list[OrderExplained]
    more_orders: int
    other_transfers: list[TransferExplained]
    other_changes: dict[str, Points]


class TransactionShown(Shown):
    """A credit or a debit; it owns the transfers that name it."""

    id: str
    member: MemberId
    program: str
    balance_definition: str
    type: Literal["credit", "debit"]
    state: Literal["pending", "completed", "cancelled", "expired", "rejected"]
    amount: Points
    available_at: Instant | None = Field(
        description="From when on credited points can be used; null while that is not known, and for debits."
    )
    reason: str | None
    source: str | None
    order: str | None
    event: str | None
    occurred_at: Instant
    created_at: Instant
    updated_at: Instant
    completed_at: Instant | None
    cancelled_at: Instant | None
    rejected_at: Instant | None
    award: AwardShown | None = Field(None, description="Of an order's credit; only where one is shown.")
    expires_at: Instant | None
    redemption: str | None = Field(description="The redemption that owns it, and alone moves it.")
    reverses: str | None = Field(description="The transaction that it undoes.")
    metadata: dict[str, Any] = Field(description="Text by name; a dialect's clients may have given any JSON.")


class BalanceOrderShown(Shown):
    """A business order's credit or debit. Its state and times are its transaction's."""

    id: str
    transaction: str
    member: MemberId
    program: str
    balance_definition: str
    state: Literal["pending", "completed", "cancelled", "expired", "rejected"]
    amount: Points = Field(description="Below zero for a debit.")
    source: Literal["engine", "user"]
    due_at: Instant
    available_at: Instant | None
    expires_at: Instant | None
    processed_at: Instant | None
    cancelled_at: Instant | None
    rejected_at: Instant | None
    reason: str | None
    created_at: Instant
    updated_at: Instant
    metadata: dict[str, Any]


class DescribedShown(Shown):
    title: str | None
    description: str | None
    image: str | None
    metadata: dict[str, Any]


class DefinitionShown(DescribedShown):
    """Amounts are whole units; null where there is no bound. `expiry` is null where it is the program's."""

    name: str
    unit: str
    decimals: int
    min_amount: str | None
    max_amount: str | None
    max_credit: str | None
    max_debit: str | None
    overtaking: Literal["strict", "partial"]
    credit_rounding: Literal["down", "half_up", "up"] | None
    debit_rounding: Literal["down", "half_up", "up"] | None
    expiry: dict[str, Any] | None
    limits: list[dict[str, Any]]
    retired: bool


class ProgramShown(DescribedShown):
    """A program's version in force, or its draft. `starts` and the like are as the program says them."""

    name: str
    version: int
    published_at: Instant | None = Field(description="Null for a draft.")
    state: Literal["draft", "published", "paused", "ended"]
    archived: bool
    starts: str | None
    ends: str | None
    spend_until: str | None
    processing_mode: Literal["realtime", "batch"]
    batch_interval_s: int
    auto_process_due_orders: bool
    timezone: str
    balance_definitions: list[DefinitionShown]
    earning: dict[str, Any]
    expiry: dict[str, Any]
    reminders: dict[str, Any]
    voucher_reminders: dict[str, Any]
    anniversaries: dict[str, Any]
    clawback: dict[str, Any]
    members: dict[str, Any]
    tier_groups: list[dict[str, Any]]
    bonuses: dict[str, Any]
    redeeming: dict[str, Any]
    rewards: list[dict[str, Any]]
    voucher_rules: list[dict[str, Any]]
    point_value: str | None
    currency: str | None


class EventShown(Shown):
    """What came in. `headers` and the body only where one is shown; `body` is null if it is not text."""

    id: str
    source: str
    topic: str
    types: list[str]
    state: Literal["applied", "parked", "ignored", "rejected"]
    reason: str | None
    explanation: str | None
    order_source: str | None
    order: str | None
    member: MemberId | None
    occurred_at: Instant
    received_at: Instant
    posted_at: Instant
    emptied_at: Instant | None = Field(None, description="When its headers and body were removed by age.")
    headers: dict[str, str] | None = None
    body: str | None = None
    body_base64: str | None = None


class OutcomeShown(Shown):
    """What became of a webhook."""

    event: str
    status: Literal["applied", "parked", "ignored", "rejected"]
    duplicate: bool
    reason: str | None = None


class MessageDelivery(Shown):
    id: str
    endpoint: str
    state: str
    attempts: int
    last_status: int | None
    last_error: str | None


class MessageShown(Shown):
    """What went out. `body` is the frozen bytes' text; it and `deliveries` only where one is shown."""

    id: str
    type: str
    member: MemberId | None
    program: str | None
    balance_definition: str | None
    sequence: int | None
    created_at: Instant
    body: str | None = None
    deliveries: list[MessageDelivery] | None = None


class FieldProblem(Shown):
    field: str
    message: str


class ProblemShown(Shown):
    """An error as RFC 9457 has it. `code` is stable; name `request_id` when the fault is ours."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldProblem]
    request_id: str
    figures: dict[str, Points] | None = None  # what a refusal depends on, such as what is available
