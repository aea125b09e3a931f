"""Where a database is: a file, a server, or several PostgreSQL servers of which one takes writes.

Several servers are listed as PostgreSQL's own programs take them: `postgresql://user@one:5432,two:5433/name`. A connection
is made to the one that takes writes, whichever that is at that moment; so after a failover nothing has to be set anew.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError

from adapter.errors import ConfigurationError

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Engine
    from sqlalchemy.engine.interfaces import Dialect

Server = tuple[str, str]
"""A host and a port; an empty port is PostgreSQL's own."""

_PATIENCE: dict[str, int] = {
    "connect_timeout": 5,  # seconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}
"""A server that vanished without a word is given up after seconds; the system's own patience is a quarter of an hour."""
_PATIENCE_WITH_EACH_S = 2
"""The same where there are several: another one may take writes by then, and shops wait."""

_PARTS = re.compile(
    r"(?P<scheme>postgres[^:]*://)(?P<user>(?:[^/?#]*@)?)(?P<hosts>[^/?#@]*)(?P<rest>.*)", re.DOTALL
)
_SERVER = re.compile(r"\[?(?P<host>[^\]]*?)\]?(?::(?P<port>\d*))?")
_SECRETS = ("password", "sslpassword")
_LISTED = "servers.listed.here"


def address_of(url: str) -> URL:
    """Return a database's URL as the driver takes it; of several servers, the one that takes writes is meant.

    Raises `ConfigurationError`, which repeats nothing of the URL: what stands at the wrong place may be a password.
    """
    listed = _PARTS.fullmatch(url)
    try:
        if listed is None or "," not in listed["hosts"]:
            parsed = make_url(url)
        else:
            servers = [_server(one) for one in listed["hosts"].split(",")]
            parsed = _with_servers(make_url(f"{listed['scheme']}{listed['user']}{listed['rest']}"), servers)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "LOYALTY_DATABASE_URL is not a database's URL, such as sqlite:///path/to/file or "
            "postgresql://user:password@host/database; an @ in a password is written as %40",
            field="database_url",
        ) from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if len(servers_of(parsed)) > 1 and "target_session_attrs" not in parsed.query:
        parsed = parsed.update_query_dict({"target_session_attrs": "read-write"})
    return parsed


def servers_of(url: URL) -> list[Server]:
    """Return the servers that a URL lists, in either of the ways in which SQLAlchemy takes several."""
    hosts = url.query.get("host")
    if hosts is None:
        return [(url.host or "", "" if url.port is None else str(url.port))]
    if not isinstance(hosts, str):
        return [_server(one) for one in hosts]
    ports = url.query.get("port", "")
    return _pairs(hosts, ports if isinstance(ports, str) else ",".join(ports))


def shown(url: URL) -> str:
    """Return a URL as people read it, without what is secret in it."""
    plain = url.update_query_dict({name: "***" for name in _SECRETS if name in url.query})
    servers = servers_of(url)
    if len(servers) == 1:
        return plain.render_as_string()
    one = plain.difference_update_query(("host", "port")).set(host=_LISTED, port=None)
    listed = ",".join(f"{f'[{host}]' if ':' in host else host}:{port}".rstrip(":") for host, port in servers)
    return one.render_as_string().replace(_LISTED, listed)


def for_programs(url: URL) -> tuple[str, str | None]:
    """Return what PostgreSQL's own programs connect by, and the password, which no list of processes may show."""
    from psycopg.conninfo import make_conninfo

    _, given = url.get_dialect()().create_connect_args(url)
    given.pop("context", None)  # the driver's own
    password = given.pop("password", None)
    return make_conninfo("", **given), password


def patience_with(url: URL) -> dict[str, int]:
    """Return for how long a silent server is waited for, as far as the URL does not say it itself."""
    several = {"connect_timeout": _PATIENCE_WITH_EACH_S} if len(servers_of(url)) > 1 else {}
    return {name: limit for name, limit in (_PATIENCE | several).items() if name not in url.query}


def ask_first_where_it_was(engine: Engine) -> None:
    """Have each new connection ask that server first which took writes last.

    A machine that vanished is the first in the list for as long as nobody mends it, and asking it costs seconds.
    """
    if len(servers_of(engine.url)) == 1:
        return
    last: Server | None = None

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Dialect, _record: object, arguments: list[Any], parameters: dict[str, Any]) -> Any:
        servers = _pairs(parameters["host"], parameters.get("port", ""))
        servers.sort(key=lambda one: one != last)
        ordered = {
            "host": ",".join(host for host, _ in servers),
            "port": ",".join(port for _, port in servers),
        }
        return dialect.connect(*arguments, **(parameters | ordered))

    @event.listens_for(engine, "connect")
    def remember(connection: object, _record: object) -> None:
        nonlocal last
        found = cast("psycopg.Connection", connection).info
        last = (found.host, str(found.port))


def _pairs(hosts: str, ports: str) -> list[Server]:
    return list(zip_longest(hosts.split(","), ports.split(","), fillvalue=""))


def _server(text: str) -> Server:
    found = _SERVER.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return found["host"], found["port"] or ""


def _with_servers(url: URL, servers: list[Server]) -> URL:
    hosts, ports = (",".join(each) for each in zip(*servers, strict=True))
    return url.update_query_dict({"host": hosts, "port": ports})
