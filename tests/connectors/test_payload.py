"""Strict JSON: what is read, what is cleaned, and that nothing but `Rejected` ever comes out."""

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import Rejected
from connectors.payload import (
    clean_email,
    clean_name,
    currency_code,
    exponent,
    from_minor,
    instant,
    money,
    part,
    quantity,
    read_json,
    required_id,
    rows,
    text_id,
    within,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


class TestReadJson:
    def test_fractions_are_exact(self) -> None:
        told = read_json(b'\xef\xbb\xbf{"a": 0.1, "b": 12, "c": [1e2]}')
        assert told == {"a": Decimal("0.1"), "b": 12, "c": [Decimal(100)]}
        assert isinstance(told["a"], Decimal)

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (b"", "empty"),
            (b" \n", "empty"),
            (b"{", "not JSON"),
            (b"[1]", "must be a JSON object"),
            (b"null", "must be a JSON object"),
            (b'{"a": "\xff"}', "not UTF-8: byte 7"),
            ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
            (b'{"a": NaN}', "NaN"),
            (b'{"a": -Infinity}', "-Infinity"),
            (b'{"a": {"c": 2, "b": 1, "b": 1}}', "key 'b' twice"),
            (b'{"a": %s}' % (b"9" * 5000), "integer of 5000 digits"),
            (b'{"a": 1.%s}' % (b"9" * 200), "number of 202 characters"),
            (b'{"a": 1e9999999999999999999999}', "beyond all sense"),
            (nested(65), "nested more than 64"),
            (nested(200_000), "nested more than 64"),
            (b'{"a":' + b"[" * 200_000, "nested more than 64"),
            (b'{"a": "raw \x00 null"}', "not JSON"),
            (b'{"a\\u0000": 1, "a": 2}', "key 'a' twice"),
        ],
    )
    def test_what_is_not_plainly_an_object_is_rejected(self, body: bytes, reason: str) -> None:
        with pytest.raises(Rejected, match=reason) as error:
            read_json(body)
        assert error.value.field == "body"

    def test_the_deepest_that_is_read(self) -> None:
        assert read_json(nested(64))

    @pytest.mark.parametrize(
        ("body", "value"),
        [
            (rb'{"a": "b\u0000c"}', {"a": "bc"}),
            (rb'{"a": ["cut \ud83d", 1, null]}', {"a": ["cut ?", 1, None]}),
            (rb'{"a": "\ud83d\ude00 whole"}', {"a": "\N{GRINNING FACE} whole"}),
            (rb'{"a": "written \\u0000"}', {"a": r"written \u0000"}),
            (rb'{"k\u0000": {"b": true}}', {"k": {"b": True}}),
        ],
    )
    def test_text_becomes_storable(self, body: bytes, value: dict[str, Any]) -> None:
        assert read_json(body) == value

    @given(
        st.binary() | st.text().map(str.encode) | json_values.map(lambda value: json.dumps(value).encode())
    )
    def test_arbitrary_bytes_are_read_or_rejected(self, body: bytes) -> None:
        told: dict[str, Any] = {}
        with suppress(Rejected):
            told = read_json(body)
        json.dumps(told, ensure_ascii=False, default=str).encode()
        assert "\\u0000" not in json.dumps(told, default=str)

    @given(st.dictionaries(st.text(st.characters(exclude_characters="\0", codec="utf-8")), json_values))
    def test_what_others_write_is_read_back(self, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        if b"u0000" not in body and b"\\ud" not in body:
            assert read_json(body) == json.loads(body)


class TestParts:
    def test_what_is_there(self) -> None:
        body = {"customer": {"id": 1}, "lines": [{"id": 2}]}
        assert part(body, "customer") == {"id": 1}
        assert rows(body, "lines") == [{"id": 2}]

    def test_what_is_missing_is_empty(self) -> None:
        assert part({"customer": None}, "customer") == {}
        assert rows({}, "lines") == []

    @pytest.mark.parametrize("value", [1, "x", [1], {"a": [1]}, [[]], True])
    def test_wrong_types_are_rejected_by_name(self, value: Any) -> None:
        with pytest.raises(Rejected, match="`lines` must be a list of objects"):
            rows({"lines": value}, "lines")
        if not isinstance(value, dict):
            with pytest.raises(Rejected, match="`customer` must be an object"):
                part({"customer": value}, "customer")


class TestMoney:
    @pytest.mark.parametrize(
        ("value", "amount"),
        [
            ("12.30", "12.30"),
            (" 23600 ", "23600"),
            ("-8.10", "-8.10"),
            (12, "12"),
            (Decimal("194.67"), "194.67"),
            (Decimal("1e2"), "100"),
            (Decimal("-0.00"), "0"),
            (Decimal("0e-99999"), "0"),
            ("1.50000000", "1.50000000"),
            ("999999999999999.999999", "999999999999999.999999"),
        ],
    )
    def test_exact(self, value: Any, amount: str) -> None:
        assert str(money(value, "price")) == amount

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "",
            "12,30",
            "NaN",
            "1e3",
            "٣",
            True,
            [],
            {},
            Decimal("NaN"),
            Decimal("Infinity"),
            Decimal("1e15"),
            10**15,
            "1000000000000000",
            "0.1234567",
            Decimal("1e-7"),
            Decimal("1e999999"),
            "9" * 41,
        ],
    )
    def test_refused_by_name(self, value: Any) -> None:
        with pytest.raises(Rejected, match="`price`") as error:
            money(value, "price")
        assert error.value.field == "price"
        assert len(error.value.message) < 160

    def test_default_stands_for_none_alone(self) -> None:
        assert money(None, "price", default=Decimal(0)) == 0
        with pytest.raises(Rejected):
            money("", "price", default=Decimal(0))

    @pytest.mark.parametrize(
        ("amount", "result"),
        [("12.30", "12.30"), ("0.1234567", "0.123457"), ("1e-30", "0.000000"), ("-1.5", "-1.5"), ("0", "0")],
    )
    def test_computed_amounts_are_rounded(self, amount: str, result: str) -> None:
        assert str(within(Decimal(amount), "line_items")) == result

    def test_computed_amounts_have_a_limit(self) -> None:
        with pytest.raises(Rejected, match="`line_items` adds up"):
            within(Decimal(10) ** 15, "line_items")

    def test_quantities_are_never_negative(self) -> None:
        assert quantity(Decimal("1.5"), "quantity") == Decimal("1.5")
        with pytest.raises(Rejected, match="`quantity` must not be negative"):
            quantity(-1, "quantity")

    @given(
        st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**14), max_value=10**14)
    )
    def test_every_amount_survives(self, amount: Decimal) -> None:
        assert money(str(amount), "price") == money(amount, "price") == amount


class TestIds:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (7000, "7000"),
            (" a ", "a"),
            ("x" * 200, "x" * 200),
            ("x" * 201, None),
            ("", None),
            ("  ", None),
            (None, None),
            (True, None),
            (Decimal("1.5"), None),
            ({}, None),
        ],
    )
    def test_table(self, value: Any, text: str | None) -> None:
        assert text_id(value) == text
        if text is None:
            with pytest.raises(Rejected, match=r"`order\.id` must be an id"):
                required_id(value, "order.id")
        else:
            assert required_id(value, "order.id") == text


class TestPeople:
    @pytest.mark.parametrize(
        ("value", "email"),
        [
            (" Ann@Example.COM ", "ann@example.com"),
            ("", None),
            (None, None),
            (7, None),
            ("ann", None),
            ("@example.com", None),
            ("ann@", None),
            ("ann b@example.com", None),
            ("a" * 310 + "@example.com", None),
        ],
    )
    def test_email(self, value: Any, email: str | None) -> None:
        assert clean_email(value) == email

    def test_name(self) -> None:
        assert clean_name(" Ann ", None, "Lee\n") == "Ann Lee"
        assert clean_name("", None) is None
        assert clean_name("x" * 500) == "x" * 200


class TestInstant:
    @pytest.mark.parametrize(
        ("text", "at"),
        [
            ("1970-01-01T00:00:01Z", 1000),
            ("1970-01-01T02:00:01+02:00", 1000),
            ("1970-01-01T00:00:01", 1000),
            (" 1970-01-01T00:00:01.250Z ", 1250),
        ],
    )
    def test_utc(self, text: str, at: int) -> None:
        assert instant(text, "created_at") == at

    @pytest.mark.parametrize(
        "value",
        [None, 5, True, "", "yesterday", "0000-00-00T00:00:00", "1969-12-31", "9999-12-31T23:59:59-14:00"],
    )
    def test_refused_by_name(self, value: Any) -> None:
        with pytest.raises(Rejected, match="`created_at` must be a time"):
            instant(value, "created_at")

    @given(st.text())
    def test_any_text_is_an_instant_or_rejected(self, text: str) -> None:
        with suppress(Rejected):
            assert instant(text, "at") >= 0


class TestCurrency:
    @pytest.mark.parametrize(
        ("amount", "currency", "money_"),
        [(1230, "eur", "12.30"), (1230, "JPY", "1230"), (1230, "KWD", "1.230"), (-5, "USD", "-0.05")],
    )
    def test_minor_units(self, amount: int, currency: str, money_: str) -> None:
        assert from_minor(amount, currency) == Decimal(money_)

    @pytest.mark.parametrize("amount", [True, "12", Decimal("1.5"), None, 10**20])
    def test_minor_units_are_whole(self, amount: Any) -> None:
        with pytest.raises(Rejected, match="`total`"):
            from_minor(amount, "EUR", "total")

    @pytest.mark.parametrize("currency", ["XXX", "QQQ", "", "E", "EURO", None, 978])
    def test_unknown_currency(self, currency: Any) -> None:
        with pytest.raises(Rejected, match="`currency`"):
            exponent(currency)

    def test_codes_are_upper_case(self) -> None:
        assert currency_code("chf", "currency") == "CHF"
