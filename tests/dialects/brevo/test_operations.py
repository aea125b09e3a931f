"""All operations of loyalty that Brevo's client has are served."""

from __future__ import annotations

import re

from connectors.brevo.api import DIALECT

OPERATIONS = [
    "",
    "GET /loyalty/balance/programs/{pid}/active-balance",
    "GET /loyalty/balance/programs/{pid}/balance-definitions",
    "POST /loyalty/balance/programs/{pid}/balance-definitions",
    "GET /loyalty/balance/programs/{pid}/balance-definitions/{bdid}",
    "PUT /loyalty/balance/programs/{pid}/balance-definitions/{bdid}",
    "DELETE /loyalty/balance/programs/{pid}/balance-definitions/{bdid}",
    "POST /loyalty/balance/programs/{pid}/balance-definitions/{bdid}/limits",
    "GET /loyalty/balance/programs/{pid}/balance-definitions/{bdid}/limits/{blid}",
    "PUT /loyalty/balance/programs/{pid}/balance-definitions/{bdid}/limits/{blid}",
    "DELETE /loyalty/balance/programs/{pid}/balance-definitions/{bdid}/limits/{blid}",
    "GET /loyalty/balance/programs/{pid}/contact-balances",
    "POST /loyalty/balance/programs/{pid}/create-order",
    "GET /loyalty/balance/programs/{pid}/subscriptions/{cid}/balances",
    "POST /loyalty/balance/programs/{pid}/subscriptions/{cid}/balances",
    "GET /loyalty/balance/programs/{pid}/transaction-history",
    "POST /loyalty/balance/programs/{pid}/transactions",
    "POST /loyalty/balance/programs/{pid}/transactions/{tid}/cancel",
    "POST /loyalty/balance/programs/{pid}/transactions/{tid}/complete",
    "GET /loyalty/config/programs",
    "POST /loyalty/config/programs",
    "GET /loyalty/config/programs/{pid}",
    "PUT /loyalty/config/programs/{pid}",
    "DELETE /loyalty/config/programs/{pid}",
    "PATCH /loyalty/config/programs/{pid}",
    "GET /loyalty/config/programs/{pid}/account-info",
    "DELETE /loyalty/config/programs/{pid}/contact/{cid}",
    "POST /loyalty/config/programs/{pid}/publish",
    "POST /loyalty/config/programs/{pid}/subscription-members",
    "DELETE /loyalty/config/programs/{pid}/subscription-members",
    "POST /loyalty/config/programs/{pid}/subscriptions",
    "POST /loyalty/tier/programs/{pid}/contacts/{cid}/tiers/{tid}",
    "GET /loyalty/tier/programs/{pid}/tier-groups",
    "POST /loyalty/tier/programs/{pid}/tier-groups",
    "GET /loyalty/tier/programs/{pid}/tier-groups/{gid}",
    "PUT /loyalty/tier/programs/{pid}/tier-groups/{gid}",
    "DELETE /loyalty/tier/programs/{pid}/tier-groups/{gid}",
    "POST /loyalty/tier/programs/{pid}/tier-groups/{gid}/tiers",
    "GET /loyalty/tier/programs/{pid}/tiers",
    "PUT /loyalty/tier/programs/{pid}/tiers/{tid}",
    "DELETE /loyalty/tier/programs/{pid}/tiers/{tid}",
    "GET /loyalty/offer/programs/{pid}/code-pools/{cpid}/codes-count",
    "GET /loyalty/offer/programs/{pid}/offers",
    "POST /loyalty/offer/programs/{pid}/offers",
    "POST /loyalty/offer/programs/{pid}/rewards/attribute",
    "POST /loyalty/offer/programs/{pid}/rewards/redeem",
    "POST /loyalty/offer/programs/{pid}/rewards/redeem/{tid}/complete",
    "DELETE /loyalty/offer/programs/{pid}/rewards/revoke",
    "POST /loyalty/offer/programs/{pid}/rewards/validate",
    "GET /loyalty/offer/programs/{pid}/rewards/{rid}",
    "GET /loyalty/offer/programs/{pid}/vouchers",
    "",
][1:-1]


def nameless(operation: str) -> str:
    return re.sub(r"{\w+}", "{}", operation)


def test_all_fifty_are_served() -> None:
    assert len(set(OPERATIONS)) == 50
    served = {nameless(f"{one.method} {one.path.removeprefix('/v3')}") for one in DIALECT.routes}
    assert {nameless(one) for one in OPERATIONS} - served - {
        nameless(one) for one in DIALECT.left_out
    } == set()
