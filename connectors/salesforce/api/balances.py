"""Balances: of one member, and of many at once as a composite request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import BeforeValidator, Field

from adapter.errors import AdapterError
from adapter.store.reading.roster import Roster
from adapter.web.balances import MEMBERS_MOST, balance_of, balance_view, horizon
from adapter.web.dialects import Asked, settings_of, view_of
from adapter.web.dispatch import query_of
from adapter.web.errors import Problem, refusal_of
from adapter.web.routing import Access, Call, Route, checked
from connectors.salesforce.api.errors import figure, listed
from connectors.salesforce.api.meant import NAME, named, number_of, reference_of
from connectors.salesforce.api.shown import BalanceShown, CompositeShown

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Annotated[
    Literal["TOTAL", "AVAILABLE", "PENDING", "RESERVED"],
    BeforeValidator(lambda value: str(value).upper()),
]
_ADDRESS = re.compile(
    r"^(?:/services/data/v\d+\.\d+)?/loyalty/members/(?P<member>[^?]+)/balance(?:\?(?P<query>.*))?$"
)


class BalanceQuery(Asked):
    """Which balance is the headline, and whether to say what ends soon."""

    balance_type: Kind = "TOTAL"
    include_expiring: bool = False


class SubRequest(Asked):
    """One request of a composite one."""

    method: str = "GET"
    url: str
    reference_id: Annotated[str, Field(min_length=1, max_length=200)]


class CompositeAsked(Asked):
    """Requests to be answered together, each on its own."""

    composite_request: Annotated[list[SubRequest], Field(min_length=1, max_length=MEMBERS_MOST)]


def balance(call: Call) -> dict[str, Any]:
    """Show a member's balance."""
    row = named(call, call.path["member"])
    definition = call.definition(settings_of(call, NAME).definition)
    native = balance_of(call, row.id, definition, ending=call.query.include_expiring)
    return _view(native, number_of(call, row.source_ids, row.id), call.query)


def composite(call: Call) -> dict[str, Any]:
    """Show the balances of many members: as many queries for a hundred as for one."""
    asked: CompositeAsked = call.body
    read = [_balance_asked(one) for one in asked.composite_request]
    roster = Roster(call.database, call.catalog, call.env, now=call.now, horizon=horizon(call))
    roster.read([reference_of(call, one[0]) for one in read if not isinstance(one, AdapterError)])
    answers = [
        _answered(call, roster, request.reference_id, one)
        for request, one in zip(asked.composite_request, read, strict=True)
    ]
    return view_of(CompositeShown(composite_response=answers))


def _balance_asked(request: SubRequest) -> tuple[str, BalanceQuery] | AdapterError:
    """Return whose balance a request of a composite one asks for, and how; else why it is not served."""
    found = _ADDRESS.match(request.url)
    member = "" if found is None else unquote(found["member"])
    if found is None or request.method.upper() != "GET" or "\0" in member:
        why = "Only balances are read together: GET /loyalty/members/{id}/balance."
        return Problem("request_invalid", why, errors=(("url", why),))
    try:
        query = checked(BalanceQuery, query_of(found["query"] or ""), "query")
    except AdapterError as error:
        return error
    return member, query


def _answered(
    call: Call, roster: Roster, reference: str, read: tuple[str, BalanceQuery] | AdapterError
) -> dict[str, Any]:
    settings = settings_of(call, NAME)
    status = 200
    body: Any
    try:
        if isinstance(read, AdapterError):
            raise read
        member, query = read
        name = call.definition(settings.definition).name
        entry = roster.entry(reference_of(call, member), program=settings.program, name=name)
        body = _view(balance_view(call, entry), member, query)
    except AdapterError as error:
        refusal = refusal_of(error, call.request_id, call.parts.settings.retry_after_s)
        status, body = refusal.status, listed(refusal)
    return {"referenceId": reference, "httpStatusCode": status, "httpHeaders": {}, "body": body}


def _view(native: Mapping[str, Any], member: str, query: BalanceQuery) -> dict[str, Any]:
    """Return our balance by Salesforce's names."""
    shown = BalanceShown(
        member_id=member,
        program_name=native["program"],
        program_currency=native["balance_definition"],
        balance_type=query.balance_type,
        balance=figure(native[query.balance_type.lower()]),
        total_balance=figure(native["total"]),
        available_balance=figure(native["available"]),
        pending_balance=figure(native["pending"]),
        reserved_balance=figure(native["reserved"]),
        as_of=native["as_of"],
    )
    if not query.include_expiring:
        return shown.model_dump(by_alias=True, exclude={"expiring_balance", "next_expiry_date"})
    ends = native["expiring"]
    day = None if ends["next_at"] is None else ends["next_at"][:10]
    return view_of(
        shown.model_copy(update={"expiring_balance": figure(ends["amount"]), "next_expiry_date": day})
    )


def routes(prefix: str) -> tuple[Route, ...]:
    """Return the routes below a prefix."""
    return (
        Route(
            "GET",
            f"{prefix}/loyalty/members/{{member}}/balance",
            balance,
            "members:read",
            "A member's balance: total, available, pending, reserved, and what ends soon",
            BalanceShown,
            "Balances",
            query=BalanceQuery,
        ),
    )


COMPOSITE = Route(
    "POST",
    "/services/data/{version}/composite",
    composite,
    "members:read",
    "The balances of many members at once; what is wrong with one is told in its own entry",
    CompositeShown,
    "Balances",
    access=Access.READ,
    body=CompositeAsked,
)
