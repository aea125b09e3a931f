"""Points for what is no order."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from adapter.program.part import Part


class Bonuses(Part):
    """Points for what is no order, in whole units of the program's first balance definition."""

    sign_up: Annotated[int, Field(ge=0, le=10**12)] = 0  # for becoming a member, once
    birthday: Annotated[int, Field(ge=0, le=10**12)] = 0  # on the day, once a year
