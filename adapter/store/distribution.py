"""By what each table could be spread over many machines, and by which other keys its rows are found.

On one primary none of this does anything. It is written down so that it stays true: `tests/distribution.py` holds every
statement of the suite against it, and a statement of a way that is gone for every event, redemption, delivery or message
may bind no table by less than one of its keys. An engine that distributes could then take the tables as they are; none was
tried.

Three kinds of tables:

- *small*: what is configured, and rows that there are a handful of. Every machine would have all of them.
- *of a member*: the key begins with (env, member), so all of one member's balances, lots, transfers and tiers lie together,
  and a batch touches as many places as it has members.
- *named*: rows that somebody asks for by a name of their own, mostly an id, before it is known whose they are: orders by
  what their shop calls them, events and messages by their id. They are spread by that name.

`also` are the further keys by which rows are found, each the beginning of an index (`tests/distribution.py` checks that
too). An engine whose indexes are spread by their own columns goes to one place of the index, and from there to the row.
An engine that spreads whole tables by one column, and allows unique keys only with that column in them, would take `env`:
it leads every key, so no statement that the test lets through leaves the environments that it names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spread:
    """By which columns a table is spread; and the other keys that its rows are found by, each with what for."""

    by: Key
    also: Mapping[Key, str] = field(default_factory=dict)

    @property
    def keys(self) -> tuple[Key, ...]:
        return (self.by, *self.also)


MEMBER: Key = ("env", "member")
ID: Key = ("env", "id")
_THEIRS: dict[Key, str] = {MEMBER: "what a member has, for commands that touch one and for reads"}

SMALL: dict[str, str] = {
    "environments": "one row a tenant and mode",
    "configuration": "one row",
    "programs": "a few versions a program",
    "definitions": "a few a program",
    "sources": "one row a shop",
    "dialects": "one row a vendor",
    "api_keys": "a few a tenant",
    "endpoints": "one row a subscriber; written where its health turns, not with every delivery",
    "removals": "one row a table",
    "streams": "one row a stream",
    "replays": "one row for each time that somebody asked for one",
}

SPREAD: dict[str, Spread] = {
    # of a member
    "balances": Spread(MEMBER),
    "transfers": Spread(MEMBER),
    "lots": Spread(MEMBER),
    "allocations": Spread(MEMBER),
    "people": Spread(MEMBER, {("env", "email"): "whose address an order, or a caller, names: one row"}),
    "advices": Spread(MEMBER),
    "memberships": Spread(MEMBER),
    "standings": Spread(MEMBER),
    "tier_changes": Spread(MEMBER),
    "measures": Spread(MEMBER),
    "bonuses": Spread(MEMBER),
    "members": Spread(
        ID, {("env", "merged_into"): "who else a member was: a few rows, and none where nobody was merged"}
    ),
    # named
    "identities": Spread(
        ("env", "source", "customer"),
        {MEMBER: "what shops call a member"},
    ),
    "events": Spread(
        ID,
        {
            ("env", "source", "key"): "whether a webhook came before: one row, in the unique index",
            ("env", "order_source", "order_ref"): "what is told of one order",
            MEMBER: "what of a person there is to erase",
        },
    ),
    "orders": Spread(
        ("env", "source", "ref"),
        {
            MEMBER: "whose points time moves, and a member's first order",
            ("env", "email"): "parked orders of a guest who becomes a member: none mostly",
            ("env", "source", "customer"): "parked orders of a customer who becomes a member: none mostly",
        },
    ),
    "order_links": Spread(("env", "kind", "name")),
    "transactions": Spread(
        ID,
        {
            MEMBER: "a member's pending ones, and what counts for limits",
            ("env", "redemption"): "the debit of a redemption: one row",
            ("env", "reverses"): "whether it was undone: one row",
        },
    ),
    "transaction_metadata": Spread(("env", "name", "value")),
    "balance_orders": Spread(ID, {("env", "transaction"): "whose transaction it is: one row", **_THEIRS}),
    "redemptions": Spread(
        ID,
        {
            ("env", "code"): "the one that an order's discount code names: one row",
            ("env", "payment"): "the one that a payment names",
            ("env", "order_source", "order_ref"): "those of one order",
            **_THEIRS,
        },
    ),
    "vouchers": Spread(
        ID,
        {
            ("env", "code"): "the one that an order's discount code names: one row",
            ("env", "hold"): "the ones that one payment is about to use",
            **_THEIRS,
        },
    ),
    "messages": Spread(ID, _THEIRS),
    "deliveries": Spread(
        ID,
        {
            ("env", "endpoint"): "what is due for an endpoint: a range of the index of what is due",
            ("env", "message"): "a message's deliveries",
        },
    ),
    "attempts": Spread(("env", "delivery")),
    "replay_items": Spread(("env", "replay")),
    "publications": Spread(("env", "message"), {("env",): "what the broker does not have yet: next to none"}),
    "idempotency_keys": Spread(("env", "key")),
    "sessions": Spread(("env", "name")),
}
