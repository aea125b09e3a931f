"""Everything that can change the book. Each goes through `engine.submit(command)` and is answered when durable."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from adapter.clock import Millis
from adapter.events import Event


class RecordEvent(msgspec.Struct, frozen=True, kw_only=True, tag="record_event", gc=False):
    """A verified webhook of a source.

    `refusal` is set where there are no events: the webhook is stored as `ignored` or `rejected` with that reason.
    `event_id` is set when a stored event is taken in again (a replay after a fix): its row is updated, and no key is
    checked. `member` is set where a stored event is carried out in another book: whose it was, so that whom it makes
    a member there is called the same.
    """

    env: int
    source: str
    key: bytes
    topic: str
    headers: dict[str, str]
    body: bytes
    received_at: Millis
    events: tuple[Event, ...] = ()
    refusal: tuple[str, str] | None = None  # (EventState.IGNORED or REJECTED, reason)
    event_id: int | None = None
    member: int | None = None


class Elapse(msgspec.Struct, frozen=True, kw_only=True, tag="elapse", gc=False):
    """Let time take effect for one member and balance definition: post what is due, expire what ran out."""

    env: int
    member: int
    definition: int


class LapseVoucher(msgspec.Struct, frozen=True, kw_only=True, tag="lapse_voucher", gc=False):
    """Let a voucher expire whose time is over, or remind its member that it soon is."""

    env: int
    member: int
    voucher: int


class Review(msgspec.Struct, frozen=True, kw_only=True, tag="review", gc=False):
    """Let time take effect on where one member stands in a program: anniversaries, tiers, a birthday."""

    env: int
    member: int
    program: str


class Once(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An Idempotency-Key: the first answer under it is the answer ever after, until `ends_at`.

    `key` and `request` are digests: of the key with its route, and of what was asked.
    """

    key: bytes
    request: bytes
    ends_at: Millis


class Asked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What every command of the API says. `once` is the Idempotency-Key that it came under."""

    env: int
    received_at: Millis
    once: Once | None = None


class BeginTransaction(Asked, frozen=True, kw_only=True, tag="begin_transaction", gc=False):
    """Credit or debit a member: at once, or in two phases.

    Pending, a credit waits in `pending` and a debit holds its points in `reserved`, until it is completed, cancelled,
    or past its `deadline`; or until `completes_at`, where time alone completes it. Credited points can be used once it is
    complete and `available_at` has come: in a program that posts in batches at the next boundary, unless `immediate`.
    `points_end_at` is when they end, or so many milliseconds (`points_last`) after they can be used; None: as the
    program says. Amounts are in the definition's smallest units. The
    caller draws `id`, so that the stored command makes the same transaction again. `metadata` is any JSON
    by name.
    """

    id: int
    member: int
    definition: int
    kind: str  # credit | debit
    amount: int
    complete: bool
    occurred_at: Millis
    deadline: Millis | None = None
    points_end_at: Millis | None = None
    points_last: Millis | None = None
    available_at: Millis | None = None
    immediate: bool = False
    completes_at: Millis | None = None
    reason: str | None = None
    metadata: dict[str, Any] = {}


class EndTransaction(Asked, frozen=True, kw_only=True, tag="end_transaction", gc=False):
    """Complete or cancel a pending transaction. Of two that come at once exactly one wins; the other is refused."""

    transaction: int
    member: int
    definition: int
    state: str  # completed | cancelled
    immediate: bool = False  # as of `BeginTransaction`
    reason: str | None = None


class ReverseTransaction(Asked, frozen=True, kw_only=True, tag="reverse_transaction", gc=False):
    """Undo a completed transaction by another one, once. The caller draws `id`, which is that one's."""

    id: int
    transaction: int
    member: int
    definition: int
    reason: str | None = None


class ClearFlag(Asked, frozen=True, kw_only=True, tag="clear_flag", gc=False):
    """Note that a person looked at a flagged redemption, and what was found."""

    redemption: int
    member: int
    definition: int
    note: str


class Advise(Asked, frozen=True, kw_only=True, tag="advise", gc=False):
    """Give or clear the fraud advice of a member: the one before it is over then. `advice` None clears.

    `id` is drawn by the caller, and tells this command from all others.
    """

    id: int
    member: int
    advice: str | None = None
    reason: str | None = None


class BeginRedemption(Asked, frozen=True, kw_only=True, tag="begin_redemption", gc=False):
    """Spend points: on a reward of the catalogue, or on money off, named by its points or by its value.

    Exactly one of `reward`, `points` (the definition's smallest units) and `value` (the smallest units of the program's
    currency of redeeming) is set; what it costs and is worth is the program's to say. The caller draws `id` and `code`,
    so that the stored command makes the same redemption again. `order` is (source, the shop's id).

    With `apply` a discount is used at once instead of held for its order; where the program gives no money for `points`,
    it then is the caller who says what they are worth. Until `locks_until` a discount that waits, or was applied at once,
    keeps all other redemptions of the balance back. `last_known` is what was available when a till that could not ask last
    read the balance: it has granted this already, at `occurred_at`.
    """

    id: int
    member: int
    definition: int
    code: str  # upper-case; only a discount takes it
    reward: str | None = None
    points: int | None = None
    value: int | None = None
    order: tuple[str, str] | None = None
    payment: str | None = None
    shipping: dict[str, str] | None = None
    reason: str | None = None
    metadata: dict[str, str] = {}
    apply: bool = False
    locks_until: Millis | None = None
    last_known: int | None = None
    last_sequence: int | None = None
    occurred_at: Millis | None = None


class MoveRedemption(Asked, frozen=True, kw_only=True, tag="move_redemption", gc=False):
    """Move a redemption on. Of two moves that come at once exactly one wins; the other is refused.

    `force` reverses what was applied or fulfilled already. `tracking` is of a fulfilled item.
    """

    redemption: int
    member: int
    definition: int
    state: str  # applied | released | fulfilled | reversed
    reason: str | None = None
    tracking: str | None = None
    force: bool = False


class AttributeVoucher(Asked, frozen=True, kw_only=True, tag="attribute_voucher", gc=False):
    """Give a member a voucher by hand: for a reward of the catalogue, an amount of money, or a percentage.

    The caller draws `id` and `code` (upper-case), so that the stored command makes the same voucher again. `value` is in
    the currency's smallest units, `percent` a decimal. `ends_at` None: never.
    """

    id: int
    member: int
    program: str
    code: str
    reward: str | None = None
    value: int | None = None
    currency: str | None = None
    percent: str | None = None
    ends_at: Millis | None = None
    reason: str | None = None
    metadata: dict[str, str] = {}
    worth: str | None = None  # decimal: what somebody says the reward is worth
    valid_from: Millis | None = None


class MoveVoucher(Asked, frozen=True, kw_only=True, tag="move_voucher", gc=False):
    """Redeem or revoke a voucher. `order` is (source, the shop's id) of the order that used it.

    Held, it is kept for whoever drew the id `hold` until `until`, who redeems or releases it by that; nobody else uses it.
    It can be held and released again and again: the caller draws an `id` for these, which tells each from the others.

    One that a rule attributed is named by its `occasion` (program, rule, occasion) besides: its id is drawn anew where
    the book is made again.
    """

    voucher: int
    member: int
    occasion: tuple[str, str, str] | None = None
    state: str  # redeemed | revoked | held | released
    order: tuple[str, str] | None = None
    reason: str | None = None
    hold: int | None = None
    until: Millis | None = None
    id: int | None = None


class PlaceOrder(Asked, frozen=True, kw_only=True, tag="place_order", gc=False):
    """Place a balance order, with the pending transaction that does it. Its completion or end is the transaction's.

    `amount` is below zero for a debit. `due_at` only informs, unless the program completes orders that are due.
    The caller draws both ids.
    """

    id: int
    transaction: int
    member: int
    definition: int
    amount: int
    source: str  # engine | user
    due_at: Millis
    deadline: Millis | None = None  # past it, and still pending, it has expired
    metadata: dict[str, Any] = {}


class BeginPayment(Asked, frozen=True, kw_only=True, tag="begin_payment", gc=False):
    """Tell of a payment that is an order by itself, to rehearse what a shop's webhooks would tell. Nobody is charged.

    `amount` is before discounts, in the currency's smallest unit; `redemptions` are taken off it. `source` is whose
    customer ids `customer` is among; who is no member yet becomes one under the id `member`, where `program` enrols by
    itself. The caller draws `id`.
    """

    id: int
    source: str
    program: str
    amount: int
    currency: str
    member: int
    customer: str | None = None
    redemptions: tuple[int, ...] = ()
    state: str = "pending"  # pending | completed | failed: as far as it gets at once


class EndPayment(Asked, frozen=True, kw_only=True, tag="end_payment", gc=False):
    """Tell how such a payment ended. Of two that come at once exactly one wins; the other is refused."""

    payment: int
    source: str
    program: str
    state: str  # completed | failed | cancelled | expired


class EnrolMember(Asked, frozen=True, kw_only=True, tag="enrol_member", gc=False):
    """Make somebody a member, known to a shop or to none. The caller draws `id`.

    `customer` is (source, the shop's customer id), `also` are further ones; `birthday` is YYYY-MM-DD. Without `welcome`
    no sign-up bonus is given: they were members before, elsewhere.
    """

    id: int
    joined_at: Millis
    customer: tuple[str, str] | None = None
    also: tuple[tuple[str, str], ...] = ()
    email: str | None = None
    name: str | None = None
    birthday: str | None = None
    metadata: dict[str, str] = {}
    welcome: bool = True
    program: str | None = None  # the one that is joined; None: the shop's, or the only one there is


class UpdateMember(Asked, frozen=True, kw_only=True, tag="update_member", gc=False):
    """Change what is known of a member: what is unset stays, what is None goes. `id` tells it from other changes."""

    id: int
    member: int
    email: str | UnsetType | None = UNSET
    name: str | UnsetType | None = UNSET
    birthday: str | UnsetType | None = UNSET
    metadata: dict[str, str] | UnsetType | None = UNSET


class LinkCustomer(Asked, frozen=True, kw_only=True, tag="link_customer", gc=False):
    """Let a further customer id of a shop lead to a member, or let one of theirs lead to nobody any more.

    `customer` is (source, the shop's customer id); `id` tells the command from others.
    """

    id: int
    member: int
    customer: tuple[str, str]
    linked: bool = True


class TurnMember(Asked, frozen=True, kw_only=True, tag="turn_member", gc=False):
    """Delete a member, take the deletion back, or erase who they are. `id` tells it from other commands."""

    id: int
    member: int
    state: str  # deleted | active | erased


class MergeMembers(Asked, frozen=True, kw_only=True, tag="merge_members", gc=False):
    """Make all that is `member`'s the other's: points, orders, what the shops call them."""

    member: int
    into: int


class TransferPoints(Asked, frozen=True, kw_only=True, tag="transfer_points", gc=False):
    """Give points of a member to another. The caller draws the ids: of the debit, and of the credit."""

    id: int
    credit: int
    member: int
    to: int
    definition: int
    amount: int
    reason: str | None = None


class AssignTier(Asked, frozen=True, kw_only=True, tag="assign_tier", gc=False):
    """Put a member on a tier by hand until an instant, or for good where there is none; no rule moves it before.

    Without a `tier` an assignment ends, and the measure decides. The caller draws `id`, by which it is carried out once.
    """

    id: int
    member: int
    program: str
    group: str
    tier: str | None = None
    until: Millis | None = None
    reason: str | None = None


ApiCommand = (
    BeginTransaction
    | EndTransaction
    | ReverseTransaction
    | PlaceOrder
    | Advise
    | BeginRedemption
    | MoveRedemption
    | ClearFlag
    | BeginPayment
    | EndPayment
    | AttributeVoucher
    | MoveVoucher
    | EnrolMember
    | UpdateMember
    | LinkCustomer
    | TurnMember
    | MergeMembers
    | TransferPoints
    | AssignTier
)
"""What the API asks for. Each is stored as an event once it is carried out; `engine/carrying.py` says how."""

Command = RecordEvent | Elapse | LapseVoucher | Review | ApiCommand
