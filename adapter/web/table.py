"""All routes of the API, noun by noun: what is served, and what is documented."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.web import (
    advice,
    balance_orders,
    balances,
    booking,
    deliveries,
    endpoints,
    enrolling,
    events,
    flags,
    giving,
    members,
    messages,
    programs,
    redeemable,
    redeeming,
    redemptions,
    replays,
    reports,
    tiers,
    transactions,
    vouchers,
)

if TYPE_CHECKING:
    from adapter.web.routing import Route

ROUTES: tuple[Route, ...] = (
    *members.ROUTES,
    *advice.ROUTES,
    *redeemable.ROUTES,
    *tiers.ROUTES,
    *balances.ROUTES,
    *transactions.ROUTES,
    *booking.ROUTES,
    *giving.ROUTES,
    *enrolling.ROUTES,
    *balance_orders.ROUTES,
    *redemptions.ROUTES,
    *redeeming.ROUTES,
    *flags.ROUTES,
    *vouchers.ROUTES,
    *endpoints.ROUTES,
    *messages.ROUTES,
    *deliveries.ROUTES,
    *replays.ROUTES,
    *events.ROUTES,
    *reports.ROUTES,
    *programs.ROUTES,
)
