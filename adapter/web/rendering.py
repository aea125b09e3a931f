"""Pages out of templates: one environment for all of them, made when the first page is asked for."""

from __future__ import annotations

from functools import cache
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


def render(template: str, **values: Any) -> str:
    """Return a page. What is put into it is escaped; a name that it has not been given is an error."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("adapter.web"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"minute": minute, "second": second, "segment": segment}
    return made


def minute(at: str) -> str:
    """Write an instant of the API for people: `2026-11-20 12:00 UTC`."""
    return f"{at[:10]} {at[11:16]} UTC"


def second(at: str) -> str:
    """Write an instant of the API for people, to the second: `2026-11-20 12:00:05 UTC`."""
    return f"{at[:10]} {at[11:19]} UTC"


def segment(text: str) -> str:
    """Write a name as a part of an address."""
    return quote(text, safe="")
