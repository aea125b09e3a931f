"""What can be looked at: events, deliveries, members; as tables and as JSON, with every filter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from adapter.clock import iso
from adapter.outcome import EventState
from tests.cli.shell import Endpoint, Shell, configured, live_one_order, one_order
from tests.shop import NOW, customer, play, recorded

if TYPE_CHECKING:
    from sqlalchemy import Engine

BEFORE, AFTER = iso(NOW - 1), iso(NOW + 1)


def test_events_are_listed_newest_first(database: Engine, shell: Shell) -> None:
    one_order(database)
    rows = shell.json("events", "list")
    assert [row["types"] for row in rows] == [
        ["order.refunded"], ["order.shipped"], ["payment.completed"], ["order.placed"], ["customer.created"],
    ]  # fmt: skip
    assert [row["id"] for row in shell.json("events", "list", "--limit", "2")] == [
        row["id"] for row in rows[:2]
    ]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (("--state", "applied"), 5),
        (("--state", "rejected"), 0),
        (("--source", "shop"), 5),
        (("--source", "other"), 0),
        (("--type", "test"), 5),
        (("--type", "orders/create"), 0),
        (("--order", "1001"), 4),
        (("--member", "shop:7000"), 5),
        (("--since", BEFORE), 5),
        (("--since", AFTER), 0),
        (("--until", BEFORE), 0),
        (("--until", AFTER), 5),
        (("--since", "36500d", "--state", "applied", "--member", "ada@example.com"), 5),
    ],
)
def test_events_are_filtered(
    sqlite_database: Engine, sqlite_shell: Shell, filters: tuple[str, ...], count: int
) -> None:
    one_order(sqlite_database)
    assert len(sqlite_shell.json("events", "list", *filters)) == count


def test_a_limit_beyond_a_page_reads_further_pages(sqlite_database: Engine, sqlite_shell: Shell) -> None:
    configured(sqlite_database)
    play(sqlite_database, [recorded(customer(str(number))) for number in range(250)], sizes=(250,))
    assert len(sqlite_shell.json("events", "list", "--limit", "240")) == 240
    assert len(sqlite_shell.json("events", "list", "--limit", "1000")) == 250


def test_events_are_a_table_for_people(database: Engine, shell: Shell) -> None:
    one_order(database)
    lines = shell("events", "list").stdout.splitlines()
    assert lines[0].split() == ["EVENT", "RECEIVED", "SOURCE", "TOPIC", "ORDER", "MEMBER", "STATE", "WHY"]
    assert len(lines) == 6
    assert shell("events", "list", "--state", "parked").stdout == ""


def test_one_event_is_shown_with_its_body(database: Engine, shell: Shell) -> None:
    one_order(database)
    name = shell.json("events", "list", "--order", "1001", "--limit", "1")[0]["id"]
    assert json.loads(shell.json("events", "show", name)["body"])[0]["refund"]["amount"] == "30.00"
    shown = shell("events", "show", name).stdout
    assert f"id            {name}" in shown
    assert '"amount":"30.00"' in shown


def test_deliveries_are_listed_and_filtered(database: Engine, shell: Shell, endpoint: Endpoint) -> None:
    configured(database)
    here, there = endpoint(), endpoint(events=["balance.updated"])
    live_one_order(database)
    everything = shell.json("deliveries", "list")
    balances = [row for row in everything if row["type"] == "balance.updated"]
    assert len(balances) == 6  # placed, shipped and refunded moved points; each for two endpoints
    for filters, count in (
        (("--endpoint", there), 3),
        (("--endpoint", here, "--type", "balance.updated"), 3),
        (("--type", "balance.updated", "--limit", "4"), 4),
        (("--type", "member.created"), 1),
        (("--state", "dead"), 0),
        (("--state", "due"), len(everything)),
        (("--member", "shop:7000"), len(everything)),
        (("--since", AFTER), 0),
        (("--until", AFTER), len(everything)),
        (("--limit", "2"), 2),
    ):
        assert len(shell.json("deliveries", "list", *filters)) == count, filters
    assert shell("deliveries", "list").stdout.splitlines()[0].split()[:2] == ["DELIVERY", "MADE"]


def test_one_delivery_is_shown_with_its_message(database: Engine, shell: Shell, endpoint: Endpoint) -> None:
    configured(database)
    endpoint(events=["balance.updated"])
    live_one_order(database)
    name = shell.json("deliveries", "list", "--limit", "1")[0]["id"]
    assert shell.json("deliveries", "show", name)["body"]["data"]["balances"]["available"] == 59
    assert '"available": 59' in shell("deliveries", "show", name).stdout


def test_members_are_listed_shown_and_explained(database: Engine, shell: Shell) -> None:
    one_order(database)
    row = shell.json("members", "list")[0]
    assert (row["source_ids"], row["email"]) == (["shop:7000"], "ada@example.com")
    assert shell.json("members", "list", "--source", "elsewhere") == []
    assert shell.json("members", "show", "ada@example.com")["balances"][0]["available"] == 59
    assert "available  59" in shell("members", "show", "shop:7000").stdout
    told = shell("members", "explain", "shop:7000").stdout
    assert "59 points can be used now." in told
    assert "30.00 EUR was refunded" in told
    explained = shell.json(
        "members", "explain", row["id"], "--program", "main", "--balance-definition", "points"
    )
    assert explained["adds_up"] is True
    assert EventState.APPLIED in {
        event["state"] for order in explained["orders"] for event in order["events"]
    }
