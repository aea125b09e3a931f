"""Ids: 63-bit integers inside, a prefix and 13 letters outside.

An id is the milliseconds since 2020, shifted by 22 bits, plus a count that begins at random below that in every process
and goes on; so ids sort by age, those of one process even within a millisecond, cost eight bytes in each row, and need no
coordination. Two processes that hit the same number in the same millisecond are caught by the primary key, and the
batch is decided again with fresh ids.
"""

from __future__ import annotations

import hmac
import secrets
import uuid
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapter.clock import Millis

_EPOCH_MS: Millis = 1_577_836_800_000  # 2020-01-01
_LOW_BITS = 22
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_LETTERS = 13
_CODE_LETTERS = 8
_DERIVED_LETTERS = 12  # more than of one that is drawn: it cannot be drawn again where it is taken
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]

_count = count(secrets.randbits(_LOW_BITS))
"""Never wraps: after four million ids it counts into the next millisecond. One step of it is safe among threads."""

_NAMESPACE = uuid.UUID("5b1a7a1e-6a40-5d2b-9a53-64f1c1f2a0b7")  # of ids that are computed; never changes


def new_id(now: Millis) -> int:
    """Return a fresh id that sorts after those of earlier milliseconds."""
    return (max(now - _EPOCH_MS, 0) << _LOW_BITS) + next(_count)


def first_id(at: Millis) -> int:
    """Return the number below which all ids of earlier instants are."""
    return max(at - _EPOCH_MS, 0) << _LOW_BITS


def made_at(number: int) -> Millis:
    """Return when an id was drawn."""
    return (number >> _LOW_BITS) + _EPOCH_MS


def show(prefix: str, number: int) -> str:
    """Write an id as people see it: `show("mem", 5)` is `mem_0000000000005`."""
    return (
        f"{prefix}_{_ALPHABET[number >> 60]}{_PAIRS[number >> 50 & 1023]}{_PAIRS[number >> 40 & 1023]}"
        f"{_PAIRS[number >> 30 & 1023]}{_PAIRS[number >> 20 & 1023]}{_PAIRS[number >> 10 & 1023]}{_PAIRS[number & 1023]}"
    )


def read(prefix: str, text: str) -> int | None:
    """Return the number of a shown id, or None where the text is not an id with this prefix."""
    head, _, letters = text.partition("_")
    if head != prefix or len(letters) != _LETTERS:
        return None
    number = 0
    for letter in letters:
        value = _VALUES.get(letter)
        if value is None:
            return None
        number = number << 5 | value
    return number if number < 1 << 63 else None


def new_code(prefix: str) -> str:
    """Return a code that nobody guesses, in letters that nobody mistakes: `new_code("GIFT")` is `GIFT-7K2M9QXB`."""
    return f"{prefix}-{_code_letters(secrets.randbits(5 * _CODE_LETTERS), _CODE_LETTERS)}"


def derived_code(prefix: str, secret: bytes, what: str) -> str:
    """Return the one code of `what` that nobody guesses without the secret: `GIFT-7K2M9QXBP4RA`."""
    number = int.from_bytes(hmac.digest(secret, what.encode(), "sha256")[:8])
    return f"{prefix}-{_code_letters(number, _DERIVED_LETTERS)}"


def _code_letters(number: int, letters: int) -> str:
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in range(letters)).upper()


def new_uuid() -> str:
    """Return a fresh name for a thing whose maker gives it none that we could use."""
    return str(uuid.uuid4())


@lru_cache(maxsize=10_000)
def uuid_of(env: int, *path: str) -> str:
    """Return the UUID of what has this name there (`1, "program", "main"`): itself where it is one, else computed."""
    if is_uuid(path[-1]):
        return path[-1]
    return str(uuid.uuid5(_NAMESPACE, "/".join((str(env), *path))))


def is_uuid(text: str) -> bool:
    """Return whether a text is a UUID as we write them: lower-case, with hyphens."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
