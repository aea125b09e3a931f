"""Signing a body as a platform does, to rehearse: for `send`, the demo and the tests.

Written from the platforms' documents and apart from the connectors, which must accept what is signed here.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def signed_headers(
    connector: str, body: bytes, secret: str, *, now_s: int, topic: str | None = None
) -> dict[str, str]:
    """Return the headers with which the platform of a connector would post this body now.

    Raises `ConfigurationError` for a connector that cannot be rehearsed, a missing topic or a bad secret.
    """
    sign = _SIGN.get(connector)
    if sign is None:
        raise ConfigurationError(f"cannot sign as {connector!r}; there are {', '.join(_SIGN)}")
    return {"Content-Type": "application/json", **sign(body, secret, now_s, topic)}


def _shopify(body: bytes, secret: str, _now_s: int, topic: str | None) -> dict[str, str]:
    return {
        "X-Shopify-Topic": _needed(topic, "orders/create"),
        "X-Shopify-Hmac-SHA256": _base64_hmac(body, secret),
    }


def _woocommerce(body: bytes, secret: str, _now_s: int, topic: str | None) -> dict[str, str]:
    return {
        "X-WC-Webhook-Topic": _needed(topic, "order.created"),
        "X-WC-Webhook-Signature": _base64_hmac(body, secret),
    }


def _stripe(body: bytes, secret: str, now_s: int, _topic: str | None) -> dict[str, str]:
    signature = hmac.new(secret.encode(), f"{now_s}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={now_s},v1={signature}"}


def _standard(body: bytes, secret: str, now_s: int, _topic: str | None) -> dict[str, str]:
    from standardwebhooks import Webhook
    from standardwebhooks.webhooks import EmptyWebhookSecretError

    name = f"msg_{hashlib.sha256(body).hexdigest()[:24]}"  # the same body is the same message
    try:
        signature = Webhook(secret).sign(name, datetime.fromtimestamp(now_s, UTC), body.decode())
    except (ValueError, EmptyWebhookSecretError) as error:
        raise ConfigurationError(
            f"cannot sign: the secret must be whsec_<base64>, the body UTF-8 ({error})"
        ) from error
    return {"webhook-id": name, "webhook-timestamp": str(now_s), "webhook-signature": signature}


def _base64_hmac(body: bytes, secret: str) -> str:
    return b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def _needed(topic: str | None, example: str) -> str:
    if not topic:
        raise ConfigurationError(f"say which topic it is: --topic {example}")
    return topic


_SIGN: Mapping[str, Callable[[bytes, str, int, str | None], dict[str, str]]] = {
    "shopify": _shopify,
    "woocommerce": _woocommerce,
    "stripe": _stripe,
    "standard": _standard,
    "brevo": _standard,
}
