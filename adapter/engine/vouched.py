"""Audit's part about vouchers: each agrees with its own history, with the orders that use it, and with its rule.

What a rule says is held against a voucher only where it always said the same, and only of members into whom nobody was
merged: a merge adds up what each of the two had.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select, text, tuple_

from adapter import ids
from adapter.book import facts as order_facts
from adapter.book.links import links_of_order, read_linked, says_of
from adapter.book.state import OrderState
from adapter.book.voucher import Voucher, VoucherState
from adapter.store import tables as t
from adapter.store.bulk import select_by_keys
from adapter.store.rows import VOUCHER_COLUMNS, columns_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from adapter.book.working import OrderKey
    from adapter.catalog import Catalog
    from adapter.program.vouchers import VoucherRule

CHUNK = 500
_MOMENTS = {
    VoucherState.REDEEMED: "redeemed_at",
    VoucherState.REVOKED: "revoked_at",
    VoucherState.EXPIRED: "expired_at",
}
Rules = dict[tuple[int, str, str], "VoucherRule | None"]
"""By environment, program and name; None: not every version says the same of it."""


def check_vouchers(connection: Connection, catalog: Catalog) -> Iterator[str]:
    """Yield every violation as one line."""
    rules = _rules(catalog)
    key = (t.vouchers.c.env, t.vouchers.c.id)
    query = select(*columns_of(t.vouchers, VOUCHER_COLUMNS)).order_by(*key).limit(CHUNK)
    chunk: list[Voucher] = []
    while True:
        rest = query.where(tuple_(*key) > (chunk[-1].env, chunk[-1].id)) if chunk else query
        chunk = [Voucher(*row) for row in connection.execute(rest)]
        if not chunk:
            break
        yield from _check_chunk(connection, catalog, chunk, rules)
    yield from _check_limits(connection, rules)
    for columns, what in (("env, code", "code"), ("env, member, program, rule, occasion", "occasion")):
        twice = (
            f"SELECT {columns} FROM vouchers WHERE {what} IS NOT NULL GROUP BY {columns} HAVING count(*) > 1"  # noqa: S608 - names of ours
        )
        for row in connection.execute(text(twice)):
            yield f"{what} {row[-1]} (environment {row[0]}): more than one voucher has it"


def _rules(catalog: Catalog) -> Rules:
    rules: Rules = {}
    for (env, program), versions in catalog.programs.items():
        for rule in (rule for version in versions for rule in version.program.voucher_rules):
            key = (env, program, rule.name)
            rules[key] = rule if rules.get(key, rule) == rule else None
    return rules


def _check_chunk(
    connection: Connection, catalog: Catalog, chunk: Sequence[Voucher], rules: Rules
) -> Iterator[str]:
    naming: dict[tuple[int, str], set[OrderKey]] = defaultdict(set)
    codes = {(one.env, "code", one.code) for one in chunk}
    for row in select_by_keys(connection, t.order_links, ("env", "kind", "name"), codes):
        naming[row.env, row.name].add((row.env, row.source, row.ref))
    heard = {(one.env, said.source, said.ref) for one in chunk for said in read_linked(one.linked)}
    causes = {(one.env, *cause) for one in chunk if (cause := _cause(one)) is not None}
    wanted = heard.union(causes, *naming.values())
    orders = {
        (row.env, row.source, row.ref): row
        for row in select_by_keys(connection, t.orders, ("env", "source", "ref"), wanted)
    }
    held = _Held(connection, catalog, chunk)
    for one in chunk:
        name = f"voucher {ids.show('vou', one.id)} (environment {one.env})"
        rule = rules.get((one.env, one.program, one.rule or ""))
        for violation in (
            *_check_history(one),
            *_check_orders(one, naming[one.env, one.code], orders),
            *(() if rule is None else _check_rule(one, rule, orders, held)),
        ):
            yield f"{name}: {violation}"


def _check_history(one: Voucher) -> Iterator[str]:
    for state, moment in _MOMENTS.items():
        if (getattr(one, moment) is not None) != (one.state == state):
            yield f"is {one.state}, and its {moment} is {getattr(one, moment)}"
    over = one.expires_at is not None and one.expires_at <= (one.expired_at or 0)
    if one.state == VoucherState.EXPIRED and not over:
        yield f"has expired at {one.expired_at}, and ends at {one.expires_at}"
    if one.decided:
        return
    used = any(said.says != "cancelled" for said in read_linked(one.linked))
    if (one.state == VoucherState.REDEEMED) != used:
        yield f"is {one.state}, and {'an order uses it' if used else 'no order uses it'}"
    elif not used and (one.state == VoucherState.REVOKED) != bool(one.withdrawn):
        yield f"is {one.state}, and its occasion {'is no more' if one.withdrawn else 'was not taken back'}"


def _check_orders(one: Voucher, naming: set[OrderKey], orders: Mapping[OrderKey, Any]) -> Iterator[str]:
    """Compare what it heard of orders with what they say, and whether they use it at all."""
    heard = {(one.env, said.source, said.ref): said.says for said in read_linked(one.linked)}
    for key in sorted(heard.keys() | naming):
        row = orders.get(key)
        facts = order_facts.NO_FACTS if row is None else order_facts.load(row.facts)
        uses = (one.env, "code", one.code) in set(links_of_order(key, facts))
        says = says_of(facts, key[1]) if uses else "nothing"
        if heard.get(key, "nothing") != says:
            yield f"has heard {heard.get(key, 'nothing')} of order {key[1]}:{key[2]}, which says {says}"
    first = next((said for said in read_linked(one.linked) if said.says != "cancelled"), None)
    used_by = (None, None) if first is None else (first.source, first.ref)
    if not one.decided and used_by != (one.order_source, one.order_ref):
        yield f"names the order {one.order_source}:{one.order_ref}, and is used by {used_by[0]}:{used_by[1]}"


class _Held:
    """What the members of some vouchers have: points of a lifetime, tiers, and whether somebody is merged into them."""

    def __init__(self, connection: Connection, catalog: Catalog, chunk: Sequence[Voucher]) -> None:
        members = {(one.env, one.member) for one in chunk if one.rule is not None}
        definitions = {
            (env, catalog.definition_of(env, name).id): (name, catalog.definition_of(env, name).decimals)
            for env, name in catalog.programs
        }
        self.earned = {
            (row.env, row.member, definitions[row.env, row.definition][0]): row.earned
            // 10 ** definitions[row.env, row.definition][1]
            for row in select_by_keys(connection, t.balances, ("env", "member"), members)
            if (row.env, row.definition) in definitions
        }
        self.tiers = {
            (row.env, row.member, row.program, row.tier_group): row.tier
            for row in select_by_keys(connection, t.standings, ("env", "member"), members)
        }
        merged = select_by_keys(connection, t.members, ("env", "merged_into"), members)
        self.merged = {(row.env, row.merged_into) for row in merged}


def _cause(one: Voucher) -> tuple[str, str] | None:
    """Return the order that gave occasion to a voucher."""
    kind, _, order = (one.occasion or "").partition(":")
    source, _, ref = order.partition(":")
    return (source, ref) if kind == "order" else None


def _check_rule(
    one: Voucher, rule: VoucherRule, orders: Mapping[OrderKey, Any], held: _Held
) -> Iterator[str]:
    """Compare what it is worth with its rule, and whether its occasion is there still where it has to be."""
    percent = None if rule.percent is None else f"{rule.percent.normalize():f}"
    worth = (rule.reward, rule.units, rule.currency, percent)
    if (one.reward, one.value, one.currency, one.percent) != worth:
        yield f"is not worth what its rule {rule.name} says"
    if (one.env, one.member) in held.merged:
        return
    kind, _, what = (one.occasion or "").partition(":")
    stays = rule.revocable and not one.withdrawn and not one.decided and one.state != VoucherState.EXPIRED
    if kind == "points":
        earned = held.earned.get((one.env, one.member, one.program), 0)
        if int(what) % (rule.every_points or 1) or (stays and earned < int(what)):
            yield f"is for {what} points, one for each {rule.every_points}, and its member earned {earned}"
    elif kind == "tier":
        group, _, tier = what.rpartition(":")
        here = held.tiers.get((one.env, one.member, one.program, group))
        if tier != rule.tier or (stays and here != tier):
            yield f"is for the tier {tier} of {group}, and its member is {here}"
    elif kind == "order":
        order = orders.get((one.env, *(_cause(one) or ("", ""))))
        there = order is not None and order.member == one.member and order.state == OrderState.POSTED
        if order is None or (stays and not there):
            yield f"is for the order {what}, which {'is not there' if order is None else 'is not completed'}"


def _check_limits(connection: Connection, rules: Rules) -> Iterator[str]:
    v, m = t.vouchers.c, t.members.c
    survivors = select(m.env, m.merged_into).where(m.merged_into.is_not(None))
    counted = (
        select(v.env, v.program, v.rule, v.member, func.count())
        .where(v.rule.is_not(None), v.state != VoucherState.REVOKED, v.withdrawn == 0)
        .where(tuple_(v.env, v.member).not_in(survivors))
        .group_by(v.env, v.program, v.rule, v.member)
    )
    limits = {key: rule.limit_per_member for key, rule in rules.items() if rule is not None}
    for env, program, name, member, number in connection.execute(counted):
        limit = limits.get((env, program, name))
        if limit is not None and number > limit:
            whose = f"member {ids.show('mem', member)} (environment {env})"
            yield f"{whose}: has {number} vouchers of the rule {name}, which gives {limit}"
