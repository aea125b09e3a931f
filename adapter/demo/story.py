"""The story: what is posted, what it must lead to, and how it ends."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adapter.cli.listening import HEARD
from adapter.demo import payloads
from adapter.demo.stage import ANSWER_WITHIN_S, OffScript

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from adapter.cli.listening import Heard
    from adapter.demo.stage import Stage
    from adapter.demo.telling import Teller

MINUTE = 60
OK = 200
HOUR = 60 * MINUTE


@dataclass(frozen=True, slots=True)
class Step:
    """One webhook, and what must come of it: the answer's status and the state of the event."""

    title: str
    source: str
    topic: str | None
    payload: Mapping[str, Any]
    status: int = 200
    state: str | None = "applied"
    duplicate: bool = False
    forged: bool = False
    changes: tuple[
        tuple[str, int], ...
    ] = ()  # (account, by how much), in the order of the transfers' accounts
    moral: str = ""


def steps(now: int) -> Iterator[Step]:
    """Give the steps of the story; `now` is in seconds since 1970."""
    yield from _one_order(now)
    yield from _sent_back(now)
    yield from _out_of_order(now)
    yield _forged(now)
    yield from _other_shops(now)


def _one_order(now: int) -> Iterator[Step]:
    at = now - 6 * HOUR
    placed = payloads.shopify_order(1001, placed=at, updated=at)
    paid = payloads.shopify_order(1001, placed=at, updated=at + HOUR, paid=True)
    shipped = payloads.shopify_order(1001, placed=at, updated=at + 2 * HOUR, paid=True, shipped=True)
    yield Step(
        "Ada orders for 89.99", "shop", "orders/create", placed, changes=(("pending", 89),),
        moral="1 point per 1.00, rounded down, when the order has shipped: so far they are pending.",
    )  # fmt: skip
    yield Step(
        "She pays", "shop", "orders/paid", paid,
        moral="A fact, kept; no points move by it in this program.",
    )  # fmt: skip
    yield Step(
        "The order ships", "shop", "orders/fulfilled", shipped, changes=(("available", 89), ("pending", -89)),
        moral="What was pending is hers to spend.",
    )  # fmt: skip


def _sent_back(now: int) -> Iterator[Step]:
    refund = payloads.shopify_refund(801, 1001, 2, "30.00", at=now - 2 * HOUR)
    yield Step(
        "The cups go back: 30.00 refunded", "shop", "refunds/create", refund, changes=(("available", -30),),
        moral="floor(89 * 59.99 / 89.99) = 59 points are kept, 30 are taken back.",
    )  # fmt: skip
    yield Step(
        "The same webhook comes again", "shop", "refunds/create", refund, duplicate=True,
        moral="It is recognized: nothing happens twice.",
    )  # fmt: skip


def _forged(now: int) -> Step:
    gold = payloads.shopify_order(1666, (("Gold", "99999.00"),), placed=now, updated=now, shipped=True)
    return Step(
        "Somebody forges an order for 99999.00", "shop", "orders/create", gold, 401, None, forged=True,
        moral="The signature does not match: refused, and nothing is stored.",
    )  # fmt: skip


def _out_of_order(now: int) -> Iterator[Step]:
    early = payloads.shopify_refund(802, 1002, 2, "20.00", at=now - HOUR)
    yield Step(
        "A refund arrives before its order",
        "shop",
        "refunds/create",
        early,
        state="parked",
        moral="The fact waits until the order is known.",
    )
    goods = (("Table", "100.00"), ("Cloth", "20.00"))
    late = payloads.shopify_order(
        1002, goods, placed=now - 5 * HOUR, updated=now - 4 * HOUR, paid=True, shipped=True
    )
    yield Step(
        "Now the order itself arrives: 120.00, shipped",
        "shop",
        "orders/create",
        late,
        changes=(("available", 100),),
        moral="120 points for the order, of which the refund that was here first leaves 100.",
    )


def _other_shops(now: int) -> Iterator[Step]:
    woo = payloads.woocommerce_order(501, "40.00", placed=now - 3 * HOUR, completed=now - 2 * HOUR)
    yield Step(
        "In the WooCommerce shop she buys for 40.00",
        "woo",
        "order.created",
        woo,
        changes=(("available", 40),),
        moral="The same e-mail address, so the same member.",
    )
    paid = payloads.stripe_payment(901, 2550, at=now - 30 * MINUTE)
    yield Step(
        "She pays 25.50 by a Stripe link",
        "pay",
        None,
        paid,
        changes=(("available", 51),),
        moral="Another program: 2 points per 1.00, as soon as it is paid.",
    )


MEMBER = "shop:7000"
PROGRAM = {"shop": "main", "woo": "main", "pay": "direct"}


def perform(stage: Stage, teller: Teller, now: int) -> None:
    """Play the whole story. Raises `OffScript` as soon as something is not as it must be."""
    teller.opening(stage)
    for number, step in enumerate(steps(now), 1):
        play(stage, teller, number, step)
    messages = {heard.id for heard in stage.healthy.heard}
    teller.chapter("The second endpoint answered 500 all the while")
    dead = _dead_letters(stage, len(messages))
    teller.note(
        f"Its schedule [0, 1] is used up: {len(dead)} dead letters, {dead[0]['attempt_count']} attempts each."
    )
    look = ("deliveries", "list", "--state", "dead", "--limit", "3")
    teller.shell(" ".join(look), stage.command(*look))
    stage.broken.fail = 0
    teller.note("It is repaired. What it missed is sent again, with the same bytes and the same webhook-id:")
    teller.shell("deliveries replay --state dead", stage.command("deliveries", "replay", "--state", "dead"))
    _heard_all(stage, messages)
    teller.note(f"It heard all {len(messages)} messages now, every one of them verified ✓")
    teller.chapter("Why does Ada have these points?")
    question = ("members", "explain", MEMBER, "--program", "main")
    teller.shell(" ".join(question), stage.command(*question))
    teller.chapter("Is the book right?")
    teller.shell("audit", stage.command("audit"))


def play(stage: Stage, teller: Teller, number: int, step: Step) -> None:
    """Post one webhook, check what came of it, and tell it."""
    answer = stage.post(step.source, step.topic, step.payload, forged=step.forged)
    told = answer.json()
    _expect(f"step {number}, status", answer.status_code, step.status)
    if step.status == OK:
        _expect(f"step {number}, state", (told["status"], told["duplicate"]), (step.state, step.duplicate))
    lines = [] if step.duplicate or step.forged else _transfers(stage, step, told["event"])
    _expect(f"step {number}, changes", _changes(lines), step.changes)
    heard = _heard(stage, told.get("event"), {line["sequence"] for line in lines})
    balances = stage.get(f"/v1/members/{MEMBER}/balance", program=PROGRAM[step.source])
    teller.step(number, step, answer.status_code, told)
    teller.effects(lines, balances, heard)
    teller.moral(step.moral)


def _transfers(stage: Stage, step: Step, event: str) -> list[dict[str, Any]]:
    """Return the transfers that an event caused."""
    path = f"/v1/members/{MEMBER}/statement"
    lines = stage.get(path, program=PROGRAM[step.source], limit=200)["data"]
    return [line for line in lines if line["event"] == event]


def _changes(lines: list[dict[str, Any]]) -> tuple[tuple[str, int], ...]:
    """Return by how much each of the member's accounts changed, sorted by name."""
    total: dict[str, int] = {}
    for line in lines:
        for account, amount in ((line["from"], -line["amount"]), (line["to"], line["amount"])):
            if account in ("pending", "available", "reserved", "owed"):
                total[account] = total.get(account, 0) + amount
    return tuple(sorted((account, amount) for account, amount in total.items() if amount))


def _heard(stage: Stage, event: str | None, sequences: set[int]) -> list[Heard]:
    """Wait until the healthy receiver heard of each change of an event, and return what it heard."""

    def about(heard: list[Heard]) -> list[Heard]:
        return [one for one in heard if (one.data.get("cause") or {}).get("event") == event]

    def enough(heard: list[Heard]) -> bool:
        return sequences <= {one.data["sequence"] for one in about(heard)}

    if sequences and not stage.healthy.wait_for(enough, ANSWER_WITHIN_S):
        raise OffScript(f"the receiver did not hear of sequences {sorted(sequences)} in time")
    found = about(stage.healthy.heard) if sequences else []
    _expect("signatures", {one.verified for one in found} - {True}, set())
    return found


def _dead_letters(stage: Stage, count: int) -> list[dict[str, Any]]:
    """Wait until everything that the broken endpoint was sent is a dead letter."""
    found: list[dict[str, Any]] = []

    def all_dead() -> bool:
        found[:] = stage.get("/v1/deliveries", state="dead", limit=200)["data"]
        return len(found) == count

    wait_until(all_dead, f"{count} dead letters")
    return found


def _heard_all(stage: Stage, messages: set[str]) -> None:
    def heard() -> bool:
        return messages == {one.id for one in stage.broken.heard if one.answered == HEARD and one.verified}

    wait_until(heard, "the repaired endpoint hears everything")


def wait_until(true: Callable[[], bool], what: str, *, within_s: float = ANSWER_WITHIN_S) -> None:
    """Look again and again until it is true. Raises `OffScript` when the time is over."""
    until = time.monotonic() + within_s
    while not true():
        if time.monotonic() > until:
            raise OffScript(f"not in time: {what}")
        time.sleep(0.05)


def _expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise OffScript(f"{what}: expected {wanted}, found {found}")
