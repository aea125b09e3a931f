"""Vouchers: attributed to a contact, validated, redeemed at once or in two steps, revoked.

To redeem is to hold the voucher until it is completed; nobody else can use it meanwhile. Past its `ttl` it is free again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from adapter import ids as our_ids
from adapter.book.voucher import Voucher
from adapter.clock import iso
from adapter.commands import AttributeVoucher
from adapter.errors import NotFound
from adapter.store.reading.vouchers import vouchers_of
from adapter.web.asking import ask, at_fault, once_of
from adapter.web.dialects import Answered, Asked, view_of
from adapter.web.queries import Instant
from adapter.web.routing import Access, Repeated, Route
from adapter.web.vouchers import PREFIX, Code, move_voucher
from connectors.brevo.api.contacts import contact_named, contact_shown, subscribed
from connectors.brevo.api.finding import (
    Which,
    Whose,
    contact_holding,
    held_voucher,
    voucher_by_id,
    which_voucher,
)
from connectors.brevo.api.ids import customers_of
from connectors.brevo.api.meta import Meta, kept
from connectors.brevo.api.offers import BASE, reward_named
from connectors.brevo.api.shown import Paged, Programmed, program_meant
from connectors.brevo.api.worth import worth_of
from connectors.brevo.messages import subscription_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.web.routing import Call

REWARDS = f"{BASE}/rewards"
TTL_S = 900
Answering = dict[str, Any] | Repeated


class Attributed(Whose):
    """A voucher of a reward for a contact."""

    reward_id: str
    code: Code | None = None
    value: Annotated[float, Field(ge=0, le=10**12)] | None = None
    meta: Meta | None = None
    valid_from: Instant | None = None
    expiration_date: Instant | None = None


class RedeemAsked(Which):
    ttl: Annotated[int, Field(ge=1, le=86_400)] = TTL_S  # seconds
    auto_complete: bool = False
    meta: Meta | None = None


class VoucherShown(Answered):
    id: str
    code: str
    contact_id: int | None
    loyalty_program_id: str
    reward_id: str | None
    value: float | None
    meta: Meta
    consumed_at: str | None
    expiration_date: str | None
    valid_from: str | None
    created_at: str
    updated_at: str


class RedeemShown(Answered):
    """A voucher's use, `pending` until it is completed."""

    id: str
    status: Literal["pending", "completed"]
    contact_id: int | None
    loyalty_program_id: str
    reward_attribution_id: str
    meta: Meta
    created_at: str | None
    updated_at: str
    expires_at: str | None
    completed_at: str | None
    cancelled_at: None = None
    rejected_at: None = None
    reject_reason: None = None


class Validated(Answered):
    authorize: bool


class ContactVoucher(Answered):
    id: str
    code: str
    reward_id: str | None
    unit: str | None
    value: float | None
    meta: Meta
    consumed_at: str | None
    expiration_date: str | None
    valid_from: str | None
    created_at: str
    updated_at: str


class VouchersShown(Answered):
    contact_id: int | None
    loyalty_program_id: str
    loyalty_subscription_id: str | None
    contact_rewards: list[ContactVoucher]
    count: int


class VouchersQuery(Paged):
    limit: int = 25
    sort_field: Literal["updatedAt", "createdAt"] = "updatedAt"
    contact_id: int
    metadata_key_value: Annotated[str | None, Field(validation_alias="metadata_key_value")] = None
    reward_id: str | None = None


class RevokedQuery(Asked):
    attributed_reward_ids: Annotated[str, Field(min_length=1, max_length=4000)]


def attribute(call: Call) -> Answering:
    """Give a contact a voucher."""
    asked: Attributed = call.body
    meant = program_meant(call, "active")
    reward = reward_named(call, meant.program, asked.reward_id)
    if asked.expiration_date is not None and asked.expiration_date <= call.now:
        raise at_fault("expirationDate", "it has passed already")
    member = subscribed(call, asked.contact_id, asked.loyalty_subscription_id)
    command = AttributeVoucher(
        env=call.env,
        id=our_ids.new_id(call.now),
        member=member.id,
        program=meant.program.name,
        code=asked.code or our_ids.new_code(PREFIX),
        reward=reward.id,
        ends_at=asked.expiration_date,
        metadata=kept(asked.meta),
        worth=None if asked.value is None else str(asked.value),
        valid_from=asked.valid_from,
        received_at=call.now,
        once=once_of(call),
    )
    contact = contact_shown(call, member.source_ids)
    return ask(call, command, lambda row: _voucher_shown(meant, Voucher(**row), contact))


def validate(call: Call) -> dict[str, Any]:
    """Say whether a voucher can be used now."""
    meant = program_meant(call)
    voucher = which_voucher(call, meant, call.body)
    early = voucher.valid_from is not None and call.now < voucher.valid_from
    usable = voucher.state_at(call.now) == "active" and not early and not voucher.held(call.now)
    return view_of(Validated(authorize=usable))


def redeem(call: Call) -> Answering:
    """Hold a voucher for its use, or use it at once."""
    asked: RedeemAsked = call.body
    meant = program_meant(call)
    voucher = which_voucher(call, meant, asked)
    contact = contact_holding(call, voucher)
    hold = our_ids.new_id(call.now)

    def shown(row: Mapping[str, Any]) -> dict[str, Any]:
        return _redeem_shown(meant, Voucher(**row), contact, asked.meta)

    if not asked.auto_complete:
        until = call.now + asked.ttl * 1000
        return move_voucher(call, voucher, "held", view=shown, hold=hold, until=until)
    return move_voucher(call, voucher, "redeemed", view=shown)


def complete(call: Call) -> Answering:
    """Use a voucher that is held."""
    meant, voucher = program_meant(call), held_voucher(call, call.path["tid"])
    if voucher is None or voucher.program != meant.program.name:
        raise NotFound(f"There is no redeem request {call.path['tid'][:64]!r} here.", field="tid")
    contact = contact_holding(call, voucher)
    return move_voucher(
        call,
        voucher,
        "redeemed",
        view=lambda row: _redeem_shown(meant, Voucher(**row), contact, None),
        hold=our_ids.read("hld", call.path["tid"]),
    )


def revoke(call: Call) -> None:
    """Take vouchers back; one that was taken back already stays so."""
    meant = program_meant(call)
    names = [one.strip() for one in call.query.attributed_reward_ids.split(",") if one.strip()]
    vouchers = [voucher_by_id(call, meant, name) for name in names]
    for voucher in vouchers:
        if voucher.state != "revoked":
            move_voucher(call, voucher, "revoked", once=None)


def contact_vouchers(call: Call) -> dict[str, Any]:
    """List the vouchers of a contact."""
    asked: VouchersQuery = call.query
    meant = program_meant(call)
    member = contact_named(call, str(asked.contact_id), "contactId")
    found = [
        (voucher, item)
        for voucher in vouchers_of(call.database, (call.env, member.id), meant.program.name)
        for item in (_item(meant, voucher),)
        if asked.reward_id in (None, item.reward_id) and _has(item.meta, asked.metadata_key_value)
    ]
    field = "updated_at" if asked.sort_field == "updatedAt" else "attributed_at"
    found.sort(key=lambda one: (getattr(one[0], field), one[0].id), reverse=asked.sort == "desc")
    page = found[max(asked.offset, 0) :][: max(asked.limit, 0)]
    return view_of(
        VouchersShown(
            contact_id=contact_shown(call, member.source_ids),
            loyalty_program_id=meant.id,
            loyalty_subscription_id=subscription_of(member.source_ids, customers_of(call)),
            contact_rewards=[item for _, item in page],
            count=len(found),
        )
    )


def _has(meta: Meta, wanted: str | None) -> bool:
    """Return whether a meta has `name:value`, or some value at all that is this."""
    if wanted is None:
        return True
    name, colon, value = wanted.partition(":")
    return str(meta.get(name)) == value if colon else wanted in (str(one) for one in meta.values())


# --- answers ------------------------------------------------------------------------------------------------------------


def _item(meant: Programmed, voucher: Voucher) -> ContactVoucher:
    worth = worth_of(meant, voucher)
    return ContactVoucher(
        id=worth.id,
        code=voucher.code,
        reward_id=worth.reward_id,
        unit=worth.unit,
        value=worth.value,
        meta=worth.meta,
        consumed_at=None if voucher.redeemed_at is None else iso(voucher.redeemed_at),
        expiration_date=worth.expiration_date,
        valid_from=worth.valid_from,
        created_at=iso(voucher.attributed_at),
        updated_at=iso(voucher.updated_at),
    )


def _voucher_shown(meant: Programmed, voucher: Voucher, contact: int | None) -> dict[str, Any]:
    said = _item(meant, voucher).model_dump(exclude={"unit"})
    return view_of(VoucherShown(**said, contact_id=contact, loyalty_program_id=meant.id))


def _redeem_shown(
    meant: Programmed, voucher: Voucher, contact: int | None, meta: Meta | None
) -> dict[str, Any]:
    done = voucher.redeemed_at
    number = our_ids.show("vou", voucher.id) if voucher.hold is None else our_ids.show("hld", voucher.hold)
    return view_of(
        RedeemShown(
            id=number,
            status="pending" if done is None else "completed",
            contact_id=contact,
            loyalty_program_id=meant.id,
            reward_attribution_id=our_ids.show("vou", voucher.id),
            meta=meta or {},
            created_at=iso(voucher.held_at or done or voucher.updated_at),
            updated_at=iso(voucher.updated_at),
            expires_at=None if voucher.held_until is None else iso(voucher.held_until),
            completed_at=None if done is None else iso(done),
        )
    )


TAG = "Vouchers"


def _door(verb: str, handler: Any, summary: str, response: Any, **more: Any) -> Route:
    method, _, path = verb.partition(" ")
    return Route(
        method,
        path,
        handler,
        "vouchers:write",
        summary,
        response,
        TAG,
        access=Access.DOOR,
        **{"keeps": True, **more},
    )


ROUTES = (
    _door(f"POST {REWARDS}/attribute", attribute, "Give a voucher", VoucherShown, body=Attributed),
    _door(f"POST {REWARDS}/redeem", redeem, "Redeem a voucher", RedeemShown, body=RedeemAsked),
    _door(f"POST {REWARDS}/redeem/{{tid}}/complete", complete, "Complete a redemption", RedeemShown),
    _door(
        f"DELETE {REWARDS}/revoke",
        revoke,
        "Revoke vouchers",
        VoucherShown,
        status=204,
        keeps=False,
        query=RevokedQuery,
    ),
    Route(
        "POST",
        f"{REWARDS}/validate",
        validate,
        "vouchers:read",
        "Validate a voucher",
        Validated,
        TAG,
        access=Access.DOOR,
        body=Which,
    ),
    Route(
        "GET",
        f"{BASE}/vouchers",
        contact_vouchers,
        "vouchers:read",
        "List a contact's vouchers",
        VouchersShown,
        TAG,
        query=VouchersQuery,
    ),
)
