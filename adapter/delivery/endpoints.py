"""Managing endpoints: add, look at, change, rotate secrets, send a test.

Each function is part of the caller's unit of work.

A view never shows a secret or the value of a header, except the secret that was just made.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
from sqlalchemy import Connection, delete, insert, select, update

from adapter.catalog import EndpointSecret
from adapter.clock import Millis, iso
from adapter.delivery import signing
from adapter.delivery.fields import SECRETS_MAX, EndpointFields, checked
from adapter.delivery.switching import send_message
from adapter.errors import Conflict, NotFound, Refused
from adapter.ids import new_id, show
from adapter.messages import MessageType
from adapter.store import tables as t
from adapter.store.configuration import load_catalog, raise_version
from adapter.store.worded import worded

if TYPE_CHECKING:
    from collections.abc import Mapping

OVERLAP_S = 86_400
OVERLAP_MOST_S = 7 * 86_400
_HINT_LETTERS = 10

View = dict[str, Any]


def add(connection: Connection, env: int, given: Mapping[str, Any], *, now: Millis) -> View:
    """Add an endpoint; without `secrets` one is made. The view shows the secret, this once.

    Raises `Refused` that names the field at fault.
    """
    fields = checked(given, live=_is_live(connection, env))
    secrets = fields.secrets or (signing.new_secret(),)
    row = {
        "env": env,
        "id": new_id(now),
        "state": "enabled",
        "failures": 0,
        "created_at": now,
        "updated_at": now,
        "secrets": _encode([EndpointSecret(secret) for secret in secrets]),
        **_columns(fields),
    }
    connection.execute(insert(t.endpoints), row)
    raise_version(connection)
    return show_one(connection, env, int(row["id"])) | {"secret": secrets[0]}


def listed(connection: Connection, env: int) -> list[View]:
    """Return all endpoints of an environment, the oldest first."""
    rows = connection.execute(select(t.endpoints).where(t.endpoints.c.env == env).order_by(t.endpoints.c.id))
    return [to_view(row) for row in rows]


def show_one(connection: Connection, env: int, endpoint: int) -> View:
    """Return one endpoint. Raises `NotFound`."""
    return to_view(_row(connection, env, endpoint))


def headers_of(connection: Connection, env: int, endpoint: int) -> dict[str, str]:
    """Return the headers of an endpoint with their values, which no view shows. Raises `NotFound`."""
    headers: dict[str, str] = orjson.loads(_row(connection, env, endpoint).headers)
    return headers


def change(connection: Connection, env: int, endpoint: int, given: Mapping[str, Any], *, now: Millis) -> View:
    """Set the given fields and leave the others. `secrets` replaces all of them at once; see `rotate`.

    Raises `NotFound`, and `Refused` that names the field at fault.
    """
    row = _row(connection, env, endpoint)
    fields = checked({**_fields(row), **given}, live=_is_live(connection, env))
    values = _columns(fields) | {"updated_at": now}
    if "secrets" in given:
        values["secrets"] = _encode([EndpointSecret(secret) for secret in fields.secrets])
    connection.execute(_update(env, endpoint).values(values))
    raise_version(connection)
    return show_one(connection, env, endpoint)


def rotate(
    connection: Connection,
    env: int,
    endpoint: int,
    *,
    now: Millis,
    overlap_s: int = OVERLAP_S,
    secret: str | None = None,
) -> View:
    """Sign with a new secret from now on, and for `overlap_s` with the old ones too.

    The view shows the new one.

    Raises `NotFound`, and `Refused` for an overlap beyond seven days, a bad secret, or more than ten at once.
    """
    if not 0 <= overlap_s <= OVERLAP_MOST_S:
        raise Refused(
            f"overlap: it must be 0 to {OVERLAP_MOST_S} seconds", code="overlap_invalid", field="overlap"
        )
    fresh = secret or signing.new_secret()
    signing.decode_secret(fresh)
    until = now + overlap_s * 1000
    kept = [
        EndpointSecret(each.secret, until if each.expires_at is None else min(each.expires_at, until))
        for each in _secrets(_row(connection, env, endpoint))
        if (each.expires_at is None or each.expires_at > now) and each.secret != fresh and overlap_s
    ]
    if len(kept) >= SECRETS_MAX:
        raise Conflict("ten secrets are in force already; wait until one of them runs out", field="secrets")
    values = {"secrets": _encode([EndpointSecret(fresh), *kept]), "updated_at": now}
    connection.execute(_update(env, endpoint).values(values))
    raise_version(connection)
    return show_one(connection, env, endpoint) | {"secret": fresh}


def remove(connection: Connection, env: int, endpoint: int, *, now: Millis) -> None:
    """Remove an endpoint; what it did not get becomes dead letters, to be looked at. Raises `NotFound`."""
    _row(connection, env, endpoint)
    connection.execute(delete(t.endpoints).where(t.endpoints.c.env == env, t.endpoints.c.id == endpoint))
    connection.execute(
        worded(
            "UPDATE deliveries SET state = 'dead', last_error = 'the endpoint was removed', updated_at = :now"
            " WHERE env = :env AND endpoint = :endpoint AND state IN ('due', 'held', 'claimed')"
        ),
        {"env": env, "endpoint": endpoint, "now": now},
    )
    raise_version(connection)


def send_test(connection: Connection, env: int, endpoint: int, *, now: Millis) -> View:
    """Queue an `endpoint.test` message for this endpoint alone, whatever its filter says; return its ids.

    Raises `NotFound`, and `Conflict` while the endpoint is disabled.
    """
    _row(connection, env, endpoint)
    target = load_catalog(connection).endpoints[env, endpoint]
    if target.state != "enabled":
        raise Conflict(
            "the endpoint is disabled; enable it first", code="endpoint_disabled", field="endpoint"
        )
    everything = replace(target, events=("*",))
    data = {"endpoint": show("end", endpoint)}
    message = send_message(connection, env, MessageType.ENDPOINT_TEST, data, to=[everything], now=now)
    return {"message": show("msg", message)}


def to_view(row: Any) -> View:
    """Return an endpoint's row as it is shown: hints instead of secrets, names instead of headers."""
    fields = _fields(row)
    return {
        "id": show("end", row.id),
        **fields,
        "headers": dict.fromkeys(fields["headers"], "hidden"),
        "secrets": [
            {"hint": each.secret[:_HINT_LETTERS] + "…", "expires_at": _iso(each.expires_at)}
            for each in _secrets(row)
        ],
        "state": row.state,
        "disabled_reason": row.disabled_reason,
        "failing_since": _iso(row.failing_since),
        "failures": row.failures,
        "probe_at": _iso(row.probe_at),
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def _fields(row: Any) -> dict[str, Any]:
    return {
        "url": row.url,
        "events": orjson.loads(row.events),
        "format": row.format,
        "schedule": orjson.loads(row.schedule),
        "timeout": row.timeout_s,
        "ordered": bool(row.ordered),
        "headers": orjson.loads(row.headers),
        "concurrency": row.concurrency,
        "rate_per_s": row.rate_per_s,
        "description": row.description,
    }


def _columns(fields: EndpointFields) -> dict[str, Any]:
    return {
        "url": fields.url,
        "events": _json(fields.events),
        "format": fields.format,
        "schedule": _json(fields.schedule),
        "timeout_s": fields.timeout,
        "ordered": int(fields.ordered),
        "headers": _json(fields.headers),
        "concurrency": fields.concurrency,
        "rate_per_s": fields.rate_per_s,
        "description": fields.description,
    }


def _row(connection: Connection, env: int, endpoint: int) -> Any:
    row = connection.execute(
        select(t.endpoints).where(t.endpoints.c.env == env, t.endpoints.c.id == endpoint)
    ).first()
    if row is None:
        raise NotFound(f"there is no endpoint {show('end', endpoint)}", field="endpoint")
    return row


def _update(env: int, endpoint: int) -> Any:
    return update(t.endpoints).where(t.endpoints.c.env == env, t.endpoints.c.id == endpoint)


def _is_live(connection: Connection, env: int) -> bool:
    mode = connection.execute(
        select(t.environments.c.mode).where(t.environments.c.id == env)
    ).scalar_one_or_none()
    if mode is None:
        raise NotFound("there is no such environment", field="environment")
    return bool(mode == "live")


def _secrets(row: Any) -> list[EndpointSecret]:
    return msgspec.json.decode(row.secrets, type=list[EndpointSecret])


def _encode(secrets: list[EndpointSecret]) -> str:
    return msgspec.json.encode(secrets).decode()


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _iso(at: Millis | None) -> str | None:
    return None if at is None else iso(at)
