"""What is read for requests on the loop: together, each its own, and a failure is everybody's who waits for it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from adapter.errors import NotFound
from adapter.web.lookups import Lookup, Lookups
from tests.shop import customer, placed, play, recorded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

PATIENCE_S = 60


class Slow:
    """A reading that goes on when it is told to, and remembers what it was asked for each time."""

    def __init__(self) -> None:
        self.readings: list[list[int]] = []
        self.began = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)

    def __call__(self, _connection: object, keys: Sequence[int]) -> dict[int, Any]:
        self.readings.append(list(keys))
        self.began.release()
        assert self.go_on.acquire(timeout=PATIENCE_S)
        if 13 in keys:
            raise RuntimeError("unlucky")
        return {key: NotFound() if key == 4 else key * 10 for key in keys if key != 0}


async def began(slow: Slow) -> None:
    await asyncio.to_thread(slow.began.acquire, timeout=PATIENCE_S)


def test_who_comes_while_one_reading_is_under_way_shares_the_next(sqlite_database: Engine) -> None:
    slow = Slow()

    async def ask() -> Any:
        lookup = Lookup(sqlite_database, slow)
        first = [asyncio.create_task(lookup.find(key)) for key in (1, 2)]
        await began(slow)
        later = [asyncio.create_task(lookup.find(key)) for key in (3, 0, 4)]
        await asyncio.sleep(0)
        slow.go_on.release(2)
        return await asyncio.gather(*first, *later, return_exceptions=True)

    *found, missing = asyncio.run(ask())
    assert (found, type(missing)) == ([10, 20, 30, None], NotFound)
    assert slow.readings == [[1, 2], [3, 0, 4]]


def test_a_reading_that_fails_fails_for_all_who_wait_for_it_and_nobody_else(sqlite_database: Engine) -> None:
    slow = Slow()

    async def ask() -> list[Any]:
        lookup = Lookup(sqlite_database, slow)
        both = [asyncio.create_task(lookup.find(key)) for key in (13, 1)]
        await began(slow)
        after = asyncio.create_task(lookup.find(2))
        slow.go_on.release(2)
        return await asyncio.gather(*both, after, return_exceptions=True)

    one, other, after = asyncio.run(ask())
    assert (str(one), str(other), after) == ("unlucky", "unlucky", 20)


def test_who_gives_up_ends_it_for_nobody_else(sqlite_database: Engine) -> None:
    slow = Slow()

    async def ask() -> Any:
        lookup = Lookup(sqlite_database, slow)
        gone, stays = (asyncio.create_task(lookup.find(key)) for key in (1, 2))
        await began(slow)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        slow.go_on.release()
        return await stays

    assert asyncio.run(ask()) == 20


def test_members_of_several_environments_are_each_their_own(database: Engine) -> None:
    from tests.web.conftest import furnish

    furnish(database)
    play(database, [recorded(customer("7000", email="jo@example.com"), placed())])

    async def ask() -> list[Any]:
        lookups = Lookups(database)
        named = [(1, "shop:7000"), (1, "jo@example.com"), (2, "shop:7000"), (1, "shop:7000")]
        return await asyncio.gather(*(lookups.member(*one) for one in named), return_exceptions=True)

    first, by_address, stranger, again = asyncio.run(ask())
    assert first == by_address == again
    assert first.held == {1}
    assert isinstance(stranger, NotFound)
