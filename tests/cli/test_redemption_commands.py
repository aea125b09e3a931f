"""Redemptions on the command line: listed by what one asks, shown whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from adapter import ids
from adapter.clock import iso
from tests.engine.test_redemptions import FIRST, move, redeem, rich
from tests.shop import NOW, play

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.cli.shell import Shell

BAG = FIRST + 1


def spend(engine: Engine) -> None:
    """Let a member with 1000 points have a discount that is used, and a bag that waits to be sent."""
    member = rich(engine)
    bag = redeem(member, BAG, reward="tote")
    play(engine, [redeem(member, order=("shop", "77")), bag, move(member, "applied")])


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ((), [BAG, FIRST]),
        (("--state", "applied"), [FIRST]),
        (("--state", "pending"), []),
        (("--kind", "item"), [BAG]),
        (("--code", "code-50"), [FIRST]),
        (("--member", "shop:7000"), [BAG, FIRST]),
        (("--since", iso(NOW + 1)), []),
        (("--until", iso(NOW + 1)), [BAG, FIRST]),
        (("--limit", "1"), [BAG]),
    ],
    ids=str,
)
def test_redemptions_are_listed(
    sqlite_database: Engine, sqlite_shell: Shell, filters: tuple[str, ...], found: list[int]
) -> None:
    spend(sqlite_database)
    rows = sqlite_shell.json("redemptions", "list", *filters)
    assert [row["id"] for row in rows] == [ids.show("rdm", number) for number in found]


def test_a_redemption_is_shown(database: Engine, shell: Shell) -> None:
    spend(database)
    told: dict[str, Any] = shell.json("redemptions", "show", ids.show("rdm", FIRST))
    assert (told["state"], told["cost"], told["value"], told["code"], told["order"]) == (
        "applied", 500, 500, "CODE-50", "shop:77",
    )  # fmt: skip
    lines = shell("redemptions", "list").stdout.splitlines()
    assert lines[0].split()[:4] == ["REDEMPTION", "BEGUN", "MEMBER", "KIND"]
    assert "code" in shell("redemptions", "show", ids.show("rdm", FIRST)).stdout
    assert "no redemption" in shell.fails("redemptions", "show", ids.show("rdm", 999))
