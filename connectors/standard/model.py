"""Our own events as others write them: JSON, checked by models, published as a JSON Schema.

What may be left out has a default that fits an ordinary shop, so that the smallest useful order is its id,
its currency and its lines. What is not known is refused by name: a misspelt field would be lost in silence.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from adapter.errors import Rejected
from adapter.events import PaymentState, RefundState
from connectors.payload import (
    MAX_EMAIL,
    MAX_ID,
    clean_email,
    currency_code,
    instant,
    money,
    quantity,
    required_id,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.clock import Millis

_NOTHING = Decimal(0)
_AMOUNT = {"anyOf": [{"type": "string", "pattern": r"^-?[0-9]{1,15}(\.[0-9]{1,6})?$"}, {"type": "number"}]}


def _read(read: Callable[[Any, str], Any]) -> BeforeValidator:
    """Let a reader of `payload` check a field; what it says after the field's name becomes the reason."""

    def check(value: Any) -> Any:
        try:
            return read(value, "")
        except Rejected as error:
            raise PydanticCustomError("value", "{why}", {"why": error.message.partition("` ")[2]}) from None

    return BeforeValidator(check)


def _version(value: Any, field: str) -> Millis:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62
    return value if is_count else instant(value, field)


def _email(value: Any, field: str) -> str:
    found = clean_email(value)
    if found is None:
        raise Rejected(f"`{field}` must be an e-mail address of at most {MAX_EMAIL} characters", field=field)
    return found


Money = Annotated[
    Decimal, _read(money), WithJsonSchema({**_AMOUNT, "description": 'Main units; text is exact: "12.30"'})
]
Quantity = Annotated[
    Decimal, _read(quantity), WithJsonSchema({**_AMOUNT, "description": "How many; never negative"})
]
Instant = Annotated[
    int,
    _read(instant),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "description": "ISO 8601; without a zone it is UTC"}
    ),
]
Version = Annotated[
    int,
    _read(_version),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer", "minimum": 0}],
            "description": "Of two events about one thing the higher is right; `occurred_at` unless given",
        }
    ),
]
Id = Annotated[
    str,
    _read(required_id),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1, "maxLength": MAX_ID}, {"type": "integer"}]}),
]
Currency = Annotated[
    str,
    _read(currency_code),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z]{3}$", "description": "ISO 4217"}),
]
Email = Annotated[
    str, _read(_email), WithJsonSchema({"type": "string", "format": "email", "maxLength": MAX_EMAIL})
]
Text = Annotated[str, Field(min_length=1, max_length=MAX_ID)]


class Strict(BaseModel):
    """Refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class CustomerModel(Strict):
    """Who bought. A guest has only an e-mail address; without either nobody earns."""

    id: Id | None = None
    email: Email | None = None
    name: Text | None = None


class KnownCustomer(CustomerModel):
    """A customer by the shop's id."""

    id: Id


class LineModel(Strict):
    """One line. `amount` is for the whole quantity, after discounts, without tax."""

    id: Id
    quantity: Quantity = Decimal(1)
    amount: Money
    tax: Money = _NOTHING
    sku: Text | None = None
    product: Id | None = None
    categories: tuple[Text, ...] = Field(
        default=(), strict=False, description="Categories and tags: what a program's rules select lines by"
    )
    gift_card: bool = Field(
        default=False, description="The line sells a gift card; such lines earn nothing by default"
    )
    ships: bool = Field(default=True, description="False for what is never shipped, such as a download")


class OrderName(Strict):
    """Which order it is about."""

    id: Id


class OrderModel(OrderName):
    """An order as of now. It replaces what was said of it before."""

    name: Text | None = Field(default=None, description="What people call it, such as #1001")
    placed_at: Instant | None = None
    currency: Currency
    lines: tuple[LineModel, ...] = Field(strict=False)
    discount: Money = Field(
        default=_NOTHING, ge=0, description="Of the order as a whole, not yet taken off any line"
    )
    tax: Money | None = Field(default=None, description="The lines' tax unless given")
    shipping: Money = Field(default=_NOTHING, description="Without tax")
    total: Money | None = Field(default=None, description="Lines + tax + shipping - discount unless given")
    gift_cards: Money = Field(default=_NOTHING, description="The part of the total paid with gift cards")
    points_paid: Money = Field(default=_NOTHING, description="The part of the total paid with points")
    codes: tuple[Text, ...] = Field(
        default=(), strict=False, max_length=100, description="The discount codes that were used"
    )


class PaymentModel(Strict):
    """Money that arrived, by the id of the payment."""

    id: Id
    state: Literal["pending", "failed", "cancelled", "completed"] = PaymentState.COMPLETED.value
    amount: Money | None = None
    currency: Currency | None = None
    whole: bool = Field(default=True, description="With this payment the order is fully paid")
    at: Instant | None = None
    codes: tuple[Text, ...] = Field(
        default=(),
        strict=False,
        max_length=100,
        description="The discount codes, or redemptions, it was reduced by",
    )


class ShippedLine(Strict):
    """How much of a line a shipment has."""

    line: Id
    quantity: Quantity = Decimal(1)


class ShipmentModel(Strict):
    """What left, by the id of the shipment. Without `lines` it is everything."""

    id: Id
    cancelled: bool = Field(default=False, description="The shipment was called back")
    lines: tuple[ShippedLine, ...] | None = Field(default=None, strict=False)
    at: Instant | None = None


class RefundedLine(ShippedLine):
    """How much of a line a refund took; `amount` without tax."""

    amount: Money


class RefundModel(Strict):
    """One refund, by its id. `amount` is all the money that went back, with tax and shipping."""

    id: Id
    state: Literal["pending", "completed", "failed"] = RefundState.COMPLETED.value
    currency: Currency | None = None
    amount: Money = Field(ge=0)
    merchandise: Money | None = Field(
        default=None, description="For goods, without tax; the lines' sum unless given"
    )
    shipping: Money = Field(default=_NOTHING, ge=0, description="For shipping, without tax")
    lines: tuple[RefundedLine, ...] = Field(default=(), strict=False)
    payment: Id | None = None
    cumulative: bool = Field(
        default=False, description="`amount` is all that was refunded of `payment` so far"
    )
    at: Instant | None = None


class CancellationModel(Strict):
    """Why and when. An order comes back with `cancelled` false and a higher version."""

    cancelled: bool = True
    reason: Text | None = None
    at: Instant | None = None


class EventModel(Strict):
    """What all events have."""

    occurred_at: Instant
    version: Version | None = None
    test: bool = Field(default=False, description="A test never earns in a live environment")


class OrderEvent(EventModel):
    """An order was placed, or is different now."""

    type: Literal["order.placed", "order.updated"]
    order: OrderModel
    customer: CustomerModel | None = None


class PaymentEvent(EventModel):
    """A payment of an order."""

    type: Literal["payment.completed"]
    order: OrderName
    payment: PaymentModel


class ShipmentEvent(EventModel):
    """A shipment of an order."""

    type: Literal["order.shipped"]
    order: OrderName
    shipment: ShipmentModel


class RefundEvent(EventModel):
    """A refund of an order."""

    type: Literal["order.refunded"]
    order: OrderName
    refund: RefundModel


class CancellationEvent(EventModel):
    """An order is off."""

    type: Literal["order.cancelled"]
    order: OrderName
    cancellation: CancellationModel = CancellationModel()


class CustomerEvent(EventModel):
    """A customer is there, is different, is gone, or asked to be forgotten."""

    type: Literal["customer.created", "customer.updated", "customer.deleted", "customer.redacted"]
    customer: KnownCustomer


AnyEvent = Annotated[
    OrderEvent | PaymentEvent | ShipmentEvent | RefundEvent | CancellationEvent | CustomerEvent,
    Field(discriminator="type"),
]
