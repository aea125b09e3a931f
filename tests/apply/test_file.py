"""The file is refused as a whole, with the place of each mistake."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest

from adapter.apply import check_tree, read_file
from adapter.errors import ConfigurationError
from adapter.settings import config_folder

EXAMPLE: dict[str, Any] = tomllib.loads((config_folder() / "example.toml").read_text())
TENANT = "tenants[0]"


def changed(*path: str | int, value: Any) -> dict[str, Any]:
    """Return the example with one value set; None removes it, and an index past the end appends."""
    tree = copy.deepcopy(EXAMPLE)
    place: Any = tree["tenants"][0]
    for part in path[:-1]:
        place = place.setdefault(part, {}) if isinstance(part, str) else place[part]
    if value is None:
        del place[path[-1]]
    elif isinstance(place, list) and path[-1] == len(place):
        place.append(value)
    else:
        place[path[-1]] = value
    return tree


def fault(tree: dict[str, Any]) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        check_tree(tree)
    return caught.value


def test_example_is_accepted_and_exact() -> None:
    file = read_file(config_folder() / "example.toml")
    (program,) = file.tenants[0].programs or ()
    assert str(program.redeeming.burn_rate) == "0.01"
    assert [source.name for source in file.tenants[0].sources or ()] == ["shop", "payments"]


def test_numbers_with_a_point_are_read_exactly(tmp_path: Path) -> None:
    """A TOML float must not pass through a binary one: 0.1 stays 0.1 to the last digit."""
    text = (
        (config_folder() / "example.toml").read_text().replace('rate = "1" ', "rate = 0.10000000000000001 ")
    )
    path = tmp_path / "float.toml"
    path.write_text(text)
    (program,) = read_file(path).tenants[0].programs or ()
    assert str(program.earning.rate) == "0.10000000000000001"


SECOND = {"name": "other", "mode": "test"}
SHOP = EXAMPLE["tenants"][0]["sources"][0]
HOOK = EXAMPLE["tenants"][0]["endpoints"][0]
MAIN = EXAMPLE["tenants"][0]["programs"][0]
KEY = EXAMPLE["tenants"][0]["keys"][0]

MISTAKES = {
    "unknown key": (
        ("programs", 0, "earning", "rat"),
        "1",
        "programs[0].earning.rat",
        "there is no such key",
    ),
    "unknown list": (("shops",), [], "shops", "there is no such key"),
    "mode": (("mode",), "prod", "mode", "'test' or 'live'"),
    "token of the other mode": (
        ("keys", 0, "token"),
        "sk_live_" + "0" * 32,
        "keys[0].token",
        "begins with sk_test_",
    ),
    "short token": (("keys", 0, "token"), "sk_test_0", "keys[0].token", "at least 24"),
    "token with a space": (("keys", 0, "token"), "sk_test_ " + "0" * 32, "keys[0].token", "without spaces"),
    "token twice": (("keys", 1), KEY, "keys[1].token", "in the file twice"),
    "scope": (("keys", 0, "scopes"), ["Everything"], "keys[0].scopes[0]", "should match pattern"),
    "no scopes": (("keys", 0, "scopes"), [], "keys[0].scopes", "at least 1"),
    "rate": (
        ("programs", 0, "earning", "rate"),
        "-1",
        "programs[0].earning.rate",
        "greater than or equal to 0",
    ),
    "program twice": (("programs", 1), MAIN, "programs[1].name", "main is in the file already"),
    "time zone": (("programs", 0, "timezone"), "Mars", "programs[0].timezone", "no time zone 'Mars'"),
    "no unit": (
        ("programs", 0, "balance_definitions"),
        [],
        "programs[0].balance_definitions",
        "at least one",
    ),
    "unit twice": (
        ("programs", 0, "balance_definitions"),
        [{"name": "points"}, {"name": "points"}],
        "programs[0].balance_definitions",
        "two are called 'points'",
    ),
    "connector": (
        ("sources", 0, "connector"),
        "etsy",
        "sources[0].connector",
        "there is no connector 'etsy'",
    ),
    "no secret": (("sources", 0, "secrets"), [], "sources[0].secrets", "has no secret"),
    "missing": (("sources", 0, "secrets"), None, "sources[0].secrets", "Field required"),
    "option": (("sources", 0, "options"), {"colour": 1}, "sources[0].options.colour", "Known options"),
    "program": (("sources", 0, "program"), "gold", "sources[0].program", "no program 'gold'"),
    "orders of nobody": (("sources", 1, "orders_of"), "store", "sources[1].orders_of", "no source 'store'"),
    "chain": (
        ("sources", 2),
        SHOP | {"name": "third", "orders_of": "payments"},
        "sources[2].orders_of",
        "speaks of those of 'shop'",
    ),
    "source twice": (
        ("sources", 2),
        SHOP,
        "sources[2].name",
        "in the file already, at tenants[0].sources[0].name",
    ),
    "endpoint twice": (("endpoints", 1), HOOK, "endpoints[1].url", "is in the file already"),
    "endpoint's secret": (
        ("endpoints", 0, "secrets"),
        ["hush"],
        "endpoints[0].secrets",
        "begins with 'whsec_'",
    ),
    "endpoint's url": (("endpoints", 0, "url"), "ftp://x", "endpoints[0].url", "https://example.com/path"),
    "wait": (("endpoints", 0, "schedule"), [5, -1], "endpoints[0].schedule[1]", "greater than or equal to 0"),
}


@pytest.mark.parametrize(("path", "value", "place", "reason"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_is_named_by_its_place(
    path: tuple[str | int, ...], value: Any, place: str, reason: str
) -> None:
    error = fault(changed(*path, value=value))
    assert error.field == f"{TENANT}.{place}"
    assert error.message.startswith(f"{TENANT}.{place}: ")
    assert reason in error.message
    assert len(error.message.splitlines()) == 1


def test_all_mistakes_are_told_at_once() -> None:
    tree = changed("mode", value="prod")
    tree["tenants"][0]["keys"][0]["token"] = "x"
    places = [line.partition(":")[0] for line in fault(tree).message.splitlines()]
    assert places == ["tenants[0].mode", "tenants[0].keys[0].token"]


def test_no_mistake_shows_a_secret() -> None:
    tree = changed("keys", 0, "token", value="sk_live_tellnobody0123456789abcdef")
    tree["tenants"][0]["endpoints"][0]["secrets"] = ["whsec_tellnobody"]
    assert "tellnobody" not in fault(tree).message
    assert (
        "tellnobody" not in fault(changed("keys", 0, "token", value="sk_live_tellnobody0123456789")).message
    )


def test_live_endpoint_must_be_public() -> None:
    tree = changed("mode", value="live")
    tree["tenants"][0]["keys"] = []
    assert "over https only" in fault(tree).message


def test_names_are_unique_over_tenants() -> None:
    tree = copy.deepcopy(EXAMPLE)
    tree["tenants"].append({**EXAMPLE["tenants"][0], "name": "other"})
    places = {line.partition(":")[0] for line in fault(tree).message.splitlines()}
    assert places == {"tenants[1].sources[0].name", "tenants[1].sources[1].name", "tenants[1].keys[0].token"}
    tree["tenants"] = [SECOND, SECOND]
    assert fault(tree).message == "tenants[1]: other/test is in the file already, at tenants[0]"


@pytest.mark.parametrize("text", ["", "tenants = 1", "[[tenants]", "\udcff"])
def test_what_is_no_such_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigurationError):
        read_file(path)


def test_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"/nowhere\.toml cannot be read"):
        read_file(Path("/nowhere.toml"))
