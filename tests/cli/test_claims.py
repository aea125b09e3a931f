"""Other people's figures: what can be used is, and every other line says why not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.cli.claims import Claim, Unusable, read_csv, read_json_lines
from adapter.errors import Refused


def from_csv(text: str, decimals: int = 0) -> list[Claim | Unusable]:
    return list(read_csv(text.splitlines(keepends=True), decimals))


def from_json(text: str, decimals: int = 0) -> list[Claim | Unusable]:
    return list(read_json_lines(text.splitlines(keepends=True), decimals))


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("member,points", "shop:7000,12"),
        ("Points , Member", "12, shop:7000 "),
        ("customer,tier,balance", "shop:7000,gold,12"),
        ("email,member,points", "ada@example.com,shop:7000,12.0"),
    ],
)
def test_columns_are_found_by_their_names(header: str, row: str) -> None:
    assert from_csv(f"{header}\n{row}\n") == [Claim(2, "shop:7000", 12)]


@pytest.mark.parametrize("text", ["", "name,points\n", "member,sum\n"])
def test_a_header_without_them_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="the header has no column"):
        from_csv(text)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("shop:1", "it has 1 columns, the header has 2"),
        ("shop:1,2,3", "it has 3 columns"),
        (",2", "name is empty"),
        ("x" * 321 + ",2", "longer than 320"),
        ("shop:1,many", "'many' is no number of points"),
        ("shop:1,NaN", "no number"),
        ("shop:1,Infinity", "no number"),
        ("shop:1,1e400", "no number"),
        ("shop:1," + "9" * 41, "no number"),
        ("shop:1,", "no number"),
        ("shop:1,1.5", "finer than this balance, which has 0 decimals"),
        ('"shop:1"x,2', "it is not CSV"),
    ],
)
def test_a_row_that_cannot_be_used_says_why_and_harms_no_other(row: str, reason: str) -> None:
    first, second = from_csv(f"member,points\n{row}\nshop:9,5\n")
    assert isinstance(first, Unusable)
    assert (first.line, second) == (2, Claim(3, "shop:9", 5))
    assert reason in first.reason


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"member": "shop:1"}', "give member or customer or email and points or balance"),
        ('{"member": ["shop:1"], "points": 1}', "give member"),
        ('{"member": "shop:1", "points": true}', "give member"),
        ('{"member": "shop:1", "points": 0.5}', "finer"),
        ('{"member": "a\\u0000b", "points": 5}', "not text"),
    ],
)
def test_a_json_line_that_cannot_be_used_says_why(row: str, reason: str) -> None:
    first, second = from_json(f'{row}\n\n{{"customer": 7000, "balance": "-5"}}\n')
    assert isinstance(first, Unusable)
    assert (first.line, second) == (1, Claim(3, "7000", -5))
    assert reason in first.reason


def test_amounts_are_exact() -> None:
    assert from_json('{"email": "a@b.c", "points": 0.29}', 2) == [Claim(1, "a@b.c", 29)]
    assert from_csv("member,points\nshop:1,12.5\n", 2) == [Claim(2, "shop:1", 1250)]


def test_quoted_names_may_span_lines() -> None:
    assert from_csv('member,points\n"shop:a\nb",5\nshop:1,6\n') == [
        Claim(3, "shop:a\nb", 5),
        Claim(4, "shop:1", 6),
    ]


@given(st.lists(st.text(max_size=20), max_size=6))
def test_anything_is_read_or_told(lines: list[str]) -> None:
    for found in (read_csv(["member,points\n", *lines], 0), read_json_lines(lines, 0)):
        assert all(isinstance(one, (Claim, Unusable)) for one in found)
