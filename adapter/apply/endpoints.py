"""Endpoints, known by their URL. Their health is no configuration: what was stopped by hand stays so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapter.apply.change import Action, Change
from adapter.delivery import endpoints, switching

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from adapter.apply.target import Target
    from adapter.catalog import Endpoint
    from adapter.delivery.fields import EndpointFields

REMOVED = "removed from the applied file"


def retire(connection: Connection, target: Target, wanted: Sequence[EndpointFields]) -> Iterator[Change]:
    """Disable what is not in the file; what is due for it is held."""
    urls = {one.url for one in wanted}
    for endpoint in target.catalog.endpoints_of.get(target.env, ()):
        if endpoint.url not in urls and endpoint.disabled_reason != REMOVED:
            switching.disable(connection, target.env, endpoint.id, now=target.now, reason=REMOVED)
            yield target.change(Action.REMOVED, "endpoint", endpoint.url, "disabled")


def match(connection: Connection, target: Target, wanted: Sequence[EndpointFields]) -> Iterator[Change]:
    """Create what is new, update what differs, and enable what the file had lost and has again."""
    known = {one.url: one for one in reversed(target.catalog.endpoints_of.get(target.env, ()))}
    for fields in wanted:
        there = known.get(fields.url)
        yield (
            _add(connection, target, fields) if there is None else _matched(connection, target, fields, there)
        )


def _add(connection: Connection, target: Target, fields: EndpointFields) -> Change:
    view = endpoints.add(connection, target.env, fields.model_dump(), now=target.now)
    note = "" if fields.secrets else f"its secret, shown this once: {view['secret']}"
    return target.change(Action.CREATED, "endpoint", fields.url, note)


def _matched(connection: Connection, target: Target, fields: EndpointFields, there: Endpoint) -> Change:
    differing = _differing(fields, there, target)
    back = there.disabled_reason == REMOVED
    if not differing and not back:
        return target.change(Action.UNCHANGED, "endpoint", fields.url)
    if differing:
        endpoints.change(connection, target.env, there.id, differing, now=target.now)
    if back:
        switching.enable(connection, target.env, there.id, now=target.now)
    note = [*sorted(differing), *(["enabled"] if back else [])]
    return target.change(Action.UPDATED, "endpoint", fields.url, ", ".join(note))


def _differing(fields: EndpointFields, there: Endpoint, target: Target) -> dict[str, Any]:
    """Return the fields that differ. Secrets are taken literally; a file without any leaves them alone."""
    wanted = fields.model_dump()
    kept = {
        "url": there.url,
        "events": there.events,
        "format": there.format,
        "schedule": there.schedule,
        "timeout": there.timeout_s,
        "ordered": there.ordered,
        "headers": dict(there.headers),
        "concurrency": there.concurrency,
        "rate_per_s": there.rate_per_s,
        "description": there.description,
    }
    differing = {name: wanted[name] for name, value in kept.items() if wanted[name] != value}
    in_force = [each for each in there.secrets if each.expires_at is None or each.expires_at > target.now]
    literal = all(each.expires_at is None for each in in_force)
    if fields.secrets and not (literal and fields.secrets == tuple(each.secret for each in in_force)):
        differing["secrets"] = fields.secrets
    return differing
