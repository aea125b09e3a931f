"""Sessions: the correlation id that a client chooses stands for an account in all further requests."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from adapter import ids
from adapter.clock import iso
from adapter.errors import NotFound
from adapter.store.reading.members import MemberRow, find_member
from adapter.store.sessions import Session, begin_session, find_session
from adapter.web.dialects import Answered, Asked, options_of, settings_of
from adapter.web.errors import Problem
from adapter.web.routing import Access, Call, Route
from connectors.es_loyalty.api.amounts import BalanceShown, amounts_of
from connectors.es_loyalty.vendor import NAME, TITLE, EsLoyaltyOptions, IdentifierType

ANONYMOUS = "anonymous"
IDENTIFIER_TYPE = "x-identifier-type"
MINUTE_MS = 60_000

MISSING = "Must provide a session correlation ID"
UNKNOWN = "Session correlation ID does not exist--create it first"
CLOSED = "Session Closed"


class SessionAsked(Asked):
    """A session to start. The channel may be any word of the client's own."""

    correlation_id: Annotated[str, Field(min_length=1, max_length=200)]
    channel: Annotated[str, Field(min_length=1, max_length=64)] = "APP"
    external_agent_session_id: Annotated[str, Field(max_length=200)] | None = None


class SessionShown(Answered):
    """A session that was started, now or before."""

    session_id: str
    correlation_id: str
    account_id: str | None
    loyalty_id: str
    status: str
    membership_type: str
    channel: str
    external_agent_session_id: str | None
    expires_at: str


class AccountSessionShown(SessionShown, BalanceShown):
    """A session of an account, with its figures where balances are kept here."""


def start_session(call: Call) -> dict[str, Any]:
    """Start a session of an account."""
    options = options_of(call, NAME, EsLoyaltyOptions)
    kind = _identifier_type(call)
    member = find_member(call.database, call.env, _reference(call, kind, options))
    session = _begun(call, member.id, kind, options)
    shown = _session_view(call, session) | {
        "accountId": ids.show("mem", member.id),
        "loyaltyId": _loyalty_id(call, member, options),
        "status": "ACTIVE",
        "membershipType": "Y",
    }
    return shown | amounts_of(call, member.id, redeems=redeems(session)) if options.points_bank else shown


def start_anonymous_session(call: Call) -> dict[str, Any]:
    """Start a session of nobody who is known."""
    session = _begun(call, None, ANONYMOUS, options_of(call, NAME, EsLoyaltyOptions))
    nobody = {"accountId": None, "loyaltyId": ANONYMOUS, "status": "NO_CARD", "membershipType": "N"}
    return _session_view(call, session) | nobody


def open_session(call: Call) -> Session:
    """Return the session of the path. Raises `Problem` where there is none, or where it is over."""
    name = call.path.get("correlation_id", "").strip()
    if not name:
        raise Problem("request_invalid", MISSING)
    session = find_session(call.database, call.env, name)
    if session is None:
        raise Problem("request_invalid", UNKNOWN)
    if session.ends_at <= call.now:
        raise Problem("request_invalid", CLOSED)
    return session


def account_of(call: Call, session: Session) -> MemberRow:
    """Return whose session it is. Raises `Problem` where it is nobody's; an account that is gone closes it."""
    if session.member is None:
        raise Problem("request_invalid", "This is an anonymous session: it has no account")
    try:
        return find_member(call.database, session.env, ids.show("mem", session.member))
    except NotFound as error:
        raise Problem("request_invalid", CLOSED) from error


def redeems(session: Session) -> bool:
    """Return whether points can be redeemed in a session: whoever only says a telephone number must not."""
    return session.known_by != IdentifierType.PHONE_NUMBER


def _identifier_type(call: Call) -> IdentifierType:
    said = call.headers.get(IDENTIFIER_TYPE, IdentifierType.ACCOUNT_ID).strip().upper()
    if said not in set(IdentifierType):
        known = ", ".join(IdentifierType)
        raise Problem("request_invalid", f"X-Identifier-Type is {said[:40]!r}, but must be one of {known}")
    return IdentifierType(said)


def _reference(call: Call, kind: IdentifierType, options: EsLoyaltyOptions) -> str:
    """Return the account as we name members: by our id, by its address, or as the customer of a source."""
    named = call.path["identifier"].strip()
    ours = kind is IdentifierType.ACCOUNT_ID and ids.read("mem", named) is not None
    if ours or (kind is IdentifierType.EMAIL and ":" not in named):
        return named
    return f"{_source_of(call, kind, options)}:{named}"


def _source_of(call: Call, kind: IdentifierType, options: EsLoyaltyOptions) -> str:
    return options.identifiers.get(kind) or settings_of(call, NAME).customers_of


def _loyalty_id(call: Call, member: MemberRow, options: EsLoyaltyOptions) -> str:
    """Return the account's card number: its first id at the source that has those, else our own."""
    cards = f"{_source_of(call, IdentifierType.LOYALTY_ID, options)}:"
    known = [one.removeprefix(cards) for one in member.source_ids if one.startswith(cards)]
    return known[0] if known else ids.show("mem", member.id)


def _begun(call: Call, member: int | None, known_by: str, options: EsLoyaltyOptions) -> Session:
    """Begin the session, or find it begun. Raises `Problem` where its id is somebody else's, or used up."""
    asked: SessionAsked = call.body
    ends_at = call.now + options.session_minutes * MINUTE_MS
    wanted = Session(call.env, asked.correlation_id, member, str(known_by), call.now, ends_at)
    session = begin_session(call.database, wanted)
    if (session.member, session.known_by) != (member, known_by):
        raise Problem("conflict", "This session correlation ID stands for another account; take a new one")
    if session.ends_at <= call.now:
        raise Problem("conflict", CLOSED)
    return session


def _session_view(call: Call, session: Session) -> dict[str, Any]:
    asked: SessionAsked = call.body
    return {
        "sessionId": session.name,
        "correlationId": session.name,
        "channel": asked.channel,
        "externalAgentSessionId": asked.external_agent_session_id,
        "expiresAt": iso(session.ends_at),
    }


def _starting(path: str, handler: Any, summary: str, response: type[SessionShown]) -> Route:
    return Route(
        "POST",
        path,
        handler,
        "members:read",
        summary,
        response,
        TITLE,
        access=Access.WRITE,
        body=SessionAsked,
    )


ROUTES = (
    _starting(
        "/client/users/anonymous/sessions",
        start_anonymous_session,
        "Start a session of nobody who is known",
        SessionShown,
    ),
    _starting(
        "/client/users/{identifier}/sessions",
        start_session,
        "Start a session of an account, named as X-Identifier-Type says",
        AccountSessionShown,
    ),
)
