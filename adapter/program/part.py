"""What the parts of a program are made of: frozen, strict about unknown keys, and without any float."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema

Rate = Annotated[Decimal, Field(ge=0, max_digits=18)]
Money = Annotated[Decimal, Field(ge=0, max_digits=18)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Anything = Annotated[JsonValue, WithJsonSchema({"title": "Any JSON"})]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class Part(BaseModel):
    """A part of a program: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Described(Part):
    """A part that people are shown: nothing of what is said here changes what it does."""

    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    description: Annotated[str, Field(max_length=2000)] | None = None
    image: Annotated[str, Field(max_length=2000)] | None = None  # its address
    metadata: Annotated[dict[str, Anything], Field(max_length=50)] = Field(default_factory=dict)
