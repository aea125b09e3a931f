"""The cases of all connectors, by the connector's name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from connectors import CONNECTORS

if TYPE_CHECKING:
    from tests.connectors.case import Case

CASES: dict[str, Case] = {name: import_module(f"tests.connectors.{name}.case").CASE for name in CONNECTORS}
