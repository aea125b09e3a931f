"""Vouchers over HTTP: attributed by hand, read, redeemed, revoked."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StringConstraints

from adapter import ids
from adapter.book.voucher import Voucher
from adapter.book.voucher_news import voucher_view
from adapter.commands import AttributeVoucher, MoveVoucher
from adapter.errors import NotFound
from adapter.points import smallest
from adapter.program.worth import EXPONENTS
from adapter.store.reading.members import find_member
from adapter.store.reading.snapshot import snapshot
from adapter.store.reading.vouchers import VoucherFilter, find_voucher, list_vouchers
from adapter.web.asking import ask, at_fault, once_of
from adapter.web.enrolling import Metadata
from adapter.web.queries import Instant, Period, Reference, Selection
from adapter.web.routing import Access, Call, Given, Repeated, Route, Shown, missing
from adapter.web.shown import Instant as InstantShown
from adapter.web.shown import MemberId

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX = "GIFT"
AGAIN = ("held", "released")  # what a voucher can be more than once
State = Literal["active", "redeemed", "revoked", "expired"]
Reason = Annotated[str, Field(max_length=500)]
Code = Annotated[str, StringConstraints(to_upper=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{3,63}$")]


class VoucherShown(Shown):
    """What a member may use once, by its code: worth a reward of the catalogue, an amount of money, or a percentage."""

    id: str
    member: MemberId
    program: str
    code: str = Field(examples=["GIFT-7K2M9QXB"])
    state: Literal["active", "redeemed", "revoked", "expired"]
    rule: str | None = Field(description="Of the program's `voucher_rules`; null: by hand.")
    occasion: str | None = Field(description="What the rule attributed it for; once for each.")
    reward: str | None
    value: str | None
    currency: str | None
    percent: str | None
    reason: str | None
    source: str | None = Field(description="Of the order that uses it: named here, or having its code.")
    order: str | None
    attributed_at: InstantShown
    expires_at: InstantShown | None
    redeemed_at: InstantShown | None
    revoked_at: InstantShown | None
    valid_from: InstantShown | None = Field(description="It cannot be used before.")
    worth: str | None = Field(description="What whoever gave it says its reward is worth.")
    metadata: dict[str, str]
    held_until: InstantShown | None = Field(
        description="Somebody is about to use it, and nobody else can before."
    )
    hold: str | None = Field(description="Of whoever is about to use it, or was.")


class VoucherAsked(Given):
    """A voucher to give: for a reward of the catalogue, an amount of money, or a percentage."""

    member: Reference = Field(description="`mem_…`, `source:customer` or an e-mail address.")
    program: Reference | None = Field(None, description="A program's name; needed where there are several.")
    reward: Reference | None = Field(None, description="Of the program's catalogue.")
    value: str | int | None = Field(None, description='Money, such as `"5.00"`, with its `currency`.')
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    percent: Annotated[Decimal, Field(gt=0, le=100, decimal_places=2)] | None = None
    code: Code | None = Field(None, description="Drawn where it is left out.")
    valid_from: Instant | None = Field(None, description="It cannot be used before.")
    expires_at: Instant | None = Field(None, description="From then on it cannot be used.")
    worth: Annotated[Decimal, Field(ge=0, le=10**15)] | None = Field(
        None, description="What its reward is worth, where the catalogue does not say it."
    )
    metadata: Metadata = Field(default_factory=dict)
    reason: Reason | None = None


class VoucherRedeemed(Given):
    """What a voucher is used for."""

    source: Reference | None = Field(None, description="With `order`: the shop whose order uses it.")
    order: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    hold: Reference | None = Field(None, description="Of one that is held for you.")
    reason: Reason | None = None


class VoucherHeld(Given):
    """How long nobody else can use it, in seconds."""

    ttl: Annotated[int, Field(ge=1, le=86_400)] = 900


class VoucherReleased(Given):
    """Whose hold is over."""

    hold: Reference | None = Field(None, description="Left out: whoever's it is.")


class VoucherRevoked(Given):
    """Why a voucher is taken back."""

    reason: Reason | None = None


class VouchersQuery(Period):
    member: Reference | None = Field(None, description="`mem_…`, `source:customer` or an e-mail address.")
    state: State | None = None
    code: Annotated[str, Field(max_length=64)] | None = Field(None, description="In letters of either case.")
    rule: Reference | None = Field(None, description="Attributed by this rule of a program.")


def vouchers(call: Call) -> dict[str, Any]:
    """List vouchers of all members, or of one."""
    asked: VouchersQuery = call.query
    member = None if asked.member is None else find_member(call.database, call.env, asked.member).id
    chosen = VoucherFilter(member, asked.state, asked.code, asked.rule, asked.since, asked.until)
    page = list_vouchers(
        call.database, call.env, chosen, now=call.now, limit=asked.limit, cursor=asked.cursor
    )
    return page.view(lambda found: _view(found, call.now))


def voucher(call: Call) -> dict[str, Any]:
    """Show one voucher."""
    found = find_voucher(call.database, call.env, call.id("voucher", "vou"))
    if found is None:
        raise missing("vou", call.path["voucher"])
    return _view(found, call.now)


def attribute_voucher(call: Call) -> dict[str, Any] | Repeated:
    """Give a member a voucher."""
    asked: VoucherAsked = call.body
    if sum(one is not None for one in (asked.reward, asked.value, asked.percent)) != 1:
        raise at_fault("reward", "say exactly one of reward, value and percent")
    if asked.expires_at is not None and asked.expires_at <= call.now:
        raise at_fault("expires_at", "it has passed already")
    with snapshot(call.parts.engine) as connection:
        member = find_member(connection, call.env, asked.member)
    command = AttributeVoucher(
        env=call.env,
        id=ids.new_id(call.now),
        member=member.id,
        program=_program(call, asked),
        code=asked.code or ids.new_code(PREFIX),
        reward=asked.reward,
        value=_value(asked),
        currency=asked.currency,
        percent=None if asked.percent is None else f"{asked.percent.normalize():f}",
        ends_at=asked.expires_at,
        reason=asked.reason,
        metadata=asked.metadata,
        worth=None if asked.worth is None else f"{asked.worth.normalize():f}",
        valid_from=asked.valid_from,
        received_at=call.now,
        once=once_of(call),
    )
    return ask(call, command, _row_view, drawn=PREFIX if asked.code is None else None)


def redeem_voucher(call: Call) -> dict[str, Any] | Repeated:
    """Redeem a voucher."""
    found = _found(call)
    asked: VoucherRedeemed = call.body
    if (asked.order is None) != (asked.source is None):
        raise at_fault("order" if asked.order is None else "source", "say both source and order")
    order = None if asked.order is None or asked.source is None else (_shop(call, asked.source), asked.order)
    return move_voucher(call, found, "redeemed", order=order, hold=_hold(asked.hold), reason=asked.reason)


def hold_voucher(call: Call) -> dict[str, Any] | Repeated:
    """Hold a voucher."""
    until = call.now + call.body.ttl * 1000
    return move_voucher(call, _found(call), "held", hold=ids.new_id(call.now), until=until)


def release_voucher(call: Call) -> dict[str, Any] | Repeated:
    """Release a voucher."""
    return move_voucher(call, _found(call), "released", hold=_hold(call.body.hold))


def revoke_voucher(call: Call) -> dict[str, Any] | Repeated:
    """Revoke a voucher."""
    return move_voucher(call, _found(call), "revoked", reason=call.body.reason)


def _found(call: Call) -> Voucher:
    with call.parts.engine.connect() as connection:
        found = find_voucher(connection, call.env, call.id("voucher", "vou"))
    if found is None:
        raise missing("vou", call.path["voucher"])
    return found


def _hold(shown: str | None) -> int | None:
    if shown is None:
        return None
    number = ids.read("hld", shown)
    if number is None:
        raise missing("hld", shown)
    return number


def move_voucher(
    call: Call,
    found: Voucher,
    state: str,
    *,
    view: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None,
    **more: Any,
) -> dict[str, Any] | Repeated:
    """Move a voucher on, and show it as it is then. `more` is what else the command says."""
    of_rule = found.rule is not None and found.occasion is not None
    command = MoveVoucher(
        env=call.env,
        voucher=found.id,
        member=found.member,
        occasion=(found.program, found.rule or "", found.occasion or "") if of_rule else None,
        state=state,
        received_at=call.now,
        id=ids.new_id(call.now) if state in AGAIN else None,
        **{"once": once_of(call), **more},
    )
    return ask(call, command, view or _row_view)


def _program(call: Call, asked: VoucherAsked) -> str:
    names = sorted(name for env, name in call.catalog.programs if env == call.env)
    if asked.program is not None:
        if asked.program not in names:
            raise NotFound(
                f"There is no program {asked.program[:80]!r} in this environment.", field="program"
            )
        return asked.program
    if len(names) != 1:
        raise at_fault("program", f"there are several, say which: {', '.join(names)}")
    return names[0]


def _value(asked: VoucherAsked) -> int | None:
    if (asked.value is None) != (asked.currency is None):
        raise at_fault("currency" if asked.currency is None else "value", "say both value and currency")
    if asked.value is None or asked.currency is None:
        return None
    if asked.currency not in EXPONENTS:
        raise at_fault("currency", f"{asked.currency} is not a currency of ISO 4217")
    try:
        return smallest(asked.value, EXPONENTS[asked.currency])
    except ValueError as error:
        raise at_fault("value", str(error)) from error


def _shop(call: Call, name: str) -> str:
    source = call.catalog.sources.get(name)
    if source is None or source.env != call.env:
        raise at_fault("source", f"there is no source {name[:80]!r} here")
    return source.orders_of


def _row_view(row: Mapping[str, Any]) -> dict[str, Any]:
    found = Voucher(**row)
    return _view(found, found.updated_at)  # a repeat is answered alike later


def _view(found: Voucher, now: int) -> dict[str, Any]:
    return {
        "id": ids.show("vou", found.id),
        "member": ids.show("mem", found.member),
        **voucher_view(found, now),
        "hold": None if found.hold is None else ids.show("hld", found.hold),
    }


def _move_route(verb: str, handler: Any, body: type[Given], summary: str, text: str) -> Route:
    return Route(
        "POST",
        f"/v1/vouchers/{{voucher}}/{verb}",
        handler,
        "vouchers:write",
        summary,
        VoucherShown,
        "Vouchers",
        access=Access.DOOR,
        body=body,
        keeps=True,
        looked_up="state=active&",
        text=f"{text} Of one that is not active any more it is 409.",
    )


ROUTES = (
    Route(
        "POST",
        "/v1/vouchers",
        attribute_voucher,
        "vouchers:write",
        "Give a voucher",
        VoucherShown,
        "Vouchers",
        access=Access.DOOR,
        body=VoucherAsked,
        status=201,
        keeps=True,
        text="By hand; the program's `voucher_rules` attribute them by themselves. A code that is taken is 409. An order "
        "that has the code among its discount codes redeems it, and gives it back when it is cancelled.",
        example={"member": "shop:7000", "value": "5.00", "currency": "EUR", "reason": "sorry"},
    ),
    Route(
        "GET",
        "/v1/vouchers",
        vouchers,
        "vouchers:read",
        "List vouchers",
        VoucherShown,
        "Vouchers",
        query=VouchersQuery,
        listed=True,
        text="Newest first. With `code` it says whether that code can be used.",
    ),
    Route(
        "GET",
        "/v1/vouchers/{voucher}",
        voucher,
        "vouchers:read",
        "Show a voucher",
        VoucherShown,
        "Vouchers",
        query=Selection,
    ),
    _move_route("redeem", redeem_voucher, VoucherRedeemed, "Redeem a voucher", "It is used, once."),
    _move_route(
        "hold",
        hold_voucher,
        VoucherHeld,
        "Hold a voucher",
        "For whoever is about to use it: until `ttl` is over nobody redeems it without the `hold` that is answered.",
    ),
    _move_route("release", release_voucher, VoucherReleased, "Release a voucher", "Its hold is over."),
    _move_route(
        "revoke", revoke_voucher, VoucherRevoked, "Revoke a voucher", "Its code cannot be used any more."
    ),
)
