"""What the tests of the event stream share: a broker, streams of their own, and what is in them."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import nats
import pytest
from nats.js.api import StreamConfig

from adapter.stream.nats import NatsBroker
from adapter.stream.settings import StreamSettings
from tests.stream.servers import GIVEN_NATS, MISSING_NATS, NEARBY_NATS, OwnServer, answers, binary

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a NATS server with JetStream."""
    found = GIVEN_NATS or (NEARBY_NATS if answers(NEARBY_NATS) else None)
    if found is not None:
        yield found
        return
    if binary() is None:
        pytest.skip(MISSING_NATS)
    own = OwnServer(tmp_path_factory.mktemp("nats"))
    own.start()
    yield own.url
    own.stop()


@pytest.fixture
def own_server(tmp_path: Any) -> Iterator[OwnServer]:
    """A server that is this test's alone."""
    if binary() is None:
        pytest.skip(MISSING_NATS)
    own = OwnServer(tmp_path / "nats")
    own.start()
    yield own
    own.stop()


@dataclass(frozen=True)
class Held:
    """One message as a stream holds it."""

    subject: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Streams:
    """Two streams of one test: one to publish to, one that a shop's events come from."""

    url: str
    name: str

    @property
    def out(self) -> str:
        return f"{self.name}_OUT"

    @property
    def shop(self) -> str:
        return f"{self.name}_SHOP"

    @property
    def subject(self) -> str:
        return self.name.lower()

    def settings(self, **changed: Any) -> StreamSettings:
        given = {"servers": (self.url,), "publish": self.out, "subject": self.subject}
        return StreamSettings(**(given | changed))

    def held(self) -> list[Held]:
        """Return what was published, in the stream's order."""

        async def ask(jetstream: Any) -> list[Held]:
            state = (await jetstream.stream_info(self.out)).state
            found = [
                await jetstream.get_msg(self.out, number)
                for number in range(state.first_seq, state.last_seq + 1)
            ]
            return [Held(one.subject, dict(one.headers or {}), one.data) for one in found]

        return list(self.ask(ask))

    def send(self, events: Sequence[tuple[bytes, dict[str, str]]]) -> None:
        """Put a shop's events into its stream; the same body again is another message there."""

        async def ask(jetstream: Any) -> None:
            await jetstream.add_stream(StreamConfig(name=self.shop, subjects=[f"{self.name}.shop"]))
            for body, headers in events:
                await jetstream.publish(f"{self.name}.shop", body, headers=headers or None)

        self.ask(ask)

    def delete(self) -> None:
        async def ask(jetstream: Any) -> None:
            for name in (self.out, self.shop):
                try:
                    await jetstream.delete_stream(name)
                except nats.js.errors.NotFoundError:
                    continue

        self.ask(ask)

    def ask(self, question: Callable[[Any], Awaitable[Any]]) -> Any:
        async def asked() -> Any:
            client = await nats.connect(self.url)
            try:
                return await question(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(asked())


@pytest.fixture
def streams(nats_url: str) -> Iterator[Streams]:
    """Names of this test's own, and nothing left of them afterwards."""
    made = Streams(nats_url, f"T{uuid.uuid4().hex[:12]}")
    yield made
    made.delete()


@pytest.fixture
def broker(streams: Streams) -> Iterator[NatsBroker]:
    made = NatsBroker(streams.settings())
    yield made
    made.close()
