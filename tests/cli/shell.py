"""A shell for tests: commands run in this process, and a shop with one order."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner, Result
from sqlalchemy import delete

from adapter.cli import main
from adapter.program.model import Earning, Program
from adapter.store import tables as t
from tests.shop import configure, customer, paid, placed, play, recorded, refunded, shipped

if TYPE_CHECKING:
    from sqlalchemy import Engine

SECRET = "whsec_dGVzdHMgb2YgdGhlIGNvbW1hbmQgbGluZSAwMDAxMjM="
PROGRAM = Program(name="main", earning=Earning.model_validate({"rate": "1"}))

Endpoint = Callable[..., str]
"""Adds an endpoint and returns its id."""


@dataclass(frozen=True)
class Shell:
    """Runs commands in this process, on one database."""

    def __call__(self, *arguments: str, exits: int = 0) -> Result:
        result = CliRunner().invoke(main, list(arguments))
        said = f"{arguments}: {result.output}\n{result.exception!r}"
        assert result.exit_code == exits, said
        return result

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json").stdout)

    def fails(self, *arguments: str) -> str:
        """Run a command that must fail as expected, and return what is said on standard error."""
        result = self(*arguments, exits=2)
        assert result.stdout == ""
        return result.stderr


def configured(engine: Engine) -> None:
    """Configure the shop, without any endpoint."""
    configure(engine, PROGRAM)
    with engine.begin() as connection:
        connection.execute(delete(t.endpoints))


def one_order(engine: Engine) -> None:
    """Configure the shop and let customer 7000 buy for 89.99, and send 30.00 back: 59 points stay."""
    configure(engine, PROGRAM)
    live_one_order(engine)


def live_one_order(engine: Engine) -> None:
    play(
        engine,
        [
            recorded(one)
            for one in (customer(email="ada@example.com"), placed(), paid(), shipped(), refunded())
        ],
    )
