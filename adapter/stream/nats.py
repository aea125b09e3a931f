"""NATS JetStream as the broker, by its official client.

The client lives on an event loop of a thread of its own, so that it hears the server while we wait for the database. It
does not reconnect by itself: whatever fails ends the connection, and the next call makes a new one. So no call waits
longer than its own time, and nothing that was given up is sent later, out of order.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import nats
import structlog
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, Header, StreamConfig
from nats.js.errors import NotFoundError

from adapter.errors import BrokerUnavailable
from adapter.stream.broker import Backlog, Taken

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js.client import JetStreamContext

    from adapter.stream.broker import Parcel
    from adapter.stream.settings import StreamSettings

log = structlog.get_logger()

Result = TypeVar("Result")

CONNECT_WITHIN_S = 5
ANSWER_WITHIN_S = 10.0
REPEATS_KNOWN_S = 600.0
"""How long a stream that we make remembers names: a publisher that died must have been replaced within it."""
FINISH_WITHIN_S = 30.0
"""After this an event that was given out, and that nobody finished, is given out again."""
EXPECTED_BEFORE = "Nats-Expected-Last-Msg-Id"


class NatsBroker:
    """A connection to JetStream, made at the first call and again whenever it broke."""

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._context: JetStreamContext | None = None
        self._subscriptions: dict[tuple[str, str], JetStreamContext.PullSubscription] = {}
        self._streams: set[str] = set()  # that are known to be there
        self._connecting = asyncio.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._thread.start()

    def publish(self, stream: str, parcels: Sequence[Parcel]) -> int:
        return self._run(self._publish(stream, parcels))

    def take(self, stream: str, consumer: str, most: int, wait_s: float) -> list[Taken]:
        return self._run(self._take(stream, consumer, most, wait_s))

    def finish(self, taken: Sequence[Taken]) -> None:
        self._run(self._tell(taken, None))

    def put_back(self, taken: Sequence[Taken], after_s: float) -> None:
        self._run(self._tell(taken, after_s))

    def backlog(self, stream: str, consumer: str) -> Backlog:
        return self._run(self._backlog(stream, consumer))

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(self._tried(work), self._loop).result()

    async def _tried(self, work: Coroutine[Any, Any, Result]) -> Result:
        try:
            return await work
        except (NatsError, OSError) as error:  # a time that ran out is among the latter
            await self._hang_up()
            raise BrokerUnavailable(f"the broker: {str(error) or type(error).__name__}") from error

    async def _jetstream(self) -> JetStreamContext:
        async with self._connecting:
            if self._client is None or self._context is None or not self._client.is_connected:
                await self._hang_up()
                self._client = await self._connect()
                self._context = self._client.jetstream(timeout=ANSWER_WITHIN_S)
            return self._context

    async def _connect(self) -> Client:
        async def unheard(_error: Exception) -> None:
            """Say nothing: the next call tells what went wrong."""

        return await nats.connect(
            list(self._settings.servers),
            error_cb=unheard,
            name="loyalty-adapter",
            connect_timeout=CONNECT_WITHIN_S,
            allow_reconnect=False,
            max_reconnect_attempts=1,  # of each server when we connect; the default tries for two minutes
            reconnect_time_wait=0,
            user=self._settings.user or None,
            password=self._settings.password or None,
            user_credentials=self._settings.credentials_file or None,
        )

    async def _hang_up(self) -> None:
        client, self._client = self._client, None
        self._subscriptions.clear()
        self._streams.clear()
        if client is not None and not client.is_closed:
            await client.close()

    # --- out --------------------------------------------------------------------------------------------------------

    async def _publish(self, stream: str, parcels: Sequence[Parcel]) -> int:
        """Send all of them before the first answer is awaited.

        Each names the one before it, which the server must have as its last: where one is not taken, those after it are
        not either, so that a stream never has a later message before an earlier one of the same batch.
        """
        jetstream = await self._jetstream()
        await self._make(jetstream, stream, parcels[0].subject.partition(".")[0])
        answers = []
        before: dict[str, str] = {}
        for parcel in parcels:
            headers = {**parcel.headers, Header.MSG_ID: parcel.name, **before}
            sent = await jetstream.publish_async(parcel.subject, parcel.body, stream=stream, headers=headers)
            answers.append(sent)
            before = {EXPECTED_BEFORE: parcel.name}
        await asyncio.wait(answers, timeout=ANSWER_WITHIN_S)
        return _kept(answers)

    async def _make(self, jetstream: JetStreamContext, stream: str, prefix: str) -> None:
        """Make the stream that we publish to where there is none; one that is there is the operator's."""
        if stream in self._streams:
            return
        try:
            await jetstream.stream_info(stream)
        except NotFoundError:
            wanted = StreamConfig(name=stream, subjects=[f"{prefix}.>"], duplicate_window=REPEATS_KNOWN_S)
            await jetstream.add_stream(wanted)
            log.info("the stream was made", stream=stream, subjects=f"{prefix}.>")
        self._streams.add(stream)

    # --- in ---------------------------------------------------------------------------------------------------------

    async def _take(self, stream: str, consumer: str, most: int, wait_s: float) -> list[Taken]:
        subscription = await self._subscribed(stream, consumer)
        try:
            return [_taken(message) for message in await subscription.fetch(most, timeout=wait_s)]
        except TimeoutError:
            return []

    async def _subscribed(self, stream: str, consumer: str) -> JetStreamContext.PullSubscription:
        """Return the consumer's subscription; a consumer that is there is the operator's, say with a filter."""
        jetstream = await self._jetstream()
        if (stream, consumer) not in self._subscriptions:
            try:
                await jetstream.consumer_info(stream, consumer)
            except NotFoundError:
                wanted = ConsumerConfig(
                    durable_name=consumer, ack_policy=AckPolicy.EXPLICIT, ack_wait=FINISH_WITHIN_S
                )
                await jetstream.add_consumer(stream, wanted)
            bound = await jetstream.pull_subscribe_bind(consumer, stream=stream)
            self._subscriptions[stream, consumer] = bound
        return self._subscriptions[stream, consumer]

    async def _tell(self, taken: Sequence[Taken], after_s: float | None) -> None:
        for one in taken:
            await (one.handle.ack() if after_s is None else one.handle.nak(delay=after_s))
        if self._client is not None:
            await self._client.flush(timeout=CONNECT_WITHIN_S)  # so that it has arrived

    async def _backlog(self, stream: str, consumer: str) -> Backlog:
        found = await (await self._jetstream()).consumer_info(stream, consumer)
        return Backlog(found.num_pending or 0, found.num_ack_pending or 0)


def _kept(answers: Sequence[asyncio.Future[Any]]) -> int:
    """Return how many were acknowledged before the first that was not. Raises its error where that is the very first."""
    errors = [None if one.done() and one.exception() is None else one for one in answers]
    first = next((number for number, error in enumerate(errors) if error is not None), len(answers))
    for one in answers:
        one.cancel()
    if first == 0:
        raise (None if answers[0].cancelled() else answers[0].exception()) or TimeoutError
    return first


def _taken(message: Msg) -> Taken:
    headers = {name.lower(): value for name, value in (message.headers or {}).items()}
    stored_at = int(message.metadata.timestamp.timestamp() * 1000)
    return Taken(headers, message.data, stored_at, message)
