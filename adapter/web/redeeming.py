"""Redemptions over HTTP: begun, applied, released, fulfilled, reversed. Each is one command through the door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from adapter import ids
from adapter.book.state import Redemption
from adapter.commands import BeginRedemption, MoveRedemption
from adapter.points import smallest
from adapter.store.reading.balances import choose_definition
from adapter.store.reading.members import find_member
from adapter.store.reading.redemptions import find_redemption
from adapter.store.reading.snapshot import snapshot
from adapter.web.asking import ask, at_fault, once_of
from adapter.web.auth import require_scope
from adapter.web.booking import CLOCKS_DIFFER_MS
from adapter.web.errors import Problem
from adapter.web.queries import Instant, Reference
from adapter.web.redeemed import RedemptionShown, redemption_view
from adapter.web.routing import Access, Call, Given, Repeated, Route, missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.catalog import Definition
    from adapter.commands import ApiCommand
    from adapter.program.model import Program

VALUE_MAX = 10**12
DEGRADED = "redemptions:degraded"
"""The scope of tills that may grant points while they cannot ask."""

Label = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^:]+$")]
Text = Annotated[str, Field(max_length=500)]
Part = Annotated[str, Field(min_length=1, max_length=200)]


class Shipping(Given):
    """Where an item goes."""

    name: Part
    line1: Part
    line2: Part | None = None
    city: Part
    postal_code: Part
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$", examples=["NO"])]


class LastKnown(Given):
    """The balance as a till last read it, before it could not ask any more."""

    available: int | str
    sequence: Annotated[int, Field(ge=0)] | None = Field(
        None, description="The balance's own, if it is known."
    )


class RedemptionAsked(Given):
    """What points are to be spent on: a reward, so many points, or so much money off."""

    member: Reference = Field(description="`mem_…`, `source:customer` or an e-mail address.")
    reward: Reference | None = Field(None, description="Of the catalogue, which says what it costs.")
    points: int | str | None = Field(
        None, description="So many points, for a discount of what they are worth."
    )
    value: Annotated[int, Field(ge=1, le=VALUE_MAX, strict=True)] | None = Field(
        None, description="A discount of so much, in the smallest unit of the program's currency."
    )
    program: Reference | None = Field(None, description="A program's name; needed where there are several.")
    balance_definition: Reference | None = Field(None, description="Needed where a program has several.")
    source: Reference | None = Field(None, description="With `order`: the shop whose order it is for.")
    order: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None, description="The shop's own id of the order that it is for; its events apply or release it."
    )
    payment: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None, description="The id of the payment that it is for; its order's events apply or release it."
    )
    shipping: Shipping | None = Field(None, description="Where an item goes.")
    lock_s: Annotated[int, Field(ge=1, le=3600)] | None = Field(
        None, description="For so many seconds, while it waits, no other redemption of this balance."
    )
    last_known: LastKnown | None = Field(
        None,
        description="It was granted already, by a till that could not ask. Booked up to this balance, and flagged. "
        "Takes the scope `redemptions:degraded`.",
    )
    occurred_at: Instant | None = Field(None, description="With `last_known`: when it was granted.")
    reason: Text | None = None
    metadata: Annotated[dict[Label, Text], Field(max_length=50)] = Field(default_factory=dict)


class Moved(Given):
    """Why a redemption is applied or released."""

    reason: Text | None = None


class Fulfilled(Moved):
    """How an item was sent."""

    tracking: Annotated[str, Field(max_length=200)] | None = None


class Reversed(Moved):
    """Why a redemption is undone."""

    force: bool = Field(
        False,
        description="Although it was applied or fulfilled: the points come back, and nothing else does.",
    )


def begin_redemption(call: Call) -> dict[str, Any] | Repeated:
    """Spend points."""
    asked: RedemptionAsked = call.body
    if sum(one is not None for one in (asked.reward, asked.points, asked.value)) != 1:
        raise at_fault("reward", "say exactly one of reward, points and value")
    with snapshot(call.parts.engine) as connection:
        member = find_member(connection, call.env, asked.member)
        program, name = _meant(call, asked)
        definition = choose_definition(
            connection, call.catalog, call.env, member.id, program=program, name=name
        )
    rules = call.catalog.version_at(call.env, definition.program, call.now).program
    command = BeginRedemption(
        env=call.env,
        id=ids.new_id(call.now),
        member=member.id,
        definition=definition.id,
        code=ids.new_code(rules.redeeming.code_prefix),
        reward=asked.reward,
        points=_points(asked, definition),
        value=asked.value,
        order=_order(call, asked),
        payment=asked.payment,
        shipping=_shipping(asked, rules),
        reason=asked.reason,
        metadata=asked.metadata,
        locks_until=_locks_until(call, asked, rules),
        last_known=_last_known(call, asked, definition),
        last_sequence=None if asked.last_known is None else asked.last_known.sequence,
        occurred_at=asked.occurred_at,
        received_at=call.now,
        once=once_of(call),
    )
    return submit_redemption(call, command, definition)


def apply_redemption(call: Call) -> dict[str, Any] | Repeated:
    """Apply a discount."""
    return _move(call, "applied")


def release_redemption(call: Call) -> dict[str, Any] | Repeated:
    """Release a discount that was not used."""
    return _move(call, "released")


def fulfil_redemption(call: Call) -> dict[str, Any] | Repeated:
    """Note that an item was sent."""
    return _move(call, "fulfilled", tracking=call.body.tracking)


def reverse_redemption(call: Call) -> dict[str, Any] | Repeated:
    """Undo a redemption."""
    return _move(call, "reversed", force=call.body.force)


def _move(
    call: Call, state: str, *, tracking: str | None = None, force: bool = False
) -> dict[str, Any] | Repeated:
    found = found_redemption(call)
    command = MoveRedemption(
        env=call.env,
        redemption=found.id,
        member=found.member,
        definition=found.definition,
        state=state,
        reason=call.body.reason,
        tracking=tracking,
        force=force,
        received_at=call.now,
        once=once_of(call),
    )
    return submit_redemption(call, command, call.definition(found.definition))


def found_redemption(call: Call) -> Redemption:
    """Return the redemption of the path. Raises `Problem` (404) where there is none."""
    with call.parts.engine.connect() as connection:
        found = find_redemption(connection, call.env, call.id("redemption", "rdm"))
    if found is None:
        raise missing("rdm", call.path["redemption"])
    return found


def submit_redemption(call: Call, command: ApiCommand, definition: Definition) -> dict[str, Any] | Repeated:
    """Ask for a command about a redemption, and show what it made or changed."""

    def view(row: dict[str, Any]) -> dict[str, Any]:
        fields = {name: value for name, value in row.items() if name != "notes"}
        found = Redemption(**fields)
        return redemption_view(
            call, found, found.updated_at, row["notes"]
        )  # a repeat is answered alike later

    return ask(call, command, view, decimals=definition.decimals)


def _meant(call: Call, asked: RedemptionAsked) -> tuple[str | None, str | None]:
    """Return the program and balance that are meant: a reward says both."""
    if asked.reward is None:
        return asked.program, asked.balance_definition
    having = [
        version.program
        for env, name in sorted(call.catalog.programs)
        if env == call.env and asked.program in (None, name)
        for version in [call.catalog.version_at(env, name, call.now)]
        if version.program.reward(asked.reward) is not None
    ]
    if not having:
        why = f"There is no reward {asked.reward[:80]!r}; /v1/rewards has those that there are."
        raise Problem("reward_unknown", why, errors=(("reward", why),))
    if len(having) > 1:
        names = ", ".join(program.name for program in having)
        raise at_fault("program", f"several programs have this reward; say which: {names}")
    (program,) = having
    reward = program.reward(asked.reward)
    costs = None if reward is None else reward.balance_definition
    return program.name, asked.balance_definition or costs or program.balance_definitions[0].name


def _points(asked: RedemptionAsked, definition: Definition) -> int | None:
    if asked.points is None:
        return None
    try:
        return smallest(asked.points, definition.decimals)
    except ValueError as error:
        raise at_fault("points", str(error)) from error


def _order(call: Call, asked: RedemptionAsked) -> tuple[str, str] | None:
    """Return the order that it is for, by the shop that owns it."""
    if asked.order is None and asked.source is None:
        return None
    if asked.order is None or asked.source is None:
        raise at_fault("order" if asked.order is None else "source", "say both source and order")
    source = call.catalog.sources.get(asked.source)
    if source is None or source.env != call.env:
        raise at_fault("source", f"there is no source {asked.source[:80]!r} here")
    return source.orders_of, asked.order


def _shipping(asked: RedemptionAsked, program: Program) -> dict[str, str] | None:
    if asked.shipping is None:
        return None
    reward = None if asked.reward is None else program.reward(asked.reward)
    if reward is None or reward.kind != "item":
        raise at_fault("shipping", "only an item is sent")
    return asked.shipping.model_dump(exclude_none=True)


def _locks_until(call: Call, asked: RedemptionAsked, program: Program) -> int | None:
    if asked.lock_s is None:
        return None
    reward = None if asked.reward is None else program.reward(asked.reward)
    if asked.last_known is not None or (reward is not None and reward.kind != "discount"):
        raise at_fault("lock_s", "only a discount that waits to be used locks a balance")
    return call.now + asked.lock_s * 1000


def _last_known(call: Call, asked: RedemptionAsked, definition: Definition) -> int | None:
    """Return what a till last knew to be available, which only some keys may say."""
    if asked.last_known is None:
        if asked.occurred_at is not None:
            raise at_fault("occurred_at", "only what was granted by the last known balance happened before")
        return None
    require_scope(call.key, DEGRADED)
    if asked.occurred_at is not None and asked.occurred_at > call.now + CLOCKS_DIFFER_MS:
        raise at_fault("occurred_at", "it is in the future")
    try:
        return smallest(asked.last_known.available, definition.decimals)
    except ValueError as error:
        raise at_fault("last_known.available", str(error)) from error


def _move_route(
    verb: str,
    handler: Callable[[Call], Any],
    body: type[Given],
    summary: str,
    text: str,
    *,
    among: str = "pending",
) -> Route:
    """Return the route of a move; `among` is the state of what its example moves."""
    return Route(
        "POST",
        f"/v1/redemptions/{{redemption}}/{verb}",
        handler,
        "redemptions:write",
        summary,
        RedemptionShown,
        "Redemptions",
        access=Access.DOOR,
        body=body,
        keeps=True,
        looked_up=f"state={among}&",
        text=f"{text} One that is past it is 409.",
    )


ROUTES = (
    Route(
        "POST",
        "/v1/redemptions",
        begin_redemption,
        "redemptions:write",
        "Spend points",
        RedemptionShown,
        "Redemptions",
        access=Access.DOOR,
        body=RedemptionAsked,
        status=201,
        keeps=True,
        text=(
            "On a `reward`, or on money off by `points` or `value`. A discount's points are held until its order is "
            "paid, which applies it, or comes to nothing, which releases it; an item and credit are paid at once. "
            "Too few points are 422 `insufficient_balance`, with figures; so is what the program's limits keep back."
        ),
        example={"member": "shop:7000", "reward": "rwd_fivecredit"},
    ),
    _move_route("apply", apply_redemption, Moved, "Apply a discount", "Its held points are spent."),
    _move_route(
        "release",
        release_redemption,
        Moved,
        "Release a discount",
        "Its held points go back to where they came from, and its code cannot be used any more.",
    ),
    _move_route(
        "fulfil",
        fulfil_redemption,
        Fulfilled,
        "Say that an item was sent",
        "Of a redemption whose item waits for that.",
        among="fulfillment_pending",
    ),
    _move_route(
        "reverse",
        reverse_redemption,
        Reversed,
        "Undo a redemption",
        "The points come back. What was applied or fulfilled is only reversed with `force`, and `notes` say what does "
        "not come back with it.",
    ),
)
