"""Orders and events as Brevo's clients post them: under `/v3` with a key of the API, or signed as Standard Webhooks says."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from adapter.errors import Ignored, Rejected
from connectors.base import RawEvent, SourceSettings, event_key
from connectors.brevo.facts import facts, of_event, of_order, word_of
from connectors.brevo.topics import EVENT_TYPES, EVENTS, IGNORED, ORDER, STATUSES, Stage
from connectors.payload import read_json
from connectors.settings import Options, check_secrets, read_options
from connectors.signed import check_keys, verify_body
from connectors.topics import reason_to_ignore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from adapter.events import Event

HISTORICAL = "It is historical: told for the record, and earns nothing."


StageName = Literal["open", "paid", "shipped", "completed", "cancelled", "refunded"]


class BrevoSource(Options):
    """`currency` is that of all orders, which Brevo does not name; `statuses` are further words of the shop."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"
    statuses: dict[str, StageName] = Field(default_factory=dict)


class BrevoOrders:
    """The source that Brevo's clients write to."""

    name: str = "brevo"
    event_types: Mapping[str, str] = EVENT_TYPES
    ignored: Mapping[str, str] = IGNORED

    def check_settings(self, settings: SourceSettings) -> None:
        check_secrets(settings)
        check_keys(settings)
        read_options(BrevoSource, settings)

    def handshake(self, raw: RawEvent) -> bool:  # noqa: ARG002 - there is no hello
        return False

    def verify(self, raw: RawEvent, settings: SourceSettings) -> None:
        verify_body(raw, settings.secrets)

    def topic(self, raw: RawEvent) -> str:
        try:
            return _topic(read_json(raw.body))
        except Rejected:
            return "unknown"

    def key(self, raw: RawEvent) -> bytes:
        """Digest what is said: it has no id of its own, and saying it twice is saying it once."""
        return event_key(self.name, hashlib.sha256(raw.body).digest())

    def normalize(self, raw: RawEvent, settings: SourceSettings) -> tuple[Event, ...]:
        body = read_json(raw.body)
        options = read_options(BrevoSource, settings)
        topic = _topic(body)
        if (why := reason_to_ignore(IGNORED, topic)) is not None:
            raise Ignored(why)
        if topic not in EVENT_TYPES:
            raise Rejected(f"nothing is known of an event {topic[:60]!r}", field="event_name")
        if topic == ORDER:
            said = of_order(body, _stages(options), options.currency, raw.received_at)
        else:
            said = of_event(body, EVENTS[topic], options.currency, raw.received_at)
        found = tuple(facts(said))
        if body.get("historical") is True:
            raise Ignored(HISTORICAL)
        return found


def _topic(body: Mapping[str, Any]) -> str:
    name = body.get("event_name")
    if isinstance(name, str) and name:
        return name
    return ORDER if "status" in body else "unknown"


def _stages(options: BrevoSource) -> dict[str, Stage]:
    """Return what each status says."""
    return {**STATUSES, **{word_of(status): Stage(stage) for status, stage in options.statuses.items()}}


CONNECTOR = BrevoOrders()
