"""What an answer outlives: whether a PostgreSQL server is set up so that what was answered cannot be lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from adapter.store.address import servers_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

_ASKED = "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'synchronous_standby_names')"


def gaps(engine: Engine) -> list[str]:
    """Return what may lose an answer that was given, each as a sentence that says what to set; one query."""
    if engine.dialect.name != "postgresql":
        return []  # an embedded database is opened as it has to be
    with engine.connect() as connection:
        found = {row.name: row.setting for row in connection.execute(text(_ASKED))}
    several = len(servers_of(engine.url)) > 1
    return gaps_of(found, several=several)


def gaps_of(found: dict[str, str], *, several: bool) -> list[str]:
    """Do the same for the settings of a server, one of several or the only one."""
    said = []
    if found["fsync"] == "off":
        said.append("the server's machine may lose what was answered when it stops: set fsync = on")
    if found["synchronous_commit"] == "off":
        said.append("the server may lose what was answered when it stops: set synchronous_commit = on")
    if several and not found["synchronous_standby_names"]:
        said.append(
            "a failover may lose what was answered last: no standby is waited for; set synchronous_standby_names"
        )
    elif several and found["synchronous_commit"] in ("local", "remote_write"):
        setting = found["synchronous_commit"]
        said.append(
            f"a failover may lose what was answered last: synchronous_commit is {setting}; set it to on"
        )
    return said
