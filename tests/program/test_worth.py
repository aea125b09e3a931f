"""Points as money: exact inside, rounded half up to the currency's decimals when they are shown."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pydantic import ValidationError

from adapter.program.model import Program
from adapter.program.worth import Worth, worth_of


@pytest.mark.parametrize(
    ("amount", "decimals", "value", "currency", "shown"),
    [
        (5555, 0, "0.01", "EUR", "55.55"),
        (333, 0, "0.005", "EUR", "1.67"),  # 1.665
        (-333, 0, "0.005", "EUR", "-1.67"),
        (1, 0, "0.0049", "EUR", "0.00"),
        (-1, 0, "0.0049", "EUR", "0.00"),
        (5555, 0, "0.5", "JPY", "2778"),  # 2777.5
        (1, 0, "0.0005", "KWD", "0.001"),
        (1250, 2, "1", "EUR", "12.50"),  # cashback: 12.50 units
        (10**18, 0, "0.000000000000000001", "EUR", "1.00"),
        (9 * 10**18, 0, "0.010000000000000001", "EUR", "90000000000000009.00"),
    ],
)
def test_worth(amount: int, decimals: int, value: str, currency: str, shown: str) -> None:
    assert Worth(Decimal(value), currency).shown(amount, decimals) == shown


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"point_value": "0.01"}, "together"),
        ({"currency": "EUR"}, "together"),
        ({"point_value": "0.01", "currency": "EUX"}, "EUX is not a currency"),
        ({"point_value": "-1", "currency": "EUR"}, "greater than or equal"),
    ],
)
def test_a_value_needs_its_currency(given: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Program.model_validate({"name": "main", **given})


def test_only_the_first_definition_has_the_programs_value() -> None:
    units = [{"name": "points"}, {"name": "cashback", "decimals": 2}]
    given = {"name": "main", "balance_definitions": units, "point_value": "0.01", "currency": "EUR"}
    program = Program.model_validate(given)
    assert worth_of(program, "points") == Worth(Decimal("0.01"), "EUR")
    assert worth_of(program, "cashback") is None
    assert worth_of(Program(name="main"), "points") is None
