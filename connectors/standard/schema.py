"""The JSON Schema of what this connector takes: `schema.json`, beside this module, made from the models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from connectors.standard.model import AnyEvent

SCHEMA = Path(__file__).with_name("schema.json")


def schema_text() -> str:
    """Return the schema as it is published."""
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Loyalty event",
        "description": "One fact about an order or a customer, signed as Standard Webhooks says.",
        **TypeAdapter(AnyEvent).json_schema(),
    }
    return json.dumps(schema, indent=2) + "\n"


def publish(path: Path = SCHEMA) -> None:
    """Write the schema anew, as after every change of the models."""
    path.write_text(schema_text())
