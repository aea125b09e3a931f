"""Which voucher a request means: by its own id, its code, or the reward that a contact has one of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import model_validator

from adapter import ids as our_ids
from adapter.errors import NotFound
from adapter.store.reading.members import source_ids
from adapter.store.reading.snapshot import snapshot
from adapter.store.reading.vouchers import find_code, find_held, find_voucher, vouchers_of
from adapter.web.asking import at_fault
from adapter.web.dialects import Asked
from adapter.web.errors import Problem
from connectors.brevo.api.contacts import any_case, contact_shown, subscribed
from connectors.brevo.api.offers import reward_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.book.voucher import Voucher
    from adapter.web.routing import Call
    from connectors.brevo.api.shown import Programmed

Read = TypeVar("Read")


class Whose(Asked):
    """A contact, by its number or by its loyalty subscription."""

    contact_id: int | None = None
    loyalty_subscription_id: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _in_any_case(cls, values: Any) -> Any:
        return any_case(values, "contactId", "loyaltySubscriptionId")


class Which(Whose):
    """A voucher: by its own id, its code, or the reward that a contact has one of."""

    attributed_reward_id: str | None = None
    code: str | None = None
    reward_id: str | None = None


def which_voucher(call: Call, meant: Programmed, asked: Which) -> Voucher:
    """Return the voucher that a body means. Raises `NotFound`, or `Problem` where it says too little."""
    if asked.attributed_reward_id is not None:
        voucher = voucher_by_id(call, meant, asked.attributed_reward_id)
    elif asked.code is not None:
        voucher = _by_code(call, meant, asked.code)
    elif asked.reward_id is not None:
        return _of_reward(call, meant, asked)
    else:
        raise at_fault("attributedRewardId", "give attributedRewardId, code, or rewardId with a contact")
    if (asked.contact_id, asked.loyalty_subscription_id) != (None, None):
        member = subscribed(call, asked.contact_id, asked.loyalty_subscription_id)
        if member.id != voucher.member:
            raise Problem("refused", "The voucher belongs to another contact.")
    return voucher


def voucher_by_id(call: Call, meant: Programmed, shown: str) -> Voucher:
    number = our_ids.read("vou", shown)
    voucher = None if number is None else _read(call, find_voucher, call.env, number)
    if voucher is None or voucher.program != meant.program.name:
        raise NotFound(f"There is no voucher {shown[:64]!r} here.", field="attributedRewardId")
    return voucher


def _by_code(call: Call, meant: Programmed, code: str) -> Voucher:
    voucher = _read(call, find_code, call.env, code)
    if voucher is None or voucher.program != meant.program.name:
        raise NotFound(f"There is no voucher with the code {code[:64]!r} here.", field="code")
    return voucher


def _of_reward(call: Call, meant: Programmed, asked: Which) -> Voucher:
    """Return the voucher of a reward that ends first among those that the contact can use."""
    reward = reward_named(call, meant.program, asked.reward_id or "")
    member = subscribed(call, asked.contact_id, asked.loyalty_subscription_id)
    usable = [
        one
        for one in _read(call, vouchers_of, (call.env, member.id), meant.program.name)
        if one.reward == reward.id and one.state_at(call.now) == "active" and not one.held(call.now)
    ]
    if not usable:
        raise NotFound("The contact has no voucher of this reward that can be used.", field="rewardId")
    return min(usable, key=lambda one: (one.expires_at is None, one.expires_at or 0, one.id))


def contact_holding(call: Call, voucher: Voucher) -> int | None:
    names = _read(call, source_ids, call.env, [voucher.member]).get(voucher.member, ())
    return contact_shown(call, names)


def held_voucher(call: Call, shown: str) -> Voucher | None:
    """Return the voucher that was held last under this id."""
    number = our_ids.read("hld", shown)
    return None if number is None else _read(call, find_held, call.env, number)


def _read(call: Call, read: Callable[..., Read], *asked: Any) -> Read:
    with snapshot(call.parts.engine) as connection:
        return read(connection, *asked)
