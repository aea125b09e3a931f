"""The dialect of ES Loyalty, as a whole."""

from __future__ import annotations

from adapter.web.dialects import Dialect
from connectors.es_loyalty.api import balance, history, purchases, reservations, sessions
from connectors.es_loyalty.api.errors import headers_of, refuse
from connectors.es_loyalty.vendor import NAME, TITLE, VENDOR

TEXT = """
An existing client sends its requests here instead of its environment's base URL, with an API key of ours as the bearer
token. ACCOUNT_ID is our member id (mem_…) or a customer id of the source that `customers_of` names; EMAIL is an e-mail
address; `identifiers` in the options of the dialect says of which source the other types of X-Identifier-Type are customer
ids.

A session is over after `session_minutes`. A reservation holds points as long as the program says (`hold_minutes`), then it
gives them back. Dollars are the program's `redeeming` currency; `dollar_rounding_unit` rounds the balances in dollars down
to whole units of it, and the program's `full_balance` shows more as redeemable than is left of the day.

Finalized purchases are orders of a source with the connector `standard`, named by `purchases_of`: they earn by the program's
rules. Amounts are in the currency's smallest unit. The LOYALTY tender uses the reservation whose `reservationToken` it has,
or the only one that waits in the session. With a `confirmation` the purchase counts as paid once it is confirmed.

Two more options are switches: without `points_bank` (SYSTEM_OF_RECORD) there is no balance to ask for, without
`adhoc_redemption` nothing is reserved. `currency` is that of purchases, where it is not the one of redeeming.
"""

DIALECT = Dialect(
    name=NAME,
    title=TITLE,
    routes=(
        *balance.ROUTES,
        *sessions.ROUTES,
        *reservations.ROUTES,
        *purchases.ROUTES,
        *history.ROUTES,
    ),
    beginnings=("/client/",),
    vendor=VENDOR,
    refuse=refuse,
    headers=headers_of,
    text=TEXT,
    example='curl "$URL/client/users/$CORRELATION_ID/balance" -H "Authorization: Bearer $LOYALTY_KEY"',
    left_out={
        "OAuth2 client credentials": "There is no token to fetch: the API key itself is the bearer token.",
        "PUT /client/users/:correlation_id/reservations/:reservation_token": "Cancel the reservation and make a smaller "
        "one: the points of a hold are not changed.",
        "POST /client/users/:correlation_id/activity/saf/v2": "Finalize it with its `transactionDate`: what comes late "
        "is taken in at any time.",
        "POST /client/users/:correlation_id/sessions/:originalTransactionId/confirmations/v2": "Purchases are confirmed "
        "as a whole; shipments of single lines are told to the source itself.",
        "contributions of households": "There are no households: an account's points are its own.",
    },
)
