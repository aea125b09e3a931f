"""What an order is: Shopify's lines, discounts, taxes and shipping as our totals.

All amounts are taken in the shop's own currency, the one in the fields without `_set`. What is not obvious:

    line        price * quantity - its discounts (- its tax, where prices include tax)
    discounts   what was allocated to the line; in older payloads, without allocations, its `total_discount`
    order's     what brings the lines down to `subtotal_price`, but never more than `total_discounts` names
    discount    beyond the discounts of lines and shipping: a line that was added later is no discount
    quantity    as ordered; what an edit or a return takes away comes as a refund

Worked through: two lines of 199.00 without allocations, `total_discounts` 20.00, `subtotal_price` 388.00: the
lines keep 199.00 each and the order's discount is min(398.00 - 388.00, 20.00) = 10.00.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from adapter.errors import Rejected
from adapter.events import Line, Totals
from connectors.payload import codes_of, currency_code, money, part, quantity, rows, text_id, within
from connectors.shopify.webhook import id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from adapter.clock import Millis

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class _Priced:
    """A line with what it took to price it: `after` is after discounts, with tax where prices include it."""

    line: Line
    after: Decimal
    discount: Decimal


def totals_of(body: Mapping[str, Any], version: Millis) -> Totals:
    """Return the totals that an order's body tells."""
    if body.get("line_items") is None:
        raise Rejected("`line_items` is missing: the webhook must send whole orders", field="line_items")
    included = body.get("taxes_included") is True
    priced = [_line(item, included) for item in rows(body, "line_items")]
    shipping = [
        _shipping(item, included) for item in rows(body, "shipping_lines") if not item.get("is_removed")
    ]
    carried = added(one.discount for one in priced) + added(discount for _, discount in shipping)
    return Totals(
        version=version,
        currency=currency_code(body.get("currency"), "currency"),
        lines=tuple(one.line for one in priced),
        discount=within(_discount(body, added(one.after for one in priced), carried), "total_discounts"),
        tax=amount_of(body, "total_tax"),
        shipping=within(_all_shipping(body, shipping), "shipping_lines"),
        total=money(body.get("total_price"), "total_price"),
        codes=codes_of(
            one.get("code")
            for field in ("discount_codes", "discount_applications")
            for one in rows(body, field)
        ),
    )


def _line(item: Mapping[str, Any], included: bool) -> _Priced:
    count = quantity(item.get("quantity"), "line_items.quantity", default=Decimal(1))
    discount = _allocated(item, "line_items")
    if discount is None:
        discount = money(item.get("total_discount"), "line_items.total_discount", default=_NOTHING)
    after = within(money(item.get("price"), "line_items.price") * count - discount, "line_items.price")
    tax = _tax(item, "line_items")
    line = Line(
        id=id_of(item, "line_items.id"),
        quantity=count,
        amount=within(after - tax, "line_items.price") if included else after,
        tax=tax,
        sku=text_id(item.get("sku")),
        product=text_id(item.get("product_id")),
        categories=_categories(item),
        gift_card=item.get("gift_card") is True,
        ships=item.get("requires_shipping") is not False,
    )
    return _Priced(line, after, discount)


def _categories(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a program may exclude by: type, vendor and tags, where a line has them."""
    tags = item.get("tags")
    told = [item.get("product_type"), item.get("vendor")]
    told += tags.split(",") if isinstance(tags, str) else tags if isinstance(tags, list) else []
    found = (text_id(name) for name in told if isinstance(name, str))
    return tuple(dict.fromkeys(name for name in found if name))


def _allocated(item: Mapping[str, Any], where: str) -> Decimal | None:
    field = f"{where}.discount_allocations.amount"
    allocations = rows(item, "discount_allocations")
    return added(money(one.get("amount"), field) for one in allocations) if allocations else None


def _tax(item: Mapping[str, Any], where: str) -> Decimal:
    field = f"{where}.tax_lines.price"
    return within(
        added(money(tax.get("price"), field, default=_NOTHING) for tax in rows(item, "tax_lines")), field
    )


def _shipping(item: Mapping[str, Any], included: bool) -> tuple[Decimal, Decimal]:
    """Return what one way of shipping costs without tax, and what was discounted on it."""
    price = money(item.get("price"), "shipping_lines.price", default=_NOTHING)
    discount = _allocated(item, "shipping_lines")
    if item.get("discounted_price") is not None:
        after = money(item["discounted_price"], "shipping_lines.discounted_price")
    else:
        after = price - (discount or _NOTHING)
    tax = _tax(item, "shipping_lines") if included else _NOTHING
    return after - tax, price - after


def _all_shipping(body: Mapping[str, Any], shipping: list[tuple[Decimal, Decimal]]) -> Decimal:
    if isinstance(body.get("shipping_lines"), list):
        return added(price for price, _ in shipping)
    told = part(part(body, "total_shipping_price_set"), "shop_money").get("amount")
    return money(told, "total_shipping_price_set.shop_money.amount", default=_NOTHING)


def _discount(body: Mapping[str, Any], after: Decimal, carried: Decimal) -> Decimal:
    """Return the discount of the order as a whole, which no line carries yet."""
    told, subtotal = body.get("total_discounts"), body.get("subtotal_price")
    bounds = []
    if told is not None:
        bounds.append(money(told, "total_discounts") - carried)
    if subtotal is not None:
        bounds.append(after - money(subtotal, "subtotal_price"))
    return max(min(bounds, default=_NOTHING), _NOTHING)


def amount_of(body: Mapping[str, Any], field: str) -> Decimal:
    """Return the amount in a field; zero where the shop sent none."""
    return money(body.get(field), field, default=_NOTHING)


def added(amounts: Iterable[Decimal]) -> Decimal:
    """Return the sum; zero of nothing."""
    return sum(amounts, _NOTHING)
