"""Brevo's API in front of our own commands and reads."""

from __future__ import annotations

from adapter.web.dialects import Dialect
from connectors.brevo.api import (
    account,
    balance_orders,
    balances,
    commerce,
    definitions,
    history,
    limits,
    offers,
    programs,
    subscriptions,
    tier_groups,
    tiers,
    transactions,
    vouchers,
    webhooks,
)
from connectors.brevo.api.errors import refuse
from connectors.brevo.vendor import VENDOR

TEXT = """Brevo's SDKs take an address: give them ours, with `/v3` at its end, and a key of ours as `api-key`.

Programs, balance definitions, limits, tiers and rewards made through it are the same versioned data as those of
the apply file and of `/v1`: they change a draft, and `publish` puts it in force. Ids are UUIDs, also those of what
was made elsewhere. A contact is the customer `brevo:<contactId>` of ours, and a loyalty subscription id is found alike.

Errors are `{"code", "message"}`. A business refusal is 422, never 409: the SDKs would send it again."""

LEFT_OUT = {
    "GET /v3/orders": "What was taken in is listed by `GET /v1/events`, with what became of it.",
    "GET /v3/events": "What was taken in is listed by `GET /v1/events`, with what became of it.",
    "POST /v3/webhooks/export": "Deliveries and their attempts are listed by `GET /v1/deliveries`.",
}

DIALECT = Dialect(
    name="brevo",
    title="Brevo",
    routes=(
        *programs.ROUTES,
        *definitions.ROUTES,
        *limits.ROUTES,
        *tier_groups.ROUTES,
        *tiers.ROUTES,
        *subscriptions.ROUTES,
        *account.ROUTES,
        *offers.ROUTES,
        *vouchers.ROUTES,
        *transactions.ROUTES,
        *balance_orders.ROUTES,
        *balances.ROUTES,
        *history.ROUTES,
        *commerce.ROUTES,
        *webhooks.ROUTES,
    ),
    beginnings=("/v3/",),
    vendor=VENDOR,
    refuse=refuse,
    text=TEXT,
    left_out=LEFT_OUT,
    example='Brevo(base_url="$URL/v3", api_key="sk_…")',
)
