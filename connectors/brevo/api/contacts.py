"""Who is meant: a contact by its number, or a loyalty subscription by its id; both are customer ids of one source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapter.errors import AdapterError, NotFound
from adapter.store.reading.members import find_member
from adapter.store.reading.snapshot import snapshot
from adapter.web.asking import at_fault
from adapter.web.errors import Problem
from connectors.brevo.api.ids import customers_of
from connectors.brevo.messages import contact_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter.store.reading.members import MemberRow
    from adapter.web.routing import Call


def any_case(values: Any, *names: str) -> Any:
    """Return a body in which these names are spelled as here: clients differ in their capitals."""
    if not isinstance(values, dict):
        return values
    spelled = {name.lower(): name for name in names}
    return {spelled.get(name.lower(), name): value for name, value in values.items()}


def subscribed(call: Call, contact: int | None, subscription: str | None) -> MemberRow:
    """Return the member whom a body means. Raises `Problem`: nobody subscribed by that, or nobody is named."""
    source = customers_of(call)
    named = [str(one) for one in (contact, subscription) if one is not None]
    if not named:
        raise at_fault("contactId", "give contactId or loyaltySubscriptionId")
    found = [_subscriber(call, f"{source}:{name}") for name in named]
    if len({one.id for one in found}) > 1:
        raise at_fault("loyaltySubscriptionId", "it is the subscription of another contact")
    return found[0]


def _subscriber(call: Call, reference: str) -> MemberRow:
    try:
        return _found(call, reference)
    except AdapterError as error:
        name = reference.partition(":")[2][:64]
        why = f"{name!r} is not subscribed to the loyalty program; subscribe the contact first."
        raise Problem("refused", why) from error


def contact_named(call: Call, shown: str, field: str = "cid") -> MemberRow:
    """Return the member of a contact in a path or a query. Raises `NotFound`."""
    try:
        return _found(call, f"{customers_of(call)}:{shown}")
    except AdapterError as error:
        why = f"There is no subscription of the contact {shown[:64]!r}."
        raise NotFound(why, field=field) from error


def _found(call: Call, reference: str) -> MemberRow:
    """Return a member, read where the call reads, or by itself for a call that only asks the door."""
    if call.connection is not None:
        return find_member(call.connection, call.env, reference)
    with snapshot(call.parts.engine) as connection:
        return find_member(connection, call.env, reference)


def contact_shown(call: Call, source_ids: Iterable[str]) -> int | None:
    """Return the contact id of a member; None for one that Brevo knows nothing of."""
    return contact_of(source_ids, customers_of(call))
