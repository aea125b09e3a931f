"""The balance of a session's account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from adapter.web.dialects import options_of
from adapter.web.errors import Problem
from adapter.web.routing import Route
from connectors.es_loyalty.api.amounts import BalanceShown, amounts_of
from connectors.es_loyalty.api.sessions import MISSING, account_of, open_session, redeems
from connectors.es_loyalty.vendor import NAME, TITLE, EsLoyaltyOptions

if TYPE_CHECKING:
    from adapter.web.routing import Call

NOT_APPLICABLE = "API not applicable for your configuration"


def balance(call: Call) -> dict[str, Any]:
    """Show the figures of a session's account."""
    session = open_session(call)
    if not options_of(call, NAME, EsLoyaltyOptions).points_bank:
        raise Problem("request_invalid", NOT_APPLICABLE)
    member = account_of(call, session)
    return amounts_of(call, member.id, redeems=redeems(session))


def balance_of_no_session(_call: Call) -> NoReturn:
    """Ask for a correlation id where the address has none."""
    raise Problem("request_invalid", MISSING)


def _showing(path: str, handler: Any, summary: str) -> Route:
    return Route("GET", path, handler, "members:read", summary, BalanceShown, TITLE)


ROUTES = (
    _showing("/client/users/{correlation_id}/balance", balance, "Show the balance of a session's account"),
    _showing("/client/users//balance", balance_of_no_session, "Ask for the correlation id that is missing"),
)
