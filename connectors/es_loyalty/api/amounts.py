"""The eleven figures of an account, as ES Loyalty has them: points and dollars, held or not, redeemable or not.

pointsBalance, dollarBalance (= balance)          all posted points, those under a hold as well
availablePointsBalance, availableDollarBalance    without those
redeemablePointBalance, redeemableDollarBalance   whole increments, within what is left of the day
userMin…, userMax…                                the least and the most of one redemption in this session
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from adapter.points import points
from adapter.program.redeeming import NONE, Span, money_text
from adapter.web.dialects import Answered, definition_of, number, options_of
from adapter.web.redeemable import redeemable_of
from connectors.es_loyalty.vendor import NAME, EsLoyaltyOptions

if TYPE_CHECKING:
    from adapter.web.routing import Call


class BalanceShown(Answered):
    """The figures, all of them numbers."""

    balance: Decimal
    points_balance: Decimal
    dollar_balance: Decimal
    available_points_balance: Decimal
    available_dollar_balance: Decimal
    user_min_redeem_points: Decimal
    user_max_redeem_points: Decimal
    user_min_redeem_dollars: Decimal
    user_max_redeem_dollars: Decimal
    redeemable_point_balance: Decimal
    redeemable_dollar_balance: Decimal


def amounts_of(call: Call, member: int, *, redeems: bool) -> dict[str, Any]:
    """Return the figures of a member as of now; where the session must not redeem, nothing is redeemable."""
    definition = definition_of(call, NAME)
    found = redeemable_of(call, member, definition)
    rules, unit = found.now.rules, options_of(call, NAME, EsLoyaltyOptions).dollar_rounding_unit

    def counted(span: Span) -> Any:
        return number(points(span.points, definition.decimals))

    def dollars(money: Decimal) -> Any:
        return number(money_text(money, rules))

    def rounded(money: Decimal) -> Any:
        return dollars(money if unit is None else money - money % unit)

    least, most, good = (found.least, found.most, found.redeemable) if redeems else (NONE, NONE, NONE)
    return {
        "balance": rounded(found.balance.money),
        "pointsBalance": counted(found.balance),
        "dollarBalance": rounded(found.balance.money),
        "availablePointsBalance": counted(found.available),
        "availableDollarBalance": rounded(found.available.money),
        "userMinRedeemPoints": counted(least),
        "userMaxRedeemPoints": counted(most),
        "userMinRedeemDollars": dollars(least.money),
        "userMaxRedeemDollars": dollars(most.money),
        "redeemablePointBalance": counted(good),
        "redeemableDollarBalance": dollars(good.money),
    }
