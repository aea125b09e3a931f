"""Every statement that the suite sends to a database, each once, with the place in the product that says it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event

if TYPE_CHECKING:
    from types import CodeType, FrameType

ROOT = f"{Path(__file__).parent.parent}/"
GENERIC = "adapter.store.database"
"""Makes statements for others: the place is theirs."""

Statement = tuple[str, str, str]
"""The dialect's name, the place (`adapter.delivery.claim:claim`), and the text, shortened."""

_LISTS = re.compile(r"(\((?:(?:\?|%s)(?:, )?)+\))(?:, ?\((?:(?:\?|%s)(?:, )?)+\))+")
_MARKS = re.compile(r"(\?|%\(\w+\)s)(?:, (?:\?|%\(\w+\)s))+(?=\))")
_NUMBERS = re.compile(r"\b\d{6,}\b")
_AT_FIRST = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


class Statements:
    """Listens to all engines. What it knows already costs a look at a few frames and into a dictionary."""

    def __init__(self) -> None:
        self.found: set[Statement] = set()
        self._texts: dict[tuple[CodeType, str], None] = {}
        self._places: dict[CodeType, str | None] = {}

    def listen(self) -> None:
        event.listen(Engine, "before_cursor_execute", self._hear)

    def _hear(self, connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        frame: FrameType | None = sys._getframe(2)
        place = None
        while frame is not None and (place := self._place(frame.f_code)) is None:
            frame = frame.f_back
        if frame is None or place is None or (frame.f_code, text) in self._texts:
            return
        self._texts[frame.f_code, text] = None
        if place and text.lstrip().upper().startswith(_AT_FIRST):
            self.found.add((connection.dialect.name, place, shortened(text)))

    def _place(self, code: CodeType) -> str | None:
        """Return the place of code of the product, nothing for a test's, None for any other's."""
        try:
            return self._places[code]
        except KeyError:
            return self._places.setdefault(code, _place(code))


def _place(code: CodeType) -> str | None:
    path = code.co_filename
    if not path.startswith(ROOT) or "/site-packages/" in path:
        return None
    module = path.removeprefix(ROOT).removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    if module == GENERIC:
        return None
    return "" if module.startswith("tests.") else f"{module}:{code.co_qualname}"


def shortened(text: str) -> str:
    """Return a statement with each list of parameters as short as it can be, and without long numbers."""
    return _NUMBERS.sub("1", _MARKS.sub(r"\1", _LISTS.sub(r"\1", " ".join(text.split()))))
