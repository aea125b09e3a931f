"""The loyalty vendors we speak like: an explicit table of what they are besides their APIs (`dialects.py` has those)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.errors import ConfigurationError
from connectors.brevo.vendor import VENDOR as BREVO
from connectors.es_loyalty.vendor import VENDOR as ES_LOYALTY
from connectors.loyalpro.vendor import VENDOR as LOYALPRO
from connectors.salesforce.vendor import VENDOR as SALESFORCE
from connectors.vinr.vendor import VENDOR as VINR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.vendor import Vendor

_ALL: tuple[Vendor, ...] = (BREVO, ES_LOYALTY, LOYALPRO, SALESFORCE, VINR)
VENDORS: Mapping[str, Vendor] = {one.name: one for one in _ALL}


def vendor(name: str) -> Vendor:
    """Return the vendor of this name. Raises `ConfigurationError` that lists those there are."""
    if name not in VENDORS:
        known = ", ".join(sorted(VENDORS))
        raise ConfigurationError(f"there is no dialect {name!r}; there are {known}", field="name")
    return VENDORS[name]
