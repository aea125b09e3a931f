"""Loyalty programs: made, changed, published. A change is one of the draft, and publishing puts it in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from adapter import ids as our_ids
from adapter.program.model import Program
from adapter.store import programs as written
from adapter.web.dialects import Answered, Asked, view_of
from adapter.web.programs import configured, desk_of
from adapter.web.routing import Access, Route, checked
from connectors.brevo.api.ids import program_in
from connectors.brevo.api.shown import Paged, Programmed, change_draft, paged, program_meant

if TYPE_CHECKING:
    from adapter.web.routing import Call

PATH = "/v3/loyalty/config/programs"
ONE = f"{PATH}/{{pid}}"
STATES = {"draft": "draft", "published": "active", "paused": "inactive", "ended": "inactive"}

Name = Annotated[str, Field(min_length=1, max_length=128)]
Description = Annotated[str, Field(max_length=256)]
Meta = dict[str, Any]


class LoyaltyProgram(Answered):
    """A program. `state` is `draft` until it is published for the first time."""

    id: str
    name: str
    description: str | None
    meta: Meta
    state: Literal["inactive", "active", "draft"]
    document_id: str | None
    created_at: str
    updated_at: str


class LoyaltyPrograms(Answered):
    items: list[LoyaltyProgram]


class Published(Answered):
    """Says nothing: the SDKs only look whether it is there."""


class ProgramsQuery(Paged):
    sort_field: Annotated[
        Literal["name", "created_at", "updated_at"], Field(validation_alias="sort_field")
    ] = "updated_at"


class ProgramMade(Asked):
    name: Name
    description: Description | None = None
    meta: Meta | None = None
    document_id: str | None = None


class ProgramUpdated(Asked):
    name: Name
    description: Description | None = None
    meta: Meta | None = None


class ProgramPatched(Asked):
    name: Name | None = None
    description: Description | None = None
    meta: Meta | None = None


def list_programs(call: Call) -> dict[str, Any]:
    """List the programs."""
    catalog = configured(call)
    programs = [
        _shown(Programmed(call.env, versions[-1].program, versions), active=_in_force(versions))
        for (env, name), versions in catalog.programs.items()
        if env == call.env and catalog.goes_on(env, name)
    ]
    field = call.query.sort_field
    return view_of(
        LoyaltyPrograms(items=paged(programs, call.query, lambda one: (getattr(one, field), one.id)))
    )


def create_program(call: Call) -> dict[str, Any]:
    """Create a program, as a draft that keeps no balance yet."""
    asked: ProgramMade = call.body
    name = our_ids.new_uuid()
    said = {
        "name": name,
        "state": "draft",
        "title": asked.name,
        "description": asked.description,
        "metadata": _metadata(asked.meta, asked.document_id),
        "balance_definitions": (),
    }
    written.create(desk_of(call), checked(Program, said, "program"))
    versions = configured(call).programs[call.env, name]
    return view_of(_shown(Programmed(call.env, versions[-1].program, versions), active=None))


def show_program(call: Call) -> dict[str, Any]:
    """Show a program."""
    return _answer(program_meant(call))


def update_program(call: Call) -> dict[str, Any]:
    """Change what a program is called and said to be."""
    asked: ProgramUpdated = call.body
    return _answer(
        change_draft(
            call,
            lambda program: {
                "title": asked.name,
                "description": asked.description,
                "metadata": _metadata(asked.meta, program.metadata.get(DOCUMENT)),
            },
        )
    )


def patch_program(call: Call) -> dict[str, Any]:
    """Change only what is given."""
    asked: ProgramPatched = call.body
    given = asked.model_fields_set

    def changes(program: Program) -> dict[str, Any]:
        said: dict[str, Any] = {"title": asked.name} if asked.name is not None else {}
        if "description" in given:
            said["description"] = asked.description
        if "meta" in given:
            said["metadata"] = _metadata(asked.meta, program.metadata.get(DOCUMENT))
        return said

    return _answer(change_draft(call, changes))


def delete_program(call: Call) -> None:
    """Delete a program: it ends, and is not shown any more."""
    written.archive(desk_of(call), program_in(call))


def publish_program(call: Call) -> dict[str, Any]:
    """Put a program's draft in force."""
    written.publish(desk_of(call), program_in(call))
    return {}


DOCUMENT = "documentId"
"""Where a program's metadata keeps Brevo's document id."""


def _metadata(meta: Meta | None, document: Any) -> Meta:
    return (meta or {}) | ({} if document is None else {DOCUMENT: document})


def _in_force(versions: Any) -> Program | None:
    """Return the newest version that is no draft."""
    return next((one.program for one in reversed(versions) if one.program.state != "draft"), None)


def _answer(meant: Programmed) -> dict[str, Any]:
    return view_of(_shown(meant, active=_in_force(meant.versions)))


def _shown(meant: Programmed, *, active: Program | None) -> LoyaltyProgram:
    program = meant.program
    created, updated = meant.times()
    document = program.metadata.get(DOCUMENT)
    return LoyaltyProgram(
        id=meant.id,
        name=program.title or program.name,
        description=program.description,
        meta={name: value for name, value in program.metadata.items() if name != DOCUMENT},
        state=STATES[(active or program).state],  # type: ignore[arg-type]  # - the table has no other
        document_id=document if isinstance(document, str) else None,
        created_at=created,
        updated_at=updated,
    )


def route(verb: str, handler: Any, summary: str, response: Any, tag: str, **more: Any) -> Route:
    """Return a route of the configuration: what is no GET writes, with the scope for it."""
    method, _, path = verb.partition(" ")
    reads = method == "GET"
    status = 204 if method == "DELETE" else 200
    scope, access = ("programs:read", Access.READ) if reads else ("programs:write", Access.WRITE)
    return Route(method, path, handler, scope, summary, response, tag, access=access, status=status, **more)


TAG = "Programs"

ROUTES = (
    route(
        f"GET {PATH}", list_programs, "List the loyalty programs", LoyaltyPrograms, TAG, query=ProgramsQuery
    ),
    route(f"POST {PATH}", create_program, "Create a loyalty program", LoyaltyProgram, TAG, body=ProgramMade),
    route(f"GET {ONE}", show_program, "Show a loyalty program", LoyaltyProgram, TAG),
    route(f"PUT {ONE}", update_program, "Change a loyalty program", LoyaltyProgram, TAG, body=ProgramUpdated),
    route(
        f"PATCH {ONE}",
        patch_program,
        "Change some of a loyalty program",
        LoyaltyProgram,
        TAG,
        body=ProgramPatched,
    ),
    route(f"DELETE {ONE}", delete_program, "Delete a loyalty program", LoyaltyProgram, TAG),
    route(f"POST {ONE}/publish", publish_program, "Publish a loyalty program", Published, TAG),
)
