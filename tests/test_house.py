"""The habits of the house, as far as a machine can check them."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
FUNCTION_LINES_MAX = 50
MODULE_LINES_MAX = 400
POSITIONAL_MAX = 5
BROAD_EXCEPTS_MAX = 7
"""At the top of the worker loops, of the request handlers and of each item of a bulk, and around a connector."""

EXEMPT = {
    "adapter/store/tables.py": "every table in one place; it is a list, not a program",
    "adapter/store/migrations": "written by alembic, and never changed again once released",
}

LAYERS: tuple[tuple[str, ...], ...] = (
    ("adapter.cli",),
    ("adapter.app",),
    ("connectors.dialects",),
    ("connectors.*.api",),  # a vendor's API: never another vendor's
    ("adapter.settings",),  # makes the settings of every part
    ("adapter.web", "adapter.apply"),
    ("adapter.engine", "adapter.delivery", "adapter.stream"),
    ("connectors",),
    ("adapter.intake", "connectors.*"),  # a shop's folder, a vendor's: never another one's
    ("adapter.store",),
    ("adapter.book", "connectors.payload", "connectors.settings", "connectors.signed", "connectors.topics"),
    ("connectors.vendor",),
    ("adapter.catalog",),
    ("adapter.program", "adapter.store.tables", "connectors.base"),
    ("adapter.commands", "adapter.processes", "adapter.logs", "adapter.points"),
    ("adapter.events", "adapter.messages", "adapter.ids", "adapter.outcome"),
    ("adapter.clock", "adapter.errors"),
)
"""From top to bottom. A module imports from its own part and from lower layers, never beside or above."""

PART_OF = {"adapter.demo": "adapter.cli"}
TOOLS = {"adapter/store/migrations/env.py"}  # alembic runs it by hand too, and then it is its own root

PURE = (
    "adapter/book", "adapter/program", "connectors",
    "adapter/delivery/schedule.py", "adapter/delivery/signing.py", "adapter/events.py",
    "adapter/commands.py", "adapter/messages.py", "adapter/errors.py",
)  # fmt: skip
OUTSIDE_WORLD = {
    "asyncio", "flask", "http", "os", "psycopg", "random", "requests", "secrets", "socket", "sqlalchemy",
    "sqlite3", "subprocess", "tempfile", "threading", "time", "urllib3", "uuid",
}  # fmt: skip
MAY_USE = {
    "adapter/delivery/signing.py": {"secrets"},  # `new_secret` is where secrets are made
}

BANNED_ANYWHERE = {
    "util", "utils", "helper", "helpers", "manager", "wallet", "accrual", "plugin", "dedup", "misc",
}  # fmt: skip
BANNED_IN_CLASSES = BANNED_ANYWHERE | {"webhook", "service", "common"}


def modules(*roots: str) -> list[Path]:
    return sorted(path for root in roots for path in (ROOT / root).rglob("*.py"))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def exempt(path: Path) -> bool:
    return any(named(path).startswith(prefix) for prefix in EXEMPT)


PRODUCT = modules("adapter", "connectors")
TREES = {path: ast.parse(path.read_text("utf-8")) for path in PRODUCT}
product = pytest.mark.parametrize("path", PRODUCT, ids=named)


def imports(tree: ast.AST) -> Iterator[str]:
    """Return the dotted names that a module imports, the lazy ones and those for type checkers as well."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(name: str) -> str:
    """Return the part of the house that a dotted name belongs to."""
    for whole, part in PART_OF.items():
        name = name.replace(whole, part, 1) if name.startswith(whole) else name
    parts = [part for layer in LAYERS for part in layer if name == part or name.startswith(part + ".")]
    longest = max(parts, key=len)
    pieces = name.split(".")
    if longest == "connectors" and len(pieces) > 1 and (ROOT / "connectors" / pieces[1]).is_dir():
        return ".".join(pieces[: 3 if pieces[2:3] == ["api"] else 2])
    return longest


def layer_of(part: str) -> int:
    known = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    return known.get(part, known["connectors.*.api" if part.endswith(".api") else "connectors.*"])


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@product
def test_imports_go_downwards(path: Path) -> None:
    if named(path) in TOOLS or (path.parent.name in ("adapter", "versions") and path.name == "__init__.py"):
        return
    own = part_of(module_name(path))
    ours = [name for name in imports(TREES[path]) if name.split(".")[0] in ("adapter", "connectors")]
    wrong = [name for name in ours if part_of(name) != own and layer_of(part_of(name)) <= layer_of(own)]
    assert wrong == [], f"{named(path)} imports from beside or above"


def test_the_direction_of_imports_is_really_judged() -> None:
    assert part_of("adapter.store.tables.events") == "adapter.store.tables"
    assert part_of("adapter.store.database") == "adapter.store"
    assert part_of("connectors.shopify.verify") == "connectors.shopify"
    assert part_of("connectors.CONNECTORS") == "connectors"
    assert (
        part_of("connectors.brevo.api.tiers") == "connectors.brevo.api"
        or not (ROOT / "connectors" / "brevo").is_dir()
    )
    assert layer_of("connectors.brevo.api") < layer_of("adapter.web") < layer_of("connectors.brevo")
    assert (
        layer_of("adapter.web")
        < layer_of("adapter.engine")
        < layer_of("adapter.store")
        < layer_of("adapter.book")
    )
    assert layer_of("connectors.shopify") == layer_of("connectors.stripe")


@pytest.mark.parametrize("path", [path for path in PRODUCT if named(path).startswith(PURE)], ids=named)
def test_pure_code_touches_nothing_outside(path: Path) -> None:
    allowed = MAY_USE.get(named(path), set())
    used = {name.split(".")[0] for name in imports(TREES[path])} & OUTSIDE_WORLD
    assert used <= allowed
    asked = [
        node.lineno
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("now", "utcnow", "today")
    ]
    assert asked == [], "`now` is an argument"


@product
def test_module_is_short(path: Path) -> None:
    if not exempt(path):
        assert len(path.read_text("utf-8").splitlines()) <= MODULE_LINES_MAX


@product
def test_functions_are_short_and_take_few_positional_parameters(path: Path) -> None:
    if exempt(path):
        return
    for node in ast.walk(TREES[path]):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno < FUNCTION_LINES_MAX, node.name
            given = [
                one.arg for one in (*node.args.posonlyargs, *node.args.args) if one.arg not in ("self", "cls")
            ]
            assert len(given) <= POSITIONAL_MAX, node.name


def test_errors_are_caught_narrowly() -> None:
    broad = [
        f"{named(path)}:{node.lineno}"
        for path in PRODUCT
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.ExceptHandler)
        and (
            node.type is None
            or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException"))
        )
    ]
    assert len(broad) <= BROAD_EXCEPTS_MAX, broad


def words(name: str) -> set[str]:
    return set(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_"))


@product
def test_one_word_for_one_thing(path: Path) -> None:
    assert not words(path.stem) & (
        BANNED_IN_CLASSES - {"webhook"}
    )  # a shop's webhook is what such a module reads
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.ClassDef):
            assert not words(node.name) & BANNED_IN_CLASSES, node.name
        elif isinstance(node, (ast.FunctionDef, ast.arg, ast.Name)):
            name = {ast.FunctionDef: "name", ast.arg: "arg", ast.Name: "id"}[type(node)]
            assert not words(getattr(node, name)) & BANNED_ANYWHERE, getattr(node, name)


@pytest.mark.parametrize("path", modules("adapter", "connectors", "tests"), ids=named)
def test_every_exception_to_a_rule_says_why(path: Path) -> None:
    if path == Path(__file__):
        return
    bare = [
        number
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(r"# (noqa|type: ignore)", line)
        and not re.search(r"# (noqa: [A-Z0-9, ]+ - |type: ignore\[[a-z, -]+\] +# - )\S", line)
    ]
    assert bare == []


def test_every_dependency_has_its_reason_in_the_readme() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    required = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    names = [re.split(r"[\[<>=~! ]", each)[0] for each in required]
    rows = [line for line in (ROOT / "README.md").read_text("utf-8").splitlines() if line.startswith("|")]
    assert [name for name in names if not any(f"`{name}`" in row for row in rows)] == []


@pytest.mark.parametrize(
    "command", [["ruff", "check", "--quiet"], ["mypy", "--no-error-summary"]], ids=["ruff", "mypy"]
)
def test_tool_has_nothing_to_say(command: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.stdout + run.stderr == ""
    assert run.returncode == 0


def test_missing_postgresql_is_told_loudly() -> None:
    """Whoever has none must see it, also where other processes run the tests."""
    for processes in ("0", "2"):
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", processes,
             "tests/store/test_migrate.py", "-k", "counts_as_migrated"],
            cwd=ROOT, capture_output=True, text=True, check=False,
            env=os.environ | {"LOYALTY_TEST_POSTGRES": "none"},
        )  # fmt: skip
        assert run.returncode == 0
        assert "NOT TESTED ON POSTGRESQL" in run.stdout
        assert "1 passed, 1 skipped" in run.stdout


def test_starting_the_command_line_imports_nothing_heavy() -> None:
    code = "import sys, adapter.cli; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"sqlalchemy", "flask", "requests", "pydantic", "uvicorn"} & set(run.stdout.split())
