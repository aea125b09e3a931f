"""What Brevo's webhooks of loyalty say, made of our own messages. Instants are ISO 8601, amounts numbers.

Each says whose it is by what Brevo calls them: the contact's number and the loyalty subscription id are the customer ids
that a member has in the source that the dialect names, a number the one, any other text the other.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from adapter import ids as shown_ids
from adapter.clock import iso
from adapter.messages import MessageType as M
from connectors.brevo import ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from adapter.program.bounds import BalanceDefinition
    from connectors.vendor import Told

    Body = Mapping[str, Any]
    Build = Callable[[Told], Body | None]

MONTHS_OF_A_YEAR = 12
SOURCE = "loyalty"
EXTERNAL = "ext_id:"
"""What a customer id begins with that is the shop's own: no contact's number and no subscription."""


def write(event: str, told: Told) -> Body | None:
    """Return the body of an event; None where this message is no occasion for it."""
    more = _BUILD[event](told)
    return None if more is None else {**_common(event, told), **more}


def contact_of(source_ids: Iterable[str], customers_of: str) -> int | None:
    """Return a member's contact id: the first number that the source calls them by."""
    return next((int(name) for name in _names(source_ids, customers_of) if _is_number(name)), None)


def subscription_of(source_ids: Iterable[str], customers_of: str) -> str | None:
    """Return a member's loyalty subscription id: the first other text that the source calls them by."""
    names = (name for name in _names(source_ids, customers_of) if not name.startswith(EXTERNAL))
    return next((name for name in names if not _is_number(name)), None)


def number(written: int | str) -> int | float:
    """Return points as a number: a whole one where it is whole."""
    amount = Decimal(written)
    return int(amount) if amount == int(amount) else float(amount)


def _names(source_ids: Iterable[str], customers_of: str) -> Iterable[str]:
    prefix = f"{customers_of}:"
    return (one.removeprefix(prefix) for one in source_ids if one.startswith(prefix))


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()


# --- what all of them say -----------------------------------------------------------------------------------------------


def _common(event: str, told: Told) -> Body:
    names, of = told.data["source_ids"], told.settings.customers_of
    contact, subscription = contact_of(names, of), subscription_of(names, of)
    identifiers = {
        "contact_id": contact,
        "email_id": told.data.get("email"),
        "loyalty_subscription_id": subscription,
    }
    return {
        "event_name": event,
        "event_id": shown_ids.show("msg", told.id),
        "event_date": iso(told.at),
        "source": SOURCE,
        "contact_id": contact,
        "contact_properties": {},
        "identifiers": {name: value for name, value in identifiers.items() if value is not None},
    }


def _program(told: Told) -> dict[str, Any]:
    name = told.data.get("program") or told.settings.program
    title = told.catalog.version_at(told.env, name, told.at).program.title
    return {"loyalty_program": {"id": ids.program_id(told.env, name), "name": title or name}}


def _of_balance(told: Told) -> dict[str, Any]:
    program, name = told.data["program"], told.data["balance_definition"]
    kept = _definition(told)
    shown = {
        "id": ids.definition_id(told.env, program, name),
        "name": (kept and kept.title) or name,
        "unit": "POINTS" if kept is None else kept.unit.upper(),
        "metadata": {} if kept is None else dict(kept.metadata),
    }
    return {**_program(told), "balance_definition": shown}


def _definition(told: Told) -> BalanceDefinition | None:
    version = told.catalog.version_at(told.env, told.data["program"], told.at)
    name = told.data["balance_definition"]
    return next((one for one in version.program.balance_definitions if one.name == name), None)


# --- balances -----------------------------------------------------------------------------------------------------------


def _moved(told: Told) -> tuple[Decimal, Decimal]:
    """Return what was posted before a change of a balance and after it: what only waits or is held moves nothing."""
    changes = told.data["changes"]
    after = Decimal(told.data["balances"]["posted"])
    return after - sum(Decimal(changes.get(name, 0)) for name in ("available", "reserved")), after


def _value_updated(told: Told) -> Body | None:
    before, after = _moved(told)
    cause = told.data["cause"]
    if before == after:
        return None
    return {
        **_of_balance(told),
        "value": number(str(after)),
        "source_event_id": cause["transaction"] or cause["event"],
    }


def _bound_reached(bound: str) -> Build:
    def build(told: Told) -> Body | None:
        kept = _definition(told)
        limit: Decimal | None = None if kept is None else getattr(kept, bound)
        before, after = _moved(told)
        if limit is None:
            return None
        crossed = after <= limit < before if bound == "min_amount" else before < limit <= after
        return _value_updated(told) if crossed else None

    return build


def _expiring(told: Told) -> Body:
    return {
        **_of_balance(told),
        "value": number(told.data["amount"]),
        "expires_at": told.data["next_at"],
        "source_event_id": None,
    }


def _expired(told: Told) -> Body:
    return {**_of_balance(told), "value": number(told.data["amount"]), "source_event_id": None}


def _unauthorized(told: Told) -> Body:
    data = told.data
    value = number(data["amount"])
    return {
        **_of_balance(told),
        "value": value,
        "source_event_id": data["transaction"],
        "reason": data["reason"],
        "transaction": {"type": data["kind"], "value": value},
    }


# --- tiers and subscriptions --------------------------------------------------------------------------------------------


def _tier(told: Told, name: str | None) -> dict[str, Any] | None:
    if name is None:
        return None
    group = told.data["group"]
    return {"id": ids.tier_id(told.env, told.data["program"], group, name), "name": name}


def _of_tier(told: Told, name: str) -> dict[str, Any]:
    program, group = told.data["program"], told.data["group"]
    shown = {"id": ids.group_id(told.env, program, group), "name": group}
    return {**_program(told), "tier_group": shown, "tier": _tier(told, name)}


def _tier_updated(told: Told) -> Body:
    return {**_of_tier(told, told.data["to"]), "previous_tier": _tier(told, told.data["from"])}


def _counted(told: Told) -> dict[str, Any]:
    months = told.data["months"]
    return {"months": months, "years": months // MONTHS_OF_A_YEAR, "since": told.data["since"]}


def _subscription(told: Told, since: str | None) -> dict[str, Any]:
    name = subscription_of(told.data["source_ids"], told.settings.customers_of)
    return {**_program(told), "subscription": {"created_at": since, "loyalty_subscription_id": name}}


def _subscribed(told: Told) -> Body:
    return _subscription(told, told.data["created_at"])


def _contact_moved(told: Told) -> Body | None:
    data = told.data
    if data["source"] != told.settings.customers_of or not _is_number(data["customer"]):
        return None
    return {**_subscribed(told), "member_contact_id": int(data["customer"])}


def _anniversary(build: Callable[[Told], dict[str, Any]], *, yearly: bool) -> Build:
    def of(told: Told) -> Body | None:
        whole_years = told.data["months"] % MONTHS_OF_A_YEAR == 0
        return {**build(told), "anniversary": _counted(told)} if whole_years is yearly else None

    return of


def _reminder(build: Callable[[Told], dict[str, Any]]) -> Build:
    return lambda told: {
        **build(told),
        "anniversary": {**_counted(told), "in_days": told.data["in_days"]},
    }


def _own_tier(told: Told) -> dict[str, Any]:
    return _of_tier(told, told.data["tier"])


def _own_subscription(told: Told) -> dict[str, Any]:
    return _subscription(told, told.data["since"])


# --- vouchers -----------------------------------------------------------------------------------------------------------


def _voucher(told: Told) -> dict[str, Any]:
    data = told.data
    reward = data["reward"]
    names = ("code", "state", "value", "currency", "percent", "attributed_at", "expires_at")
    shown = {"id": data.get("voucher"), **{name: data.get(name) for name in names}}
    return {
        **_program(told),
        "reward": None
        if reward is None
        else {"id": ids.reward_id(told.env, data["program"], reward), "name": reward},
        "voucher": shown,
    }


def _voucher_refused(told: Told) -> Body:
    return {**_voucher(told), "reason": told.data["refusal"]}


_BUILD: dict[str, Build] = {
    "balance_value_updated": _value_updated,
    "balance_minimum_value_reached": _bound_reached("min_amount"),
    "balance_maximum_value_reached": _bound_reached("max_amount"),
    "balance_expiration_reminder": _expiring,
    "balance_value_expired": _expired,
    "balance_transaction_unauthorized": _unauthorized,
    "tier_association_updated": _tier_updated,
    "tier_association_month_anniversary": _anniversary(_own_tier, yearly=False),
    "tier_association_year_anniversary": _anniversary(_own_tier, yearly=True),
    "tier_anniversary_reminder": _reminder(_own_tier),
    "subscription_created": _subscribed,
    "subscription_revoked": _subscribed,
    "subscription_member_added": _contact_moved,
    "subscription_member_removed": _contact_moved,
    "subscription_month_anniversary": _anniversary(_own_subscription, yearly=False),
    "subscription_year_anniversary": _anniversary(_own_subscription, yearly=True),
    "membership_anniversary_reminder": _reminder(_own_subscription),
    "voucher_created": _voucher,
    "voucher_redeemed": _voucher,
    "voucher_revoked": _voucher,
    "voucher_expired": _voucher,
    "voucher_expiration_reminder": _voucher,
    "voucher_redeem_unauthorized": _voucher_refused,
    "voucher_attribution_failed": _voucher_refused,
}

EVENTS: dict[str, tuple[str, ...]] = {
    M.BALANCE_UPDATED: (
        "balance_value_updated",
        "balance_minimum_value_reached",
        "balance_maximum_value_reached",
    ),
    M.POINTS_EXPIRING: ("balance_expiration_reminder",),
    M.POINTS_EXPIRED: ("balance_value_expired",),
    M.TRANSACTION_REJECTED: ("balance_transaction_unauthorized",),
    M.TIER_UPDATED: ("tier_association_updated",),
    M.TIER_ANNIVERSARY: ("tier_association_month_anniversary", "tier_association_year_anniversary"),
    M.TIER_ANNIVERSARY_COMING: ("tier_anniversary_reminder",),
    M.MEMBER_CREATED: ("subscription_created",),
    M.MEMBER_DELETED: ("subscription_revoked",),
    M.MEMBER_LINKED: ("subscription_member_added",),
    M.MEMBER_UNLINKED: ("subscription_member_removed",),
    M.MEMBER_ANNIVERSARY: ("subscription_month_anniversary", "subscription_year_anniversary"),
    M.MEMBER_ANNIVERSARY_COMING: ("membership_anniversary_reminder",),
    M.VOUCHER_ATTRIBUTED: ("voucher_created",),
    M.VOUCHER_REDEEMED: ("voucher_redeemed",),
    M.VOUCHER_REVOKED: ("voucher_revoked",),
    M.VOUCHER_EXPIRED: ("voucher_expired",),
    M.VOUCHER_EXPIRING: ("voucher_expiration_reminder",),
    M.VOUCHER_REFUSED: ("voucher_redeem_unauthorized",),
    M.VOUCHER_FAILED: ("voucher_attribution_failed",),
}
"""Brevo's events that each message of ours may become."""
