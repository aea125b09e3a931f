"""The API of Salesforce Loyalty: its paths, words and errors onto our commands and reads."""

from __future__ import annotations

from adapter.web.dialects import Dialect
from connectors.salesforce.api import (
    balances,
    cancelling,
    members,
    processes,
    redemptions,
    tokens,
    transactions,
)
from connectors.salesforce.api.errors import refuse
from connectors.salesforce.vendor import VENDOR

TEXT = """Salesforce's clients take an instance: give them our address, and a key of ours as the access token. One that
logs in by client credentials sends the key as its client secret, under any client id. The paths under `/loyalty` are also
there under `/services/data/vXX.X/loyalty`, whatever the version.

A member id is a customer id of the source that `customers_of` names in the apply file (`salesforce` where nothing is said),
or our own `mem_…`. Total is what was earned and is still there, available is what can be redeemed now, pending waits to be
processed, reserved is held. `X-Request-Id` makes a repeat harmless, `Idempotency-Key` too; a refusal uses neither up, so the
same key may be sent again once there are points enough.

A redemption spends its points at once, for the money off that the program's `redeeming` says, and for what you give for
them where that names no currency. With `options = {redemptions = "held"}` it holds them until its order is paid or off.
`lockBalance` keeps other redemptions of the member back for `lockTimeout` seconds; they are refused with UNABLE_TO_LOCK_ROW
and Retry-After. What is refused for too few points is INSUFFICIENT_LOYALTY_BALANCE, or status `rejected` where
`failOnInsufficientBalance` is false; the balance is always validated.

A client that could not ask, and granted points by the last balance it knew, tells of it later with `lastKnownBalance`, under
a key with the scope `redemptions:degraded`: that is booked, and flagged for a person (`needsReconciliation`).

Balances are read as they are at this moment and cached nowhere, with or without `Cache-Control: no-cache`. Changes of a
balance are sent to endpoints as our own messages."""

LEFT_OUT = {
    "vouchers": "A voucher is given, redeemed and revoked at `/v1/vouchers`.",
    "connect/realtime/loyalty/programs/{program}": "A journal whose points the program works out is an order: post it "
    "as an event of a source with the connector `standard`.",
    "promotions and program-processes of other kinds": "What an order earns is said in the program; "
    "only points that were worked out already are credited and debited.",
    "sobjects, SOQL and bulk jobs": "There are no objects of Salesforce's here; `/v1` reads all that there is.",
}

BOTH = ("", "/services/data/{version}")
"""Before the paths of the loyalty resources: none, or that of a versioned client."""

DIALECT = Dialect(
    name="salesforce",
    title="Salesforce Loyalty",
    routes=(
        *(
            route
            for prefix in BOTH
            for of in (balances, transactions, redemptions)
            for route in of.routes(prefix)
        ),
        balances.COMPOSITE,
        *processes.ROUTES,
        *cancelling.ROUTES,
        *members.ROUTES,
        *tokens.ROUTES,
    ),
    beginnings=("/loyalty/", "/services/"),
    vendor=VENDOR,
    refuse=refuse,
    repeat_headers=("idempotency-key", "x-request-id"),
    text=TEXT,
    example='const instanceUrl = "$URL";  // and: Authorization: Bearer sk_…',
    left_out=LEFT_OUT,
)
