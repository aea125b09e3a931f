"""LoyalPro's ids of customers: our members' under its prefix, and the ids that they have at a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX = "cus_"
OURS = "mem_"


def customer_id(member: str) -> str:
    """Return a shown member id as a customer's: `mem_…` is `cus_…`."""
    return PREFIX + member.removeprefix(OURS)


def member_reference(customer: str, source: str) -> str:
    """Return the member that is meant: by `cus_…`, by our `mem_…`, or by the id at the source."""
    if customer.startswith(PREFIX):
        return OURS + customer.removeprefix(PREFIX)
    return customer if customer.startswith(OURS) else f"{source}:{customer}"


def external_id(source_ids: Iterable[str], source: str) -> str | None:
    """Return the customer's id at the source whose ids LoyalPro's external ids are."""
    start = f"{source}:"
    return next((one.removeprefix(start) for one in source_ids if one.startswith(start)), None)
