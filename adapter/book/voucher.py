"""A voucher: what a member may use once, by its code. By hand, or because of an occasion that a rule names."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapter.clock import Millis


class VoucherState(StrEnum):
    """Where a voucher stands."""

    ACTIVE = "active"  #: can be used
    REDEEMED = "redeemed"  #: was used
    REVOKED = "revoked"  #: taken back before it was used
    EXPIRED = "expired"  #: not used before its end


@dataclass(slots=True)
class Voucher:
    """One voucher. Worth an item or discount of the catalogue, an amount of money, or a percentage."""

    env: int
    id: int
    member: int
    program: str
    code: str  # upper-case
    state: str
    attributed_at: Millis
    updated_at: Millis
    rule: str | None = None  # of the program; null: by hand
    occasion: str | None = None  # what a rule attributed it for; one voucher for each
    reward: str | None = None
    value: int | None = None  # in the currency's smallest units
    currency: str | None = None
    percent: str | None = None  # decimal
    reason: str | None = None
    order_source: str | None = None  # the order that used it
    order_ref: str | None = None
    linked: str | None = None  # JSON of book.linking: what each order that uses it says
    withdrawn: int = 0  # 1: its occasion is no more
    decided: int = 0  # 1: the API moved it, and nothing else does any more
    expires_at: Millis | None = None  # an active one is over from this instant on
    redeemed_at: Millis | None = None
    revoked_at: Millis | None = None
    expired_at: Millis | None = None
    remind_at: Millis | None = None  # when the member is reminded of its end next

    metadata: str | None = None  # JSON: an object of strings
    worth: str | None = None  # decimal: what somebody says its reward is worth
    valid_from: Millis | None = None  # it cannot be used before
    hold: int | None = None  # of whoever was about to use it last
    held_at: Millis | None = None
    held_until: Millis | None = None  # nobody else can use it before

    def held(self, now: Millis) -> bool:
        """Return whether somebody is about to use it."""
        return self.held_until is not None and now < self.held_until

    def state_at(self, now: Millis) -> str:
        """Return its state: past its end it has expired, whether or not that is written yet."""
        over = self.expires_at is not None and self.expires_at <= now
        return VoucherState.EXPIRED if over and self.state == VoucherState.ACTIVE else self.state
