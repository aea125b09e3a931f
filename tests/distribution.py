"""Every statement of the suite keeps to the keys by which tables are spread: see `adapter/store/distribution.py`.

What the product says to a database while tests run is heard (`tests/statements.py`), and judged when the session ends
(`tests/binding.py`). Whatever binds a table by none of its keys has to be on the list below, with the reason; and what
every event, redemption, delivery or message goes through may not be on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.store import tables as t
from adapter.store.distribution import SMALL, SPREAD

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.binding import Judge
    from tests.statements import Statement

HOT = (
    "adapter.delivery.claim", "adapter.delivery.dispatcher", "adapter.delivery.record", "adapter.delivery.standing",
    "adapter.engine.answers", "adapter.engine.batch", "adapter.engine.carrying", "adapter.engine.committer",
    "adapter.engine.door", "adapter.engine.holdings", "adapter.engine.limits", "adapter.engine.load",
    "adapter.engine.redeemed", "adapter.engine.shortage",
    "adapter.engine.standings", "adapter.engine.turns", "adapter.engine.undone", "adapter.engine.vouchers",
    "adapter.engine.write",
    "adapter.store.booked", "adapter.store.coming", "adapter.store.configuration", "adapter.store.limits",
    "adapter.store.pending", "adapter.store.recent", "adapter.store.redeemed", "adapter.store.usable",
    "adapter.stream.consumer", "adapter.stream.outbox:published", "adapter.stream.outbox:waiting",
    "adapter.stream.publisher", "adapter.web.lane", "adapter.web.lookups", "adapter.web.looped", "adapter.web.receiver",
)  # fmt: skip
"""The door's batch, redeeming, claiming and recording deliveries, the stream: places that no exception may name."""

EXCEPTIONS = {
    "adapter.apply": "a file is applied by hand",
    "adapter.cli.checking:_count": "how much an audit or a rebuild has to go through, by hand",
    "adapter.delivery.listing": "pages of the console and the API, and figures of them",
    "adapter.delivery.replay:_missing": "somebody asked for messages again that an endpoint never had",
    "adapter.delivery.switching:hold": "an endpoint is disabled",
    "adapter.engine.audit": "looks at everything, once a day",
    "adapter.engine.proving": "part of the audit",
    "adapter.engine.rebuild": "looks at everything, by hand",
    "adapter.engine.reviewing": "the sweep, and part of the audit",
    "adapter.engine.simulate": "looks at everything, by hand",
    "adapter.engine.sweep": "asks every few seconds what is due anywhere, along an index of nothing else",
    "adapter.engine.vouched": "part of the audit",
    "adapter.store.migrations": "changes all rows of a table, once",
    "adapter.store.programs:_have_members_reviewed": "a program is published",
    "adapter.store.reading.attention": "what the console's first page asks somebody to look at",
    "adapter.store.reading.balance_orders:list_orders": "pages of the API",
    "adapter.store.reading.customers": "pages of a vendor's API, by the shop that customers are of",
    "adapter.store.reading.differences": "compares with somebody's figures, by hand",
    "adapter.store.reading.events:list_events": "pages of the console and the API",
    "adapter.store.reading.gauges": "figures for /metrics",
    "adapter.store.reading.holders": "cuts the members into ranges for reports",
    "adapter.store.reading.lags": "figures for /metrics, along indexes of what waits",
    "adapter.store.reading.ledger": "exports for the accountant",
    "adapter.store.reading.members:list_members": "pages of the console and the API",
    "adapter.store.reading.members:members_after": "exports all members",
    "adapter.store.reading.messages:list_messages": "pages of the console and the API",
    "adapter.store.reading.outstanding": "reports of a day in the past",
    "adapter.store.reading.publications": "figures for /metrics",
    "adapter.store.reading.redemptions:list_redemptions": "pages of the console and the API",
    "adapter.store.reading.transactions:list_transactions": "pages of the console and the API",
    "adapter.store.reading.vouchers:list_vouchers": "pages of the console and the API",
    "adapter.store.retention": "removes by age, a few rows at a time",
    "adapter.stream.outbox:end": "publishing is given up",
}
"""The places that may look anywhere: modules, or functions of one; and why they may."""


def judge() -> Judge:
    from tests.binding import Judge

    keys = dict.fromkeys(SMALL) | {name: spread.keys for name, spread in SPREAD.items()}
    return Judge(keys, {name: table.columns.keys() for name, table in t.metadata.tables.items()})


def is_in(place: str, name: str) -> bool:
    """Return whether a place is the module or the function of that name, or something in it."""
    return place == name or place.startswith((f"{name}:", f"{name}."))


def objections(statements: Iterable[Statement]) -> list[str]:
    """Return a line about each statement that looks further than it may."""
    judging, found = judge(), []
    for dialect, place, text in sorted(statements):
        if any(is_in(place, name) for name in EXCEPTIONS):
            continue
        unbound = judging.unbound(dialect, text)
        if unbound:
            found.append(f"{place} ({dialect}) binds {', '.join(unbound)} by no key: {text}")
    return found
