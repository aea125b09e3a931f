"""Why an order earns nothing, or less than someone expects: a code for machines and a sentence for people.

Every order that holds no points has exactly one of these, so that "why no points?" always has an answer.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The stable codes; `orders.reason` and `events.reason` hold them."""

    TOTALS_UNKNOWN = "totals_unknown"
    UNKNOWN_MEMBER = "unknown_member"
    NOT_ENROLLED = "not_enrolled"
    TEST_ORDER = "test_order"
    CANCELLED = "cancelled"
    PROGRAM_NOT_PUBLISHED = "program_not_published"
    PROGRAM_PAUSED = "program_paused"
    PROGRAM_ENDED = "program_ended"
    NO_RULE = "no_rule"
    NO_RULE_APPLIES = "no_rule_applies"
    NO_RATE_FOR_CURRENCY = "no_rate_for_currency"
    NOTHING_COUNTS = "nothing_counts"
    BELOW_MINIMUM = "below_minimum"
    ROUNDS_TO_ZERO = "rounds_to_zero"
    FULLY_REFUNDED = "fully_refunded"
    CAPPED = "capped"
    WINDOW_CAPPED = "window_capped"
    REFUND_CURRENCY = "refund_currency"


SENTENCES: dict[str, str] = {
    Reason.TOTALS_UNKNOWN: "The order itself has not arrived yet; what is known of it waits.",
    Reason.UNKNOWN_MEMBER: "The customer is a guest; the order waits until a customer id is known for it.",
    Reason.NOT_ENROLLED: "The customer is not a member, and the program does not enrol by itself.",
    Reason.TEST_ORDER: "The shop marked the order as a test, and this environment is live.",
    Reason.CANCELLED: "The order was cancelled.",
    Reason.PROGRAM_NOT_PUBLISHED: "The program was not published yet, or had not begun, when the order was placed.",
    Reason.PROGRAM_PAUSED: "The program was paused when the order was placed.",
    Reason.PROGRAM_ENDED: "The program had ended when the order was placed.",
    Reason.NO_RULE: "The program had no earning rule when the order was placed: its rate is 0.",
    Reason.NO_RULE_APPLIES: "No rule of the program is for this order: for its day, its currency or its lines.",
    Reason.NO_RATE_FOR_CURRENCY: "The program has no rate for the order's currency.",
    Reason.NOTHING_COUNTS: "Nothing in the order counts: its lines are free, excluded or gift cards.",
    Reason.BELOW_MINIMUM: "What counts of the order is below the program's minimum, or its rule's.",
    Reason.ROUNDS_TO_ZERO: "What counts of the order is worth less than one point.",
    Reason.FULLY_REFUNDED: "Everything that counted was refunded.",
    Reason.CAPPED: "The order earned more than the cap for one order and was cut to it.",
    Reason.WINDOW_CAPPED: "The member's orders had earned all, or nearly all, that the program gives in such a time.",
    Reason.REFUND_CURRENCY: "A refund is in another currency than its order and is set aside for a person to look at.",
}
