"""Programs: what is in force, what would be, and both in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapter.errors import NotFound
from adapter.program.model import Program
from adapter.web.console.words import told

if TYPE_CHECKING:
    from adapter.web.console.visit import Visit
    from adapter.web.errors import Answer


def programs(visit: Visit) -> Answer:
    """List the programs, each with the version in force and its draft."""
    cursor = visit.query.get("cursor", "")
    found = visit.get("/v1/programs", cursor=cursor)
    drafts = {one["name"]: one for one in visit.get("/v1/programs", version="draft", limit="200")["data"]}
    states = {one["name"]: _state(visit, one) for one in found["data"]}
    return visit.page("programs.html", found=found, drafts=drafts, states=states)


def program(visit: Visit) -> Answer:
    """Show one program in words, and its draft beside it."""
    one = visit.get("/v1/programs/{program}", visit.path)
    shown = [_shown(visit, one)]
    try:
        draft = visit.get("/v1/programs/{program}", visit.path, version="draft")
    except NotFound:
        draft = one
    if draft["version"] != one["version"]:
        shown.append(_shown(visit, draft))
    return visit.page("program.html", name=one["name"], versions=shown)


def _shown(visit: Visit, one: dict[str, Any]) -> dict[str, Any]:
    return {"told": told(_model(one)), "state": _state(visit, one), "shown": one}


def _state(visit: Visit, one: dict[str, Any]) -> str:
    """Return how it stands now: published, but before its first day, is still a draft."""
    return _model(one).state_at(visit.now)


def _model(one: dict[str, Any]) -> Program:
    return Program.model_validate({name: one[name] for name in Program.model_fields})
