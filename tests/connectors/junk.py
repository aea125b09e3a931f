"""Whatever may stand where something else was expected, and every place inside a payload where it may."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.just("9" * 400),
    st.just(10**60),
    st.just([]),
    st.just({}),
    st.lists(st.none(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the path of everything inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, child in inside for found in ((*path, key), *places(child, (*path, key)))]


def spoiled(data: st.DataObject, payload: str) -> bytes:
    """Return a payload with one to three of its values replaced by junk."""
    body = json.loads(payload)
    for _ in range(data.draw(st.integers(min_value=1, max_value=3))):
        *parents, last = data.draw(st.sampled_from(places(body)))
        thing = body
        for key in parents:
            thing = thing[key]
        thing[last] = data.draw(JUNK)
    return json.dumps(body).encode()
