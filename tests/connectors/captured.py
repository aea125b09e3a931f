"""What becomes of webhooks captured from real shops, which are kept outside the repository.

`python -m tests.connectors.captured` prints the table: platform, file, topic, and the events or the reason.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from adapter.clock import parse
from adapter.errors import Ignored, Rejected
from connectors import CONNECTORS
from connectors.base import RawEvent, SourceSettings

FOLDER = Path(__file__).parents[2].parent / "shared" / "fixtures"
RECEIVED_AT = parse("2026-11-21T00:00:00Z")
TOPIC_HEADER = {"shopify": ("x-shopify-topic", "/"), "woocommerce": ("x-wc-webhook-topic", ".")}


@dataclass(frozen=True)
class Outcome:
    platform: str
    file: str
    topic: str
    kind: str  # events | handshake | ignored | rejected
    detail: str


def captured() -> list[tuple[str, Path]]:
    """Return every captured body of a platform we know."""
    return [
        (name, path)
        for name in CONNECTORS
        for path in sorted((FOLDER / name).glob("*.*"))
        if path.suffix in (".json", ".txt") and not path.name.endswith(".headers.json")
    ]


def raw_of(platform: str, path: Path) -> RawEvent:
    """Return the webhook: with its captured headers, or with the topic that names the file."""
    kept = path.with_name(f"{path.stem}.headers.json")
    headers = json.loads(kept.read_bytes()) if kept.exists() else {}
    lower = {str(key).lower(): str(value) for key, value in headers.items()}
    if platform in TOPIC_HEADER:
        name, separator = TOPIC_HEADER[platform]
        words = ".".join(part for part in path.stem.split(".") if not part.isdigit())
        lower.setdefault(name, words.replace(".", separator, 1))
    return RawEvent(lower, path.read_bytes(), RECEIVED_AT)


def outcome(platform: str, path: Path) -> Outcome:
    """Return what becomes of a captured webhook; an error that the contract does not know is let out."""
    connector, raw = CONNECTORS[platform], raw_of(platform, path)
    if connector.handshake(raw):
        return Outcome(platform, path.name, "", "handshake", "answered without effect")
    try:
        events = connector.normalize(raw, SourceSettings("shop", ("hush",)))
    except Ignored as error:
        kind, detail = "ignored", error.message
    except Rejected as error:
        kind, detail = "rejected", error.message
    else:
        kind, detail = "events", ", ".join(event.type.value for event in events)
    return Outcome(platform, path.name, connector.topic(raw), kind, detail)


def main() -> None:
    """Print the table."""
    for platform, path in captured():
        one = outcome(platform, path)
        sys.stdout.write(f"{one.platform:12} {one.file:50} {one.topic:40} {one.kind:10} {one.detail}\n")


if __name__ == "__main__":
    main()
