"""Balance definitions: what a program keeps, in a unit, within bounds, for so long."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from adapter import ids as our_ids
from adapter.program.worth import EXPONENTS
from adapter.web.dialects import Answered, Asked, view_of
from connectors.brevo import ids
from connectors.brevo.api.programs import Meta, Name, route
from connectors.brevo.api.shown import (
    Paged,
    Programmed,
    VersionQuery,
    change_draft,
    dumped,
    exchanged,
    found,
    paged,
    program_meant,
)

if TYPE_CHECKING:
    from adapter.program.bounds import BalanceDefinition
    from adapter.program.ending import Expiry
    from adapter.program.model import Program
    from adapter.web.routing import Call

PATH = "/v3/loyalty/balance/programs/{pid}/balance-definitions"
ONE = f"{PATH}/{{bdid}}"
POINTS = "POINTS"
POINTS_DECIMALS = 2  # Brevo's amounts are fractional
ROUNDINGS = {"lower": "down", "natural": "half_up", "upper": "up"}
ROUNDED = {ours: theirs for theirs, ours in ROUNDINGS.items()}
MODIFIERS = {"startOfPeriod": "start_of", "endOfPeriod": "end_of"}

Unit = Literal[
    "POINTS", "EUR", "USD", "MXN", "GBP", "INR", "CAD", "SGD", "RON", "JPY", "MYR", "CLP", "PEN", "MAD", "AUD", "CHF", "BRL"
]  # fmt: skip
Rounding = Literal["lower", "upper", "natural"]
TermUnit = Literal["day", "week", "month", "year"]
Modifier = Literal["noModification", "startOfPeriod", "endOfPeriod"]
Amount = Annotated[Decimal, Field(ge=0, le=10**15)]


class DefinitionAsked(Asked):
    """A balance definition as a client writes it; what is left out has no bound."""

    name: Name
    unit: Unit
    description: Annotated[str, Field(max_length=256)] | None = None
    image_ref: str | None = None
    meta: Meta | None = None
    min_amount: Amount | None = None
    max_amount: Amount | None = None
    max_credit_amount_limit: Amount | None = None
    max_debit_amount_limit: Amount | None = None
    balance_option_amount_overtaking_strategy: Literal["strict", "partial"] = "strict"
    balance_option_credit_rounding: Rounding | None = None
    balance_option_debit_rounding: Rounding | None = None
    balance_availability_duration_value: Annotated[int, Field(ge=1, le=5200)] | None = None
    balance_availability_duration_unit: TermUnit | None = None
    balance_availability_duration_modifier: Modifier | None = None
    balance_expiration_date: Annotated[str, Field(pattern=r"^\d\d/\d\d$")] | None = None

    @field_validator("balance_expiration_date", mode="before")
    @classmethod
    def _nothing_is_none(cls, written: Any) -> Any:
        return written or None

    @model_validator(mode="after")
    def _ends_in_one_way(self) -> Self:
        value, unit = self.balance_availability_duration_value, self.balance_availability_duration_unit
        if (value is None) != (unit is None):
            raise ValueError(
                "give balanceAvailabilityDurationValue and balanceAvailabilityDurationUnit together"
            )
        if value is not None and self.balance_expiration_date is not None:
            raise ValueError("give balanceExpirationDate or a balanceAvailabilityDuration, not both")
        return self


class DefinitionShown(Answered):
    id: str
    name: str
    description: str | None
    image_ref: str | None
    meta: Meta
    unit: str
    min_amount: float | None
    max_amount: float | None
    max_credit_amount_limit: float | None
    max_debit_amount_limit: float | None
    balance_option_amount_overtaking_strategy: Literal["strict", "partial"]
    balance_option_credit_rounding: Rounding | None
    balance_option_debit_rounding: Rounding | None
    balance_availability_duration_value: int | None
    balance_availability_duration_unit: TermUnit | None
    balance_availability_duration_modifier: Modifier | None
    balance_expiration_date: str | None
    created_at: str
    updated_at: str
    deleted_at: None = None


class DefinitionsShown(Answered):
    items: list[DefinitionShown]


class DefinitionsQuery(Paged, VersionQuery):
    sort_field: Literal["name", "created_at", "updated_at"] = "updated_at"


def list_definitions(call: Call) -> dict[str, Any]:
    """List a program's balance definitions."""
    asked: DefinitionsQuery = call.query
    meant = program_meant(call, asked.version)
    items = [_shown(meant, one) for one in meant.program.balance_definitions if not one.retired]
    page = paged(items, asked, lambda one: (getattr(one, asked.sort_field), one.id))
    return view_of(DefinitionsShown(items=page))


def create_definition(call: Call) -> dict[str, Any]:
    """Add a balance definition to a program's draft."""
    asked: DefinitionAsked = call.body
    name = our_ids.new_uuid()
    fresh = {"name": name, "unit": asked.unit, "decimals": _decimals(asked.unit), **_said(asked)}
    meant = change_draft(
        call, lambda program: {"balance_definitions": [*dumped(program.balance_definitions), fresh]}
    )
    return _one(meant, name)


def show_definition(call: Call) -> dict[str, Any]:
    """Show a balance definition."""
    meant = program_meant(call, call.query.version)
    return view_of(_shown(meant, definition_in_path(call, meant.program)))


def update_definition(call: Call) -> dict[str, Any]:
    """Change a balance definition in the draft: what is left out is taken away."""
    asked: DefinitionAsked = call.body

    def changes(program: Program) -> dict[str, Any]:
        old = definition_in_path(call, program)
        new = {**old.model_dump(), "unit": asked.unit, **_said(asked)}
        return {"balance_definitions": exchanged(program.balance_definitions, old, new)}

    meant = change_draft(call, changes)
    return view_of(_shown(meant, definition_in_path(call, meant.program)))


def delete_definition(call: Call) -> None:
    """Retire a balance definition: what the book keeps of it stays, and nothing more is booked on it."""

    def changes(program: Program) -> dict[str, Any]:
        old = definition_in_path(call, program)
        new = {**old.model_dump(), "retired": True, "limits": ()}
        return {"balance_definitions": exchanged(program.balance_definitions, old, new)}

    change_draft(call, changes)


def definition_in_path(call: Call, program: Program) -> BalanceDefinition:
    """Return the balance definition in the path. Raises `NotFound`."""
    kept = [one for one in program.balance_definitions if not one.retired]
    return found(
        kept,
        call.path["bdid"],
        lambda one: ids.definition_id(call.env, program.name, one.name),
        "balance definition",
    )


def _decimals(unit: str) -> int:
    return EXPONENTS.get(unit, POINTS_DECIMALS)


def _said(asked: DefinitionAsked) -> dict[str, Any]:
    """Return in our words all that a definition says besides its name and unit."""
    credit, debit = asked.balance_option_credit_rounding, asked.balance_option_debit_rounding
    return {
        "title": asked.name,
        "description": asked.description,
        "image": asked.image_ref,
        "metadata": asked.meta or {},
        "min_amount": asked.min_amount,
        "max_amount": asked.max_amount,
        "max_credit": asked.max_credit_amount_limit,
        "max_debit": asked.max_debit_amount_limit,
        "overtaking": asked.balance_option_amount_overtaking_strategy,
        "credit_rounding": ROUNDINGS.get(credit or ""),
        "debit_rounding": ROUNDINGS.get(debit or ""),
        "expiry": _expiry(asked),
    }


def _expiry(asked: DefinitionAsked) -> dict[str, Any] | None:
    if asked.balance_expiration_date is not None:
        return {"on": asked.balance_expiration_date.replace("/", "-")}
    unit = asked.balance_availability_duration_unit
    if unit is None:
        return None
    modifier = MODIFIERS.get(asked.balance_availability_duration_modifier or "")
    return {
        f"{unit}s": asked.balance_availability_duration_value,
        **({} if modifier is None else {modifier: unit}),
    }


def _one(meant: Programmed, name: str) -> dict[str, Any]:
    one = meant.program.balance(name)
    assert one is not None
    return view_of(_shown(meant, one))


def _shown(meant: Programmed, one: BalanceDefinition) -> DefinitionShown:
    created, updated = meant.times(lambda program: program.balance(one.name))
    expiry = one.expiry or meant.program.expiry
    value, unit, modifier = _term(expiry)
    return DefinitionShown(
        id=ids.definition_id(meant.env, meant.program.name, one.name),
        name=one.title or one.name,
        description=one.description,
        image_ref=one.image,
        meta=one.metadata,
        unit=unit_of(one),
        min_amount=_number(one.min_amount),
        max_amount=_number(one.max_amount),
        max_credit_amount_limit=_number(one.max_credit),
        max_debit_amount_limit=_number(one.max_debit),
        balance_option_amount_overtaking_strategy=one.overtaking,
        balance_option_credit_rounding=ROUNDED.get(one.credit_rounding or ""),  # type: ignore[arg-type]  # - the table has no other
        balance_option_debit_rounding=ROUNDED.get(one.debit_rounding or ""),  # type: ignore[arg-type]  # - the table has no other
        balance_availability_duration_value=value,
        balance_availability_duration_unit=unit,
        balance_availability_duration_modifier=modifier,
        balance_expiration_date=None if expiry.on is None else expiry.on.replace("-", "/"),
        created_at=created,
        updated_at=updated,
    )


def unit_of(one: BalanceDefinition) -> str:
    """Return Brevo's word for a unit: a currency, or points."""
    return one.unit if one.unit in EXPONENTS else POINTS


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def _term(expiry: Expiry) -> tuple[int | None, TermUnit | None, Modifier | None]:
    """Return a term as Brevo has it: so many of one unit. One of several units is beyond its words."""
    terms: dict[TermUnit, int | None] = {
        "day": expiry.days,
        "week": expiry.weeks,
        "month": expiry.months,
        "year": expiry.years,
    }
    said = [(value, unit) for unit, value in terms.items() if value is not None]
    if len(said) != 1:
        return None, None, None
    value, unit = said[0]
    if expiry.start_of == unit:
        return value, unit, "startOfPeriod"
    return value, unit, "endOfPeriod" if expiry.end_of == unit else "noModification"


TAG = "Balance definitions"

ROUTES = (
    route(
        f"GET {PATH}",
        list_definitions,
        "List balance definitions",
        DefinitionsShown,
        TAG,
        query=DefinitionsQuery,
    ),
    route(
        f"POST {PATH}",
        create_definition,
        "Create a balance definition",
        DefinitionShown,
        TAG,
        body=DefinitionAsked,
    ),
    route(
        f"GET {ONE}", show_definition, "Show a balance definition", DefinitionShown, TAG, query=VersionQuery
    ),
    route(
        f"PUT {ONE}",
        update_definition,
        "Change a balance definition",
        DefinitionShown,
        TAG,
        body=DefinitionAsked,
    ),
    route(f"DELETE {ONE}", delete_definition, "Delete a balance definition", DefinitionShown, TAG),
)
