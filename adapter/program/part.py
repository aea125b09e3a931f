"""What every part of a program is: frozen, and strict about unknown keys."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of a program: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")
