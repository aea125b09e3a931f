"""The door in a process of its own, behind a local socket.

Beside busy request threads in one interpreter a batch takes ten times as long, because its thread waits for
the interpreter's lock at every row. So the web processes send their commands here, and `submit` is the same call either way.

On the wire: a frame is four bytes of length and a MessagePack body. Commands go in as a list of `[number, command]`,
answers come back as a list of `[number, outcome]`, each as many in a frame as were ready. The socket is in a folder that
only its owner can enter.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import struct
import threading
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from adapter.commands import Command
from adapter.errors import Busy, DatabaseUnavailable, Unavailable
from adapter.outcome import Outcome

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from adapter.engine.committer import Reply
    from adapter.engine.door import Door

Result = TypeVar("Result")

PROBES = 4
"""Commands that may wait while the book or its database does not answer: one that is answered lets all others in."""

_LENGTH = struct.Struct("!I")
_LIST, _LIST_MARK = (
    struct.Struct("!BI"),
    0xDD,
)  # MessagePack's head of a list whose elements are encoded already
_BUFFER = 256 * 1024
_ERRORS: dict[str, type[Unavailable]] = {one.code: one for one in (Unavailable, Busy, DatabaseUnavailable)}

_encoder = msgspec.msgpack.Encoder()
_commands = msgspec.msgpack.Decoder(list[tuple[int, Command]])
_answers = msgspec.msgpack.Decoder(list[tuple[int, Outcome]])


def _read_frame(stream: io.BufferedReader) -> bytes | None:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = stream.read(length)
    return body if len(body) == length else None


def _reading(connection: socket.socket) -> io.BufferedReader:
    """Return a stream that takes many small frames out of the socket at once."""
    return io.BufferedReader(socket.SocketIO(connection, "r"), _BUFFER)


def _send_frame(connection: socket.socket, body: bytes) -> None:
    connection.sendall(_LENGTH.pack(len(body)) + body)


class DoorServer:
    """Lets other processes of this machine submit to a door."""

    def __init__(self, door: Door, path: Path) -> None:
        self._door = door
        self._path = path
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen(64)

    def serve(self) -> None:
        """Accept connections until closed."""
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def close(self) -> None:
        """Accept nobody any more."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _talk(self, connection: socket.socket) -> None:
        answers = _Answers(connection)
        leave = self._door.after_batch(answers.flush)
        with connection, _reading(connection) as stream:
            while (body := _read_frame(stream)) is not None:
                for number, command in _commands.decode(body):
                    try:
                        self._door.take(command, answers.to(number))
                    except Unavailable as error:
                        answers.to(number)(error)
                        answers.flush()
        leave()


class _Answers:
    """Collects the answers for one connection, and sends those of a batch in one frame."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._sending = threading.Lock()  # a frame is sent whole before the next one
        self._ready: list[tuple[int, Outcome]] = []

    def to(self, number: int) -> Reply:
        def reply(answer: Outcome | Unavailable) -> None:
            if isinstance(answer, Unavailable):
                answer = Outcome(error=answer.code, reason=answer.message)
            with self._lock:
                self._ready.append((number, answer))

        return reply

    def flush(self) -> None:
        with self._lock:
            ready, self._ready = self._ready, []
        if ready:
            # Who asked may be gone; what was decided is durable all the same.
            with self._sending, contextlib.suppress(OSError):
                _send_frame(self._connection, _encoder.encode(ready))


class RemoteDoor:
    """Submits to a door in another process; connects when needed, and again after the other side was restarted.

    It lives on one event loop, that of the web process it is in: no thread waits for a lock there, so a request
    costs a third of what one in a thread of its own does. `submit` is for the threads beside the loop.
    """

    def __init__(self, path: Path, *, answer_timeout_s: float, in_flight_max: int = 2048) -> None:
        self._path = path
        self._timeout_s = answer_timeout_s
        self._in_flight_max = in_flight_max
        self._loop: asyncio.AbstractEventLoop | None = None
        self._link: _Link | None = None
        self._connecting: asyncio.Task[_Link] | None = None
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[Outcome | None]] = {}
        self._silent = False

    @property
    def waiting(self) -> int:
        """Return how many commands wait for their answer."""
        return len(self._waiting)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Live on this loop, which runs; to be called before anything else."""
        self._loop = loop

    async def offer(self, command: Command) -> Outcome:
        """Submit, on the loop, and return when it is durable. Raises like `Door.submit`.

        While nothing is answered all but a few are refused at once: were everybody to wait the whole time, the next
        ones would queue up behind them until the shops had long given up, instead of hearing that they shall come back.
        """
        if len(self._waiting) >= (PROBES if self._silent else self._in_flight_max):
            raise Busy("more is waiting than can be taken in; send it again in a moment")
        outcome = await self._ask(command)
        self._silent = outcome is None or outcome.error == DatabaseUnavailable.code
        if outcome is None:
            raise Unavailable("no answer in time; send it again")
        if outcome.error in _ERRORS:
            raise _ERRORS[outcome.error](outcome.reason or "")
        return outcome

    def hand_in(self, command: Command) -> concurrent.futures.Future[Outcome]:
        """Offer from a thread beside the loop, and wait for nothing."""
        return self._on_loop(self.offer(command))

    def submit(self, command: Command) -> Outcome:
        """Do the same and wait until it is durable."""
        return self.hand_in(command).result()

    def wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run something on the loop, and wait for it in a thread beside that."""
        return self._on_loop(work).result()

    def ready(self) -> bool:
        """Return whether the door can be reached. Asked from a thread beside the loop."""
        try:
            self._on_loop(self._connected()).result(self._timeout_s)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Hang up. Called from a thread beside the loop."""

        async def hang_up() -> None:
            if self._link is not None:
                self._link.hang_up()

        self._on_loop(hang_up()).result()

    def _on_loop(self, work: Coroutine[Any, Any, Result]) -> concurrent.futures.Future[Result]:
        assert self._loop is not None, "attach it to a loop first"
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _ask(self, command: Command) -> Outcome | None:
        """Return the answer; None when there is none in time."""
        loop = asyncio.get_running_loop()
        number = next(self._numbers)
        answer: asyncio.Future[Outcome | None] = loop.create_future()
        self._waiting[number] = answer
        patience = loop.call_later(self._timeout_s, self._answer, number, None)
        try:
            link = self._link or await self._connected()
            link.send(_encoder.encode((number, command)))
            return await answer
        except OSError:
            return _AWAY
        finally:
            patience.cancel()
            self._waiting.pop(number, None)

    def _answer(self, number: int, outcome: Outcome | None) -> None:
        answer = self._waiting.pop(number, None)
        if answer is not None:
            answer.set_result(outcome)

    async def _connected(self) -> _Link:
        """Return the connection; whoever finds none makes it, and the others wait for that one."""
        if self._link is not None:
            return self._link
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> _Link:
        try:
            loop = asyncio.get_running_loop()
            _, self._link = await loop.create_unix_connection(self._new_link, str(self._path))
            return self._link
        finally:
            self._connecting = None

    def _new_link(self) -> _Link:
        return _Link(self._answer, self._gone)

    def _gone(self) -> None:
        """Tell everyone who waits that the other side went away; what it had committed the repeat will find."""
        self._link = None
        for number in list(self._waiting):
            self._answer(number, _GONE)


class _Link(asyncio.Protocol):
    """One connection to the door: frames out, a turn's together, and answers in."""

    def __init__(self, answer: Callable[[int, Outcome], None], gone: Callable[[], None]) -> None:
        self._answer = answer
        self._gone = gone
        self._unsent: list[bytes] = []
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._loop = asyncio.get_running_loop()

    def send(self, command: bytes) -> None:
        """Send an encoded command at the end of this turn of the loop, in one frame with all others of the turn."""
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(command)

    def _flush(self) -> None:
        commands, self._unsent = self._unsent, []
        body = b"".join((_LIST.pack(_LIST_MARK, len(commands)), *commands))
        self._transport.write(_LENGTH.pack(len(body)) + body)

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        at = 0
        while len(received) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(received, at)
            end = at + _LENGTH.size + length
            if len(received) < end:
                break
            for number, outcome in _answers.decode(memoryview(received)[at + _LENGTH.size : end]):
                self._answer(number, outcome)
            at = end
        del received[:at]

    def connection_lost(self, _error: Exception | None) -> None:
        self._gone()

    def hang_up(self) -> None:
        self._transport.abort()


_AWAY = Outcome(error=Unavailable.code, reason="the book is being restarted; send it again")
_GONE = Outcome(error=Unavailable.code, reason="the book was restarted; send it again")
