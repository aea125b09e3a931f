"""Fraud advice over HTTP: given, cleared, and what there was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StringConstraints

from adapter import ids
from adapter.book.state import Advice
from adapter.clock import iso
from adapter.commands import Advise
from adapter.program.redeeming import BLOCK
from adapter.store.reading.advices import list_advices
from adapter.store.reading.members import find_member
from adapter.web.asking import ask, once_of
from adapter.web.queries import Listing
from adapter.web.routing import Access, Call, Given, Repeated, Route, Shown
from adapter.web.shown import Instant, MemberId

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH = "/v1/members/{member}/advice"


class AdviceShown(Shown):
    """What was advised about a member. Only one is outstanding at a time; `blocks` says that it keeps redemptions back."""

    member: MemberId
    advice: str = Field(examples=["BLOCK"])
    reason: str | None
    state: Literal["outstanding", "cleared"]
    blocks: bool
    given_at: Instant
    cleared_at: Instant | None
    cleared_reason: str | None


class AdviceGiven(Given):
    """What is advised about a member."""

    advice: Annotated[str, StringConstraints(to_upper=True, min_length=1, max_length=64)] = Field(
        description="`BLOCK` keeps every redemption back; any other word is only kept."
    )
    reason: Annotated[str, Field(max_length=500)] | None = None


def advices(call: Call) -> dict[str, Any]:
    """List a member's advice, newest first."""
    member = find_member(call.database, call.env, call.path["member"])
    page = list_advices(call.database, call.env, member.id, limit=call.query.limit, cursor=call.query.cursor)
    return page.view(_view)


def give_advice(call: Call) -> dict[str, Any] | Repeated:
    """Give an advice; the one before it is over."""
    return _ask(call, call.body.advice, call.body.reason)


def clear_advice(call: Call) -> dict[str, Any] | Repeated:
    """Clear the advice that is outstanding."""
    return _ask(call, None, None)


def _ask(call: Call, advice: str | None, reason: str | None) -> dict[str, Any] | Repeated:
    with call.parts.engine.connect() as connection:
        member = find_member(connection, call.env, call.path["member"])
    command = Advise(
        env=call.env,
        id=ids.new_id(call.now),
        member=member.id,
        advice=advice,
        reason=reason,
        received_at=call.now,
        once=once_of(call),
    )
    return ask(call, command, _row_view)


def _row_view(row: Mapping[str, Any]) -> dict[str, Any]:
    return _view(Advice(**row))


def _view(found: Advice) -> dict[str, Any]:
    outstanding = found.cleared_at is None
    return {
        "member": ids.show("mem", found.member),
        "advice": found.advice,
        "reason": found.reason,
        "state": "outstanding" if outstanding else "cleared",
        "blocks": outstanding and found.advice == BLOCK,
        "given_at": iso(found.given_at),
        "cleared_at": None if found.cleared_at is None else iso(found.cleared_at),
        "cleared_reason": found.cleared_reason,
    }


ROUTES = (
    Route(
        "GET",
        PATH,
        advices,
        "members:read",
        "List a member's fraud advice",
        AdviceShown,
        "Members",
        query=Listing,
        listed=True,
        text="Newest first. Only the newest can be outstanding; the others were replaced or cleared.",
    ),
    Route(
        "PUT",
        PATH,
        give_advice,
        "members:write",
        "Give a fraud advice",
        AdviceShown,
        "Members",
        access=Access.DOOR,
        body=AdviceGiven,
        keeps=True,
        text="While `BLOCK` is outstanding nothing can be redeemed; any other advice changes nothing.",
        example={"advice": "REVIEW", "reason": "three cards in an hour"},
    ),
    Route(
        "DELETE",
        PATH,
        clear_advice,
        "members:write",
        "Clear a fraud advice",
        AdviceShown,
        "Members",
        access=Access.DOOR,
        keeps=True,
        text="What can be redeemed comes back. Without an outstanding advice it is 404.",
    ),
)
