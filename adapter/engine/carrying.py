"""How each command of the API is carried out: what it touches, who decides it, and how it is stored.

A new command is a struct in `commands.py`, a decision in `book/`, and a line of this table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adapter.book.advising import advise
from adapter.book.assigning import assign_tier
from adapter.book.balance_orders import place_order
from adapter.book.degraded import clear_flag
from adapter.book.enrolling import enrol_member, link_customer, turn_member, update_member
from adapter.book.giving import transfer_points
from adapter.book.merging import merge_members
from adapter.book.paying import begin_payment, end_payment, order_of
from adapter.book.redeeming import begin_redemption, move_redemption
from adapter.book.reversing import reverse_transaction
from adapter.book.transacting import begin_transaction, end_transaction
from adapter.book.vouching import attribute_voucher, move_voucher
from adapter.commands import (
    Advise,
    AssignTier,
    AttributeVoucher,
    BeginPayment,
    BeginRedemption,
    BeginTransaction,
    ClearFlag,
    Elapse,
    EndPayment,
    EndTransaction,
    EnrolMember,
    LapseVoucher,
    LinkCustomer,
    MergeMembers,
    MoveRedemption,
    MoveVoucher,
    PlaceOrder,
    RecordEvent,
    ReverseTransaction,
    Review,
    TransferPoints,
    TurnMember,
    UpdateMember,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from adapter.book.working import BalanceKey, Link, Occasion, OrderKey, WorkingSet
    from adapter.commands import ApiCommand, Command
    from adapter.outcome import Outcome

    Decide = Callable[[WorkingSet, Any, int], Outcome]
    """Decides a command; the last argument is the id under which it is stored."""


@dataclass(slots=True)
class Touched:
    """What has to be loaded before the commands of a batch can be decided."""

    members: set[tuple[int, int]] = field(default_factory=set)  # (env, member)
    balances: set[BalanceKey] = field(default_factory=set)  # time passes for these first
    spent: set[BalanceKey] = field(default_factory=set)  # those of which points are taken: their next lots
    transactions: set[tuple[int, int]] = field(default_factory=set)  # (env, transaction), with their lots
    redeems: set[BalanceKey] = field(
        default_factory=set
    )  # those to redeem from: their limits, locks and advice
    booked: set[tuple[int, int, int, str]] = field(
        default_factory=set
    )  # balances with `credit` or `debit`: what their limits count
    vouchers: set[tuple[int, int]] = field(default_factory=set)  # (env, voucher)
    occasions: set[Occasion] = field(default_factory=set)  # whose vouchers are asked for
    codes: set[tuple[int, str]] = field(default_factory=set)  # (env, code), which a voucher may have
    advised: set[tuple[int, int]] = field(default_factory=set)  # (env, member) whose newest advice counts
    undone: set[tuple[int, int]] = field(default_factory=set)  # (env, transaction) to be reversed
    orders: set[OrderKey] = field(default_factory=set)
    redemptions: set[tuple[int, int]] = field(default_factory=set)  # (env, redemption), with their lots
    links: set[Link] = field(
        default_factory=set
    )  # by which orders name redemptions, or may name what is begun
    whole: set[tuple[int, int]] = field(default_factory=set)  # members of whom everything is needed
    customers: set[tuple[int, str, str]] = field(default_factory=set)  # (env, source, customer id)
    addresses: set[tuple[int, str]] = field(default_factory=set)  # (env, e-mail address)


@dataclass(frozen=True, slots=True)
class Way:
    """How one kind of command is carried out.

    `noun` begins the topic of its entry in the journal, `entry` tells its entry from all others of the environment:
    what is carried out under one of them is carried out once. `spends` names the balance that points are taken of,
    for commands that can be refused because they are too few.
    """

    noun: str
    decide: Decide
    touch: Callable[[Any, Touched], None]
    entry: Callable[[Any], str]
    member: Callable[[Any], int | None] = lambda command: command.member
    order: Callable[[Any], tuple[str, str] | None] = lambda _command: None
    occurred_at: Callable[[Any], int] = lambda command: command.received_at
    spends: Callable[[Any], BalanceKey] = lambda command: (command.env, command.member, command.definition)


def touched_by(commands: Iterable[Command]) -> Touched:
    """Return what these commands touch. What a webhook touches is known only from its order."""
    touched = Touched()
    for command in commands:
        if isinstance(command, RecordEvent):
            continue
        if isinstance(command, Elapse):
            touched.members.add((command.env, command.member))  # what time posts may move their tier
            touched.balances.add((command.env, command.member, command.definition))
        elif isinstance(command, LapseVoucher):
            touched.members.add((command.env, command.member))
            touched.vouchers.add((command.env, command.voucher))
        elif isinstance(command, Review):
            touched.members.add((command.env, command.member))
        else:
            WAYS[type(command)].touch(command, touched)
    return touched


def carry_out(work: WorkingSet, command: ApiCommand, event: int) -> Outcome:
    """Decide a command; raises `NeedsLots` where it has to see more lots."""
    return WAYS[type(command)].decide(work, command, event)


def _touch_member(command: AssignTier, touched: Touched) -> None:
    touched.members.add((command.env, command.member))


def _touch_begin(command: BeginTransaction, touched: Touched) -> None:
    key = (command.env, command.member, command.definition)
    touched.members.add(key[:2])
    touched.balances.add(key)
    touched.booked.add((*key, command.kind))
    if command.kind == "debit":
        touched.spent.add(key)


def _touch_place(command: PlaceOrder, touched: Touched) -> None:
    key = (command.env, command.member, command.definition)
    touched.members.add(key[:2])
    touched.balances.add(key)
    touched.booked.add((*key, "debit" if command.amount < 0 else "credit"))
    if command.amount < 0:
        touched.spent.add(key)


def _touch_end(command: EndTransaction, touched: Touched) -> None:
    touched.members.add((command.env, command.member))
    touched.balances.add((command.env, command.member, command.definition))
    touched.transactions.add((command.env, command.transaction))


def _touch_reverse(command: ReverseTransaction, touched: Touched) -> None:
    touched.members.add((command.env, command.member))
    touched.balances.add((command.env, command.member, command.definition))
    touched.undone.add((command.env, command.transaction))


def _touch_advise(command: Advise, touched: Touched) -> None:
    touched.members.add((command.env, command.member))
    touched.advised.add((command.env, command.member))


def _touch_redemption(command: BeginRedemption, touched: Touched) -> None:
    key = (command.env, command.member, command.definition)
    touched.members.add(key[:2])
    touched.balances.add(key)
    touched.spent.add(key)
    touched.redeems.add(key)
    touched.advised.add(key[:2])
    touched.links.add((command.env, "code", command.code))
    if command.payment is not None:
        touched.links.add((command.env, "payment", command.payment))
    if command.order is not None:
        touched.orders.add((command.env, *command.order))
        touched.links.add((command.env, "order", ":".join(command.order)))


def _touch_move(command: MoveRedemption | ClearFlag, touched: Touched) -> None:
    touched.members.add((command.env, command.member))
    touched.balances.add((command.env, command.member, command.definition))
    touched.redemptions.add((command.env, command.redemption))


def _touch_attribute(command: AttributeVoucher, touched: Touched) -> None:
    touched.members.add((command.env, command.member))
    touched.links.add((command.env, "code", command.code))


def _touch_voucher(command: MoveVoucher, touched: Touched) -> None:
    touched.members.add((command.env, command.member))
    if command.occasion is None:
        touched.vouchers.add((command.env, command.voucher))
    else:
        touched.occasions.add((command.env, command.member, *command.occasion))


def _entry_of_move(command: MoveVoucher) -> str:
    entry = f"voucher:{command.voucher}:{command.state}"
    return entry if command.id is None else f"{entry}:{command.id}"


def _touch_enrol(command: EnrolMember, touched: Touched) -> None:
    touched.members.add((command.env, command.id))
    customers = (*(() if command.customer is None else (command.customer,)), *command.also)
    touched.customers |= {(command.env, *customer) for customer in customers}
    if command.email is not None:
        touched.addresses.add((command.env, command.email))


def _touch_link(command: LinkCustomer, touched: Touched) -> None:
    touched.members.add((command.env, command.member))
    touched.customers.add((command.env, *command.customer))


def _touch_update(command: UpdateMember, touched: Touched) -> None:
    touched.members.add((command.env, command.member))
    if isinstance(command.email, str):
        touched.addresses.add((command.env, command.email))


def _touch_merge(command: MergeMembers, touched: Touched) -> None:
    both = {(command.env, command.member), (command.env, command.into)}
    touched.members |= both
    touched.whole |= both
    touched.advised |= both


def _touch_transfer(command: TransferPoints, touched: Touched) -> None:
    for member in (command.member, command.to):
        touched.members.add((command.env, member))
        touched.balances.add((command.env, member, command.definition))
    touched.spent.add((command.env, command.member, command.definition))
    touched.advised.add((command.env, command.member))


def _touch_payment(command: BeginPayment, touched: Touched) -> None:
    touched.orders.add((command.env, *order_of(command)))
    touched.links |= {(command.env, "id", str(number)) for number in command.redemptions}
    if command.customer is not None:
        touched.customers.add((command.env, command.source, command.customer))


def _touch_end_payment(command: EndPayment, touched: Touched) -> None:
    touched.orders.add((command.env, *order_of(command)))


WAYS: dict[type[ApiCommand], Way] = {
    BeginTransaction: Way(
        "transaction",
        begin_transaction,
        _touch_begin,
        lambda command: f"begin:{command.id}",
        occurred_at=lambda command: command.occurred_at,
    ),
    EndTransaction: Way(
        "transaction", end_transaction, _touch_end, lambda command: f"end:{command.transaction}"
    ),
    ReverseTransaction: Way(
        "transaction",
        reverse_transaction,
        _touch_reverse,
        lambda command: f"reverse:{command.transaction}",
    ),
    ClearFlag: Way(
        "redemption", clear_flag, _touch_move, lambda command: f"redemption:{command.redemption}:cleared"
    ),
    AttributeVoucher: Way(
        "voucher", attribute_voucher, _touch_attribute, lambda command: f"voucher:{command.id}"
    ),
    MoveVoucher: Way("voucher", move_voucher, _touch_voucher, _entry_of_move),
    PlaceOrder: Way("balance_order", place_order, _touch_place, lambda command: f"order:{command.id}"),
    AssignTier: Way("tier", assign_tier, _touch_member, lambda command: f"tier:{command.id}"),
    Advise: Way("advice", advise, _touch_advise, lambda command: f"advise:{command.id}"),
    BeginRedemption: Way(
        "redemption",
        begin_redemption,
        _touch_redemption,
        lambda command: f"redemption:{command.id}",
        occurred_at=lambda command: command.occurred_at or command.received_at,
    ),
    MoveRedemption: Way(
        "redemption",
        move_redemption,
        _touch_move,
        lambda command: f"redemption:{command.redemption}:{command.state}",
    ),
    BeginPayment: Way(
        "payment",
        begin_payment,
        _touch_payment,
        lambda command: f"payment:{command.id}",
        member=lambda _command: None,
        order=order_of,
    ),
    EndPayment: Way(
        "payment",
        end_payment,
        _touch_end_payment,
        lambda command: f"payment:{command.payment}:end",
        member=lambda _command: None,
        order=order_of,
    ),
    EnrolMember: Way(
        "member",
        enrol_member,
        _touch_enrol,
        lambda command: f"enrol:{command.id}",
        member=lambda command: command.id,
    ),
    UpdateMember: Way("member", update_member, _touch_update, lambda command: f"update:{command.id}"),
    LinkCustomer: Way("member", link_customer, _touch_link, lambda command: f"link:{command.id}"),
    TurnMember: Way(
        "member",
        turn_member,
        lambda command, touched: touched.members.add((command.env, command.member)),
        lambda command: f"turn:{command.id}",
    ),
    MergeMembers: Way("member", merge_members, _touch_merge, lambda command: f"merge:{command.member}"),
    TransferPoints: Way(
        "transfer", transfer_points, _touch_transfer, lambda command: f"transfer:{command.id}"
    ),
}
