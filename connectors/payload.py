"""Reading JSON that somebody else wrote: strictly, exactly, and with errors that name the field.

Everything here raises `Rejected` and nothing else, whatever comes in. Numbers with a fraction are `Decimal`
from the first moment on, so money never passes through a binary float. What a database or a JSON writer would
refuse later (null characters, halves of surrogate pairs, as shops send them when they cut a text inside an
emoji) is cleaned here.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import iso4217
import msgspec

from adapter.clock import LATEST, Millis, parse
from adapter.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_DEPTH = 64
MAX_DIGITS = 100  # of one number in JSON; Python takes quadratic time over gigantic ones
MAX_INTEGER_DIGITS = 15
MAX_DECIMALS = 6  # the book counts in millionths
MAX_ID = 200
MAX_EMAIL = 320
MAX_NAME = 200
MAX_SHOWN = 60

_AMOUNT = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?", re.ASCII)
_USUAL_AMOUNT = re.compile(
    rf"-?[0-9]{{1,{MAX_INTEGER_DIGITS}}}(?:\.[0-9]{{1,{MAX_DECIMALS}}})?"
)  # within every limit by its form alone
_CODE = re.compile(r"[A-Za-z]{3}", re.ASCII)
_UNSTORABLE = re.compile(
    rb"\\u(?:0000|[dD][89a-fA-F])"
)  # as JSON escapes: null, and any half of a surrogate pair
_SPACED_KEY_END = re.compile(rb'"[ \t\r\n]+:')
_EXPONENTS = {currency.code: currency.exponent for currency in iso4217.Currency}
_HUGE = 10**MAX_DIGITS
_USUAL_INTEGER = 10**MAX_INTEGER_DIGITS
_ZERO = Decimal(0)


def read_json(body: bytes) -> dict[str, Any]:
    """Return the object that a body holds. Raises `Rejected` for everything that is not plainly one."""
    value = _read_plain(body)
    return _read_strictly(body) if value is None else value


def _read_plain(body: bytes) -> dict[str, Any] | None:
    """Return the object of a body that is beyond doubt, or None where `_read_strictly` has to say what it is.

    It takes half the time (9 us instead of 17 for 3.4 KB). Its parser takes the last of two equal keys, so the keys
    that it found are counted and compared with the places in the text where a key may end. A text has at least as many
    of those as keys; only a body without a key twice has as many as are left.
    """
    try:
        value = _PLAIN_DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if _count_keys(value) != _count_key_ends(body) or _is_unstorable(body):
        return None
    return value


def _count_key_ends(body: bytes) -> int:
    """Return at how many places in a text a key may end: a quote and a colon, with spaces between them or without."""
    return body.count(b'":') + len(_SPACED_KEY_END.findall(body))


def _is_unstorable(body: bytes) -> bool:
    # To look for one byte takes a sixtieth of the time for two, and most bodies have no escapes at all.
    return b"\\" in body and b"\\u" in body and _UNSTORABLE.search(body) is not None


def _count_keys(value: dict[str, Any]) -> int | None:
    """Return how many keys there are in all levels; None where it is too deep or an integer too long.

    Level by level, for each webhook that comes in: plain loops, as they take a third of the time.
    """
    found, level = 0, [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for node in level:
            if type(node) is dict:
                found += len(node)
            for child in node.values() if type(node) is dict else node:
                kind = type(child)
                if kind is str:  # most of them
                    continue
                if kind is dict or kind is list:
                    below.append(child)
                elif kind is int and not -_HUGE < child < _HUGE:
                    return None
        if not below:
            return found
        level = below
    return None


def _read_strictly(body: bytes) -> dict[str, Any]:
    text = _text(body)
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise Rejected(f"the body is not JSON: {error}", field="body") from None
    if not isinstance(value, dict):
        raise Rejected('the body must be a JSON object, like {"id": …}', field="body")
    _check_depth(value)
    return _cleaned(value) if _is_unstorable(body) else value


def _text(body: bytes) -> str:
    if not body.strip():
        raise Rejected("the body is empty", field="body")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Rejected(f"the body is not UTF-8: byte {error.start} cannot be read", field="body") from None


def _number(text: str) -> Decimal:
    if len(text) > MAX_DIGITS:
        raise Rejected(f"the body has a number of {len(text)} characters: {show(text)}", field="body")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise Rejected(f"the body has a number beyond all sense: {show(text)}", field="body") from None


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise Rejected(f"the body has an integer of {len(text)} digits: {show(text)}", field="body")
    return int(text)


def _constant(name: str) -> Any:
    raise Rejected(f"the body has {name}, which is not JSON", field="body")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise Rejected(f"the body has the key {show(twice)} twice in one object", field="body")
    return found


_DECODER = json.JSONDecoder(
    parse_float=_number, parse_int=_integer, parse_constant=_constant, object_pairs_hook=_object
)
_PLAIN_DECODER = msgspec.json.Decoder(dict[str, Any], float_hook=_number)


def _too_deep() -> Rejected:
    return Rejected(f"the body is nested more than {MAX_DEPTH} levels deep", field="body")


def _check_depth(value: dict[str, Any]) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        inside = [node.values() if isinstance(node, dict) else node for node in level]
        level = [child for children in inside for child in children if isinstance(child, (dict, list))]
        if not level:
            return
    raise _too_deep()


def _cleaned(value: Any) -> Any:
    """Return the value with every text storable. Depth has been checked, so the recursion is bounded."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return _object([(_cleaned(key), _cleaned(item)) for key, item in value.items()])
    return value


def part(body: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """Return the object in a field; an empty one where the shop sent none."""
    found = body.get(field)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Rejected(f"`{field}` must be an object, but is {show(found)}", field=field)
    return found


def rows(body: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    """Return the list of objects in a field; an empty one where the shop sent none."""
    found = body.get(field)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise Rejected(f"`{field}` must be a list of objects, but is {show(found)}", field=field)
    return found


def money(value: Any, field: str, *, default: Decimal | None = None) -> Decimal:
    """Return an amount in main units, from `"12.30"`, `12` or a `Decimal`; `default` stands for None."""
    if value is None and default is not None:
        return default
    if type(value) is str and _USUAL_AMOUNT.fullmatch(value):
        return Decimal(value) or _ZERO
    if type(value) is int and -_USUAL_INTEGER < value < _USUAL_INTEGER:
        return Decimal(value)
    amount = _decimal(value, field, 'an amount such as "12.30"')
    if amount and amount.adjusted() >= MAX_INTEGER_DIGITS:
        raise Rejected(f"`{field}` is larger than any amount of money: {show(value)}", field=field)
    if _decimals(amount) > MAX_DECIMALS:
        raise Rejected(f"`{field}` has more than {MAX_DECIMALS} decimals: {show(value)}", field=field)
    return amount + _ZERO if amount else _ZERO  # no negative zero, no exponent


def within(amount: Decimal, field: str) -> Decimal:
    """Return a computed amount, rounded to what the book counts in; refuse one that is too large."""
    if amount and amount.adjusted() >= MAX_INTEGER_DIGITS:
        raise Rejected(f"`{field}` adds up to more than any amount of money: {show(amount)}", field=field)
    return round(amount, MAX_DECIMALS) if _decimals(amount) > MAX_DECIMALS else amount


def quantity(value: Any, field: str, *, default: Decimal | None = None) -> Decimal:
    """Return how many of a thing; shops sell 1.5 of some. Never negative."""
    amount = money(value, field, default=default)
    if amount < 0:
        raise Rejected(f"`{field}` must not be negative, but is {show(value)}", field=field)
    return amount


def _decimal(value: Any, field: str, wanted: str) -> Decimal:
    if isinstance(value, str) and _AMOUNT.fullmatch(value.strip()):
        return Decimal(value.strip())
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, Decimal) and value.is_finite():
        return value
    raise Rejected(f"`{field}` must be {wanted}, but is {show(value)}", field=field)


def _decimals(amount: Decimal) -> int:
    """Return how many decimals are used; trailing zeros are not."""
    _, digits, exponent_ = amount.as_tuple()
    places = -int(exponent_)
    for digit in reversed(digits):
        if digit or places <= 0:
            break
        places -= 1
    return max(places, 0) if amount else 0


def text_id(value: Any) -> str | None:
    """Return an id as text, or None where the shop sent none or something that cannot be one."""
    if type(value) is int:  # which a boolean is not
        value = str(value)
    if not isinstance(value, str) or not (text := value.strip()) or len(text) > MAX_ID:
        return None
    return text


def codes_of(told: Iterable[Any]) -> tuple[str, ...]:
    """Return the discount codes among these values, each once."""
    return tuple(dict.fromkeys(code for value in told if (code := text_id(value))))


def required_id(value: Any, field: str) -> str:
    """Return an id as text. Raises `Rejected` where there is none."""
    found = text_id(value)
    if found is None:
        raise Rejected(
            f"`{field}` must be an id (a number, or text of 1 to {MAX_ID} characters), but is {show(value)}",
            field=field,
        )
    return found


def clean_email(value: Any) -> str | None:
    """Return an address as the book compares them: stripped and lower-case; None for what is not one."""
    if not isinstance(value, str):
        return None
    text = value.strip().lower()
    name, _, host = text.rpartition("@")
    return text if name and host and len(text) <= MAX_EMAIL and len(text.split()) == 1 else None


def clean_name(*parts: Any) -> str | None:
    """Return a person's name from its parts (first, last), or None where nothing is left of them."""
    words = " ".join(part for part in parts if isinstance(part, str)).split()
    return " ".join(words)[:MAX_NAME].rstrip() or None


def instant(value: Any, field: str) -> Millis:
    """Return the instant that ISO 8601 text names; one without a zone is UTC."""
    try:
        at = parse(value.strip()) if isinstance(value, str) else -1
    except (ValueError, OverflowError):
        at = -1
    if not 0 <= at <= LATEST:
        wanted = "a time such as 2026-11-20T12:00:00Z"
        raise Rejected(f"`{field}` must be {wanted}, but is {show(value)}", field=field)
    return at


def currency_code(value: Any, field: str) -> str:
    """Return a currency as the book writes it. A code that our table does not know passes."""
    if not isinstance(value, str) or not _CODE.fullmatch(value):
        raise Rejected(f"`{field}` must be a currency such as EUR, but is {show(value)}", field=field)
    return value.upper()


def exponent(currency: Any) -> int:
    """Return how many decimals a currency has, by ISO 4217: JPY 0, EUR 2, KWD 3."""
    code = currency_code(currency, "currency")
    found = _EXPONENTS.get(code)
    if found is None:
        raise Rejected(f"`currency` {code} is not known to ISO 4217 as money with decimals", field="currency")
    return int(found)


def from_minor(amount: Any, currency: Any, field: str = "amount") -> Decimal:
    """Turn a whole number of minor units into main ones: 1230 EUR is 12.30, 1230 JPY is 1230."""
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise Rejected(f"`{field}` must be a whole number of minor units, but is {show(amount)}", field=field)
    return money(Decimal(amount).scaleb(-exponent(currency)), field)


def show(value: Any) -> str:
    """Return a value as an error message quotes it: cut short; of lists and objects only the type."""
    text = repr(value) if isinstance(value, str | int | Decimal | None) else type(value).__name__
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
