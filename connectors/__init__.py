"""The shops we understand: an explicit table. To add one: a folder, a line here, and a folder of fixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.errors import ConfigurationError
from connectors.brevo.connector import CONNECTOR as BREVO
from connectors.shopify import CONNECTOR as SHOPIFY
from connectors.standard import CONNECTOR as STANDARD
from connectors.stripe import CONNECTOR as STRIPE
from connectors.woocommerce import CONNECTOR as WOOCOMMERCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.base import Connector

CONNECTORS: Mapping[str, Connector] = {
    one.name: one for one in (SHOPIFY, WOOCOMMERCE, STRIPE, STANDARD, BREVO)
}


def connector(name: str) -> Connector:
    """Return the connector of this name. Raises `ConfigurationError` that lists those there are."""
    if name not in CONNECTORS:
        known = ", ".join(sorted(CONNECTORS))
        raise ConfigurationError(f"there is no connector {name!r}; there are {known}", field="connector")
    return CONNECTORS[name]
