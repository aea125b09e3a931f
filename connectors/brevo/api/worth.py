"""What a voucher is worth, in Brevo's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapter import ids as our_ids
from adapter.clock import iso
from adapter.points import points
from adapter.program.worth import EXPONENTS
from connectors.brevo import ids
from connectors.brevo.api.meta import shown

if TYPE_CHECKING:
    from adapter.book.voucher import Voucher
    from connectors.brevo.api.meta import Meta
    from connectors.brevo.api.shown import Programmed

PERCENT = "PERCENT"


@dataclass(frozen=True, slots=True)
class Worth:
    """What every answer about a voucher says of it."""

    id: str
    reward_id: str | None
    value: float | None
    unit: str | None
    meta: Meta
    expiration_date: str | None
    valid_from: str | None


def worth_of(meant: Programmed, voucher: Voucher) -> Worth:
    """Return what a voucher is worth: by itself, else as its reward says."""
    value, unit = _value(meant, voucher)
    return Worth(
        our_ids.show("vou", voucher.id),
        None if voucher.reward is None else ids.reward_id(meant.env, meant.program.name, voucher.reward),
        value,
        unit,
        shown(voucher.metadata),
        None if voucher.expires_at is None else iso(voucher.expires_at),
        None if voucher.valid_from is None else iso(voucher.valid_from),
    )


def _value(meant: Programmed, voucher: Voucher) -> tuple[float | None, str | None]:
    if voucher.percent is not None:
        return float(voucher.percent), PERCENT
    if voucher.value is not None and voucher.currency is not None:
        return float(points(voucher.value, EXPONENTS[voucher.currency])), voucher.currency
    reward = meant.program.reward(voucher.reward or "")
    unit = None if reward is None else reward.currency
    if voucher.worth is not None:
        return float(voucher.worth), unit
    said = None if reward is None else reward.value
    return None if said is None else float(said), unit
