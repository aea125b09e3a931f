"""Many things asked for in one request, each with a result of its own, in the order in which they were asked for.

The answer is 207: `data` has for each item its `status` and either its `result` or its `problem`, which is the one that
the same request for this item alone would have got. What goes wrong with one item never touches another: in a unit
of work each item has a savepoint, and is undone alone.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError

from adapter.errors import AdapterError
from adapter.store.database import is_transient
from adapter.web.errors import described, unforeseen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from adapter.web.routing import Call

log = structlog.get_logger()

Item = TypeVar("Item")


def bulk(
    call: Call,
    items: Sequence[Item],
    one: Callable[[Item], Mapping[str, Any]],
    *,
    name: Callable[[Item], str | None] = str,
    status: int = 200,
) -> dict[str, Any]:
    """Return what a route with `bulk=True` answers: `one` of each item, a success as `status`.

    `name` is how an item is called in its entry. A database that does not answer is everybody's: it is raised.
    """
    data = [
        {"index": index, "item": name(item), **_entry(call, item, one, status)}
        for index, item in enumerate(items)
    ]
    failed = sum("problem" in entry for entry in data)
    return {"data": data, "succeeded": len(data) - failed, "failed": failed}


def _entry(call: Call, item: Item, one: Callable[[Item], Mapping[str, Any]], status: int) -> dict[str, Any]:
    try:
        with _apart(call):
            return {"status": status, "result": dict(one(item))}
    except AdapterError as error:
        problem = described(error, call.request_id)
    except Exception as error:  # one item's, whatever it is; the others have theirs
        if isinstance(error, DBAPIError) and is_transient(error):
            raise
        log.exception("bulk.item_failed", request_id=call.request_id)
        problem = unforeseen(call.request_id)
    return {"status": problem["status"], "problem": problem}


@contextmanager
def _apart(call: Call) -> Iterator[None]:
    """Open a savepoint where the handler writes; nothing is to be undone where it reads or asks the door."""
    if call.connection is None or not call.connection.get_execution_options().get("writer", False):
        yield
        return
    with call.connection.begin_nested():
        yield
