"""The dialect of LoyalPro, as a whole."""

from __future__ import annotations

from adapter.web.dialects import Dialect
from connectors.loyalpro.api import customers, points, redemptions
from connectors.loyalpro.api.errors import refuse
from connectors.loyalpro.api.routes import Said
from connectors.loyalpro.vendor import NAME, TITLE, VENDOR

TEXT = """
An existing client sends its requests here instead of api.loyalpro.com. Keys are ours, and have the vendor's form: sk_test_…
opens the tenant's test mode and sk_live_… its live mode, each with data of its own. A request that names a tenant
(X-Tenant-ID, or tenant_id) which is not the key's is 403; an id of another tenant's is 404.

A customer's id is our member's: cus_… here is mem_… there. external_id is the customer's id at the source that
`customers_of` names, and is accepted wherever an id is. What a plan has as features are the scopes of a key here, and the
403 names the one that is missing.

Refusals have one of six statuses: 400, 401, 403, 404, 429 and 500; those that pass by themselves say Retry-After, in
seconds. Each has `error.code`, `error.message`, the fields at fault, and the request id that is in X-Request-ID as well;
too few points come with what is pending, reserved, expired and redeemed.

Webhooks: an endpoint with format = "loyalpro" hears the events below as {"event": {"id", "type", "created_at", "data"}},
signed by X-LoyalPro-Signature: t=<seconds>,v1=<hex>, the HMAC-SHA256 of `<seconds>.<body>` with the bytes of the endpoint's
secret; while a secret is rotated there is one v1 for each.
"""

DIALECT = Dialect(
    name=NAME,
    title=TITLE,
    routes=(*customers.ROUTES, *points.ROUTES, *redemptions.ROUTES),
    beginnings=("/v1/",),
    prefix="/loyalpro",
    vendor=VENDOR,
    refuse=refuse,
    bare_query=Said,
    text=TEXT,
    example=(
        'curl -X GET "$URL/v1/customers/cus_abc123" -H "Authorization: Bearer $LOYALTY_KEY" '
        '-H "Content-Type: application/json" -v'
    ),
    left_out={
        "fraud.detected, churn.risk": "Nobody judges customers here: a fraud advice is given over our own API.",
        "dashboard": "Webhooks, keys and programs are managed by our own API, the command line and the apply file.",
    },
)
