"""The dialects we serve: an explicit table. To add one: a folder, a line here, and a line in `vendors.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.brevo.api import DIALECT as BREVO
from connectors.es_loyalty.api.dialect import DIALECT as ES_LOYALTY
from connectors.loyalpro.api.dialect import DIALECT as LOYALPRO
from connectors.salesforce.api import DIALECT as SALESFORCE
from connectors.vinr.api import DIALECT as VINR

if TYPE_CHECKING:
    from adapter.web.dialects import Dialect

DIALECTS: tuple[Dialect, ...] = (BREVO, ES_LOYALTY, LOYALPRO, SALESFORCE, VINR)
