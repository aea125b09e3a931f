"""Programs over HTTP: the version in force, the draft beside it, and how they come about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from adapter.clock import iso
from adapter.errors import NotFound
from adapter.program.bounds import BalanceDefinition
from adapter.program.model import Program
from adapter.store import programs as written
from adapter.store.configuration import newest
from adapter.store.reading.paging import decode_cursor, page_of
from adapter.web.asking import at_fault
from adapter.web.queries import Listing, Selection
from adapter.web.routing import Access, Call, Given, Route
from adapter.web.shown import ProgramShown

if TYPE_CHECKING:
    from adapter.catalog import Catalog, Definition, ProgramVersion
    from adapter.store.programs import Desk


class ProgramQuery(Selection):
    version: Literal["active", "draft"] | None = Field(
        None,
        description="The one in force, or the draft beside it; without it the draft only where nothing is.",
    )


class ProgramsQuery(Listing):
    version: Literal["active", "draft"] | None = Field(
        None, description="Those in force, or only drafts; without it a draft only where nothing is in force."
    )


class DraftQuery(Given):
    version: int | None = Field(
        None, description="The newest version that you have read: 409 where there is a newer one by now."
    )


def programs(call: Call) -> dict[str, Any]:
    """List the programs, each in the version that is asked for."""
    asked: ProgramsQuery = call.query
    after = "" if asked.cursor is None else decode_cursor(asked.cursor, str)[0]
    catalog = configured(call)
    names = sorted(
        name
        for env, name in catalog.programs
        if env == call.env and name > after and catalog.goes_on(env, name)
    )
    found = [
        (name, version)
        for name in names
        if (version := version_of(call, catalog, name, asked.version)) is not None
    ]
    page = page_of(found, asked.limit, lambda one: (one[0],))
    return page.view(lambda one: _program_view(call.env, catalog, *one))


def program(call: Call) -> dict[str, Any]:
    """Show one program."""
    name, catalog = call.path["program"], configured(call)
    if (call.env, name) not in catalog.programs:
        raise NotFound(f"There is no program {name[:80]!r} in this environment.", field="program")
    wanted = call.query.version
    version = version_of(call, catalog, name, wanted)
    if version is None:
        what = "has no draft" if wanted == "draft" else "was never published"
        raise NotFound(f"The program {name!r} {what}.", field="version")
    return _program_view(call.env, catalog, name, version)


def create_program(call: Call) -> dict[str, Any]:
    """Create a program."""
    at = desk_of(call)
    written.create(at, call.body)
    return _newest_view(call, call.body.name)


def draft_program(call: Call) -> dict[str, Any]:
    """Write a program's draft."""
    asked: Program = call.body
    if asked.name != call.path["program"]:
        raise at_fault("name", f"it is {call.path['program'][:80]!r}, and a program keeps its name")
    written.draft(desk_of(call), asked, call.query.version)
    return _newest_view(call, asked.name)


def publish_program(call: Call) -> dict[str, Any]:
    """Publish a program."""
    written.publish(desk_of(call), call.path["program"])
    return _newest_view(call, call.path["program"])


def pause_program(call: Call) -> dict[str, Any]:
    """Pause a program."""
    return _turned(call, "paused")


def end_program(call: Call) -> dict[str, Any]:
    """End a program."""
    return _turned(call, "ended")


def archive_program(call: Call) -> None:
    """Archive a program."""
    written.archive(desk_of(call), call.path["program"])


def desk_of(call: Call) -> Desk:
    """Return where this call's programs are written, in its unit of work."""
    return written.desk(call.database, call.env, call.now)


def configured(call: Call) -> Catalog:
    """Return what is configured at this moment, not a second ago: who just wrote it reads it.

    One look at its version, on the call's own connection where it has one.
    """
    if call.connection is not None:
        found = newest(call.connection, call.catalog)
    else:
        with call.parts.engine.connect() as connection:
            found = newest(connection, call.catalog)
    if found is not call.catalog:
        call.parts.catalog.learn(found)
    return found


def version_of(call: Call, catalog: Catalog, name: str, wanted: str | None) -> ProgramVersion | None:
    """Return the version that is asked for: the one in force, unless the draft is."""
    if wanted == "draft":
        return catalog.draft_of(call.env, name)
    version = catalog.version_at(call.env, name, call.now)
    return None if wanted == "active" and version.program.state == "draft" else version


def _turned(call: Call, state: str) -> dict[str, Any]:
    name = call.path["program"]
    written.turn(desk_of(call), name, state)
    catalog = newest(call.database, None)
    return _program_view(call.env, catalog, name, catalog.version_at(call.env, name, call.now))


def _newest_view(call: Call, name: str) -> dict[str, Any]:
    catalog = newest(call.database, None)
    return _program_view(call.env, catalog, name, catalog.programs[call.env, name][-1])


def _program_view(env: int, catalog: Catalog, name: str, version: ProgramVersion) -> dict[str, Any]:
    kept = [one for key, one in sorted(catalog.definitions.items()) if key[0] == env and one.program == name]
    said = {one.name: one for one in version.program.balance_definitions}
    shown = [_definition_view(one, said.pop(one.name, BalanceDefinition())) for one in kept]
    shown += [one.model_dump(mode="json") for one in said.values()]  # of a draft: the book keeps none yet
    return {**_version_view(version), "balance_definitions": shown}


def _version_view(version: ProgramVersion) -> dict[str, Any]:
    body = version.program.model_dump(mode="json")
    published_at = None if version.program.state == "draft" else iso(version.published_at)
    return {**body, "version": version.version, "published_at": published_at}


def _definition_view(one: Definition, said: BalanceDefinition) -> dict[str, Any]:
    kept = {"name": one.name, "unit": one.unit, "decimals": one.decimals}
    return said.model_dump(mode="json") | kept


def _writing(verb: str, handler: Any, summary: str, text: str, **more: Any) -> Route:
    """Return a route that writes a version of a program, and answers it."""
    method, _, path = verb.partition(" ")
    return Route(
        method,
        path,
        handler,
        "programs:write",
        summary,
        ProgramShown,
        "Programs",
        access=Access.WRITE,
        text=text,
        **more,
    )


PATH = "/v1/programs/{program}"

ROUTES = (
    Route(
        "GET",
        "/v1/programs",
        programs,
        "programs:read",
        "List programs",
        ProgramShown,
        "Programs",
        query=ProgramsQuery,
        listed=True,
        text=(
            "Each in the version that is in force now; an order keeps the one it was placed under. A draft stands "
            "beside it, and nothing goes by it until it is published. Archived ones are left out."
        ),
    ),
    Route(
        "GET",
        PATH,
        program,
        "programs:read",
        "Show a program",
        ProgramShown,
        "Programs",
        query=ProgramQuery,
    ),
    _writing(
        "POST /v1/programs",
        create_program,
        "Create a program",
        'The same tables as in the apply file, as JSON; with `state` "draft" nothing goes by it yet.',
        body=Program,
        status=201,
        example={"name": "vip", "title": "The club", "state": "draft", "earning": {"rate": "1"}},
    ),
    _writing(
        f"PUT {PATH}/draft",
        draft_program,
        "Write a program's draft",
        "It replaces the draft there is, as a version of its own. Say with `version` which one you have read, and "
        "nobody's work is lost.",
        body=Program,
        query=DraftQuery,
        example={"name": "main", "earning": {"rate": "2"}},
    ),
    _writing(
        f"POST {PATH}/publish",
        publish_program,
        "Publish a program",
        "Its draft is in force from now on; orders that were placed before keep the version of their day. Without a "
        "draft, a program that is paused or has ended goes on.",
    ),
    _writing(
        f"POST {PATH}/pause",
        pause_program,
        "Pause a program",
        "Nothing is earned or spent until it is published again. Its draft stays.",
    ),
    _writing(
        f"POST {PATH}/end",
        end_program,
        "End a program",
        "Nothing is earned any more; points can be spent until its `spend_until`.",
    ),
    _writing(
        f"DELETE {PATH}",
        archive_program,
        "Archive a program",
        "It ends for good and is not listed any more. What was booked stays, and its name with it.",
        status=204,
    ),
)
