"""Ids sort by age, are never given twice, and read as they are shown."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter import ids
from tests.shop import NOW


@pytest.mark.parametrize("begun", [0, 2**22 - 3, 2**22, 5 * 2**22 - 1])
def test_ids_of_one_millisecond_sort_as_they_were_drawn(begun: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_count", count(begun))
    drawn = [ids.new_id(NOW) for _ in range(6)]
    assert drawn == sorted(set(drawn))
    assert ids.new_id(NOW + 1) > drawn[-1]


@given(st.integers(0, 2**63 - 1))
def test_what_is_shown_is_read_again(number: int) -> None:
    shown = ids.show("mem", number)
    assert len(shown) == len("mem_") + 13
    assert ids.read("mem", shown) == number
    assert ids.read("txn", shown) is None


@pytest.mark.parametrize(
    "text", ["", "mem", "mem_", "mem_000000000000u", "mem_zzzzzzzzzzzzz", "mem_00000000000000"]
)
def test_what_is_no_id_is_none(text: str) -> None:
    assert ids.read("mem", text) is None
