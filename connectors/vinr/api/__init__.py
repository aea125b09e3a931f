"""VINR's API in front of our own commands and reads."""

from __future__ import annotations

from adapter.web.dialects import Dialect
from connectors.vinr.api import accounts, events, payments, redemptions, transactions, webhooks
from connectors.vinr.api.errors import refuse
from connectors.vinr.vendor import VENDOR

TEXT = """Give VINR's client our address and a key of ours, as X-Api-Key or Authorization: Bearer. Its paths begin at
/vinr/v1, and at /v1 of the host name in the setting dialects.vinr_host. Which program is meant, whose the customer ids are,
and how codes begin (code_prefix, VINR unless said) is in [[tenants.dialects]] of the apply file.

A loyalty account is a member: loy_… and our own mem_… name the same one, and so does the customer that it was made for. A
redemption, a reward and a points transaction are those of our own API. Points that a discount holds are gone from balance
at once; if it is released they come back with a points transaction of their own.

Payments are rehearsed, in test environments alone: nobody is ever charged. A payment begun here is a fact of the book, as a
shop's webhook would tell it, so it applies or releases the redemptions that are taken off it, and earns. With the card
4242 4242 4242 4242 it completes, 4000 0000 0000 0002 is declined; without a card it waits to be confirmed, cancelled or
expired. A redemption that is reversed before its payment is confirmed is not taken off it. In a live environment payments
are VINR's own or your shop's, and a source's webhooks tell of them.

Webhooks carry Vinr-Signature: t=<unix seconds>,v1=<hex>, and the older x-vinr-timestamp and x-vinr-signature: the hex
HMAC-SHA256 of <unix seconds>.<body>, with the whole text of the secret as the key, whsec_ included. Those of Standard
Webhooks are sent beside them. /v1/events has what some endpoint of this format asked for.

Errors are VINR's; code is our own where VINR names none, such as insufficient_balance and already_applied.
Idempotency-Key counts on POST, for each path of its own."""

LEFT_OUT = {
    "POST /v1/loyalty/programs": "A program is versioned data, written by `apply`; the setting of the dialect names it.",
    "POST /v1/loyalty/rewards": "The catalogue belongs to the program, and is written with it.",
    "POST /v1/loyalty/earning-rules": "Earning rules belong to the program, and are written with it.",
    "PUT /v1/loyalty/accounts/{account} (tier)": "Tiers are assigned by our own API, which asks for the tier group.",
    "GET /v1/payments": "Payments are orders here; `members explain` and our own API show them by member.",
    "POST /v1/payments/{payment}/capture": "A rehearsed payment is not authorized first: it completes or fails.",
    "POST /v1/refunds": "Refunds come from the shop's webhooks, whose facts take points back.",
    "POST /v1/customers": "Customers are the shop's; an account names one by its id.",
}

DIALECT = Dialect(
    name=VENDOR.name,
    title=VENDOR.title,
    routes=(
        *accounts.ROUTES,
        *redemptions.ROUTES,
        *transactions.ROUTES,
        *payments.ROUTES,
        *events.ROUTES,
        *webhooks.ROUTES,
    ),
    beginnings=("/v1/",),
    prefix="/vinr",
    vendor=VENDOR,
    refuse=refuse,
    repeat_methods=("POST",),
    text=TEXT,
    example="const vinr = new Vinr({ secretKey: process.env.VINR_SECRET_KEY, baseUrl: '$URL/v1' });",
    left_out=LEFT_OUT,
)
