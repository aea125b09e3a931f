"""What requests on the event loop read before they submit a command: those that come together share a reading.

While one reading is under way, in a thread beside the loop, whoever comes gathers for the next one, as commands do at the
door. So what is read for a request costs the less the more of them there are.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from adapter.errors import AdapterError
from adapter.store.reading.balances import held_by
from adapter.store.reading.members import find_members
from adapter.store.reading.redemptions import find_redemptions
from adapter.store.reading.transactions import find_transactions

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from sqlalchemy import Connection, Engine

    from adapter.book.state import Redemption, Transaction

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")
Read = Callable[["Connection", Sequence[Key]], Mapping[Key, Found | AdapterError]]


@dataclass(frozen=True, slots=True)
class Whose:
    """A member, and the definitions of the balances they have."""

    member: int
    held: AbstractSet[int]


class Lookup(Generic[Key, Found]):
    """One kind of thing that is looked up by a key. Lives on one event loop."""

    def __init__(self, engine: Engine, read: Read[Key, Found]) -> None:
        self._engine = engine
        self._read = read
        self._gathering: list[Key] = []
        self._last: asyncio.Task[Mapping[Key, Found | AdapterError]] | None = None

    async def find(self, key: Key) -> Found | None:
        """Return what there is under a key. Raises what the reading says of it."""
        self._gathering.append(key)
        if len(self._gathering) == 1:
            self._last = asyncio.create_task(self._read_after(self._last))
        assert self._last is not None
        found = (await asyncio.shield(self._last)).get(key)  # who gives up does not end it for the others
        if isinstance(found, AdapterError):
            raise found
        return found

    async def _read_after(
        self, before: asyncio.Task[Mapping[Key, Found | AdapterError]] | None
    ) -> Mapping[Key, Found | AdapterError]:
        if before is not None and not before.done():
            await asyncio.wait([before])
        keys, self._gathering = self._gathering, []
        return await asyncio.to_thread(self._read_now, keys)

    def _read_now(self, keys: Sequence[Key]) -> Mapping[Key, Found | AdapterError]:
        with self._engine.connect() as connection:
            return self._read(connection, keys)


class Lookups:
    """All that is looked up like this."""

    def __init__(self, engine: Engine) -> None:
        self._members = Lookup(engine, _read_members)
        self._redemptions = Lookup(engine, find_redemptions)
        self._transactions = Lookup(engine, find_transactions)

    async def member(self, env: int, reference: str) -> Whose:
        """Return the active member that a reference names. Raises like `find_member`."""
        found = await self._members.find((env, reference))
        assert found is not None, "the reading has an answer to every reference"
        return found

    async def redemption(self, env: int, number: int) -> Redemption | None:
        """Return one redemption of an environment."""
        return await self._redemptions.find((env, number))

    async def transaction(self, env: int, number: int) -> Transaction | None:
        """Return one transaction of an environment."""
        return await self._transactions.find((env, number))


def _read_members(
    connection: Connection, named: Sequence[tuple[int, str]]
) -> dict[tuple[int, str], Whose | AdapterError]:
    references: dict[int, list[str]] = defaultdict(list)
    for env, reference in named:
        references[env].append(reference)
    meant = {
        (env, reference): member
        for env, asked in references.items()
        for reference, member in find_members(connection, env, asked).items()
    }
    held = held_by(connection, {(env, one) for (env, _), one in meant.items() if isinstance(one, int)})
    return {
        key: Whose(one, held.get((key[0], one), frozenset())) if isinstance(one, int) else one
        for key, one in meant.items()
    }
