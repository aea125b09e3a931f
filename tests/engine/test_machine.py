"""Everything that can happen to a book, at random and in any order, with crashes between the commits and the clock going on.

After each commit the audit looks at every row; in the end the book is made anew from what was stored, and compared.
`LOYALTY_MACHINE_RUNS=2000 python -m pytest tests/engine/test_machine.py` is the longer run;
`LOYALTY_MACHINE_SHRINKS=1` makes what it finds as short as it can.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import Engine, select

from adapter.commands import (
    AttributeVoucher,
    BeginPayment,
    BeginRedemption,
    EndPayment,
    MoveRedemption,
    MoveVoucher,
    Once,
    PlaceOrder,
    ReverseTransaction,
)
from adapter.engine.audit import audit
from adapter.engine.batch import Batcher
from adapter.engine.rebuild import rebuild
from adapter.engine.sweep import due_balances, due_members, due_vouchers
from adapter.events import Event, EventType, PaymentState
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.database import open_database
from tests.shop import (
    DAY,
    NOW,
    begin,
    cancelled,
    configure,
    customer,
    end,
    enrol,
    line,
    merge,
    numbered,
    paid,
    placed,
    play,
    read_numbered,
    refunded,
    shipped,
    totals,
    transfer,
    turn,
)

if TYPE_CHECKING:
    from adapter.commands import ApiCommand, Command

RUNS = int(os.environ.get("LOYALTY_MACHINE_RUNS", "60"))
STEPS = 60
PHASES = tuple(Phase) if "LOYALTY_MACHINE_SHRINKS" in os.environ else (Phase.explicit, Phase.generate)

MAIN = Program.model_validate(
    {
        "name": "main",
        "earning": {
            "rate": "1",
            "award_on": "payment.completed",
            "hold_days": 1,
            "tier_multipliers": {"gold": "2"},
        },
        "bonuses": {"sign_up": 7},
        "tier_groups": [
            {
                "name": "status",
                "measure": "lifetime_points",
                "downgrade": "real_time",
                "tiers": [{"name": "basic", "threshold": "0"}, {"name": "gold", "threshold": "150"}],
            }
        ],
        "expiry": {"days": 20, "inactive_days": 15},
        "reminders": {"days_before": [3]},
        "voucher_rules": [
            {"name": "welcome", "when": "enrolled", "value": "1.00", "currency": "EUR", "valid_days": 9},
            {"name": "gold", "when": "tier_reached", "tier": "gold", "percent": "10", "revocable": True},
            {
                "name": "sixty",
                "when": "points_earned",
                "every_points": 60,
                "reward": "bag",
                "revocable": True,
            },
            {"name": "thanks", "when": "order_completed", "minimum": "40.00", "percent": "5"},
        ],
        "redeeming": {"currency": "EUR", "return_on_refund": "proportional"},
        "rewards": [
            {"id": "off", "kind": "discount", "cost": 20, "value": "5.00", "currency": "EUR"},
            {"id": "bag", "kind": "item", "cost": 15},
        ],
    }
)

CUSTOMERS = st.sampled_from(["7000", "7001", "7002"])
ORDERS = st.integers(1, 9).map(str)
POINTS = st.integers(1, 80)
LATER = st.booleans()


class Book(RuleBasedStateMachine):
    """One shop with a few customers; commands wait until something commits them together."""

    def __init__(self) -> None:
        super().__init__()
        self.engine: Engine = open_database("sqlite://")
        t.metadata.create_all(self.engine)
        configure(self.engine, MAIN)
        self.now = NOW
        self.waiting: list[Command] = []
        self.payments: list[int] = []
        self.count = 0
        self.checked = True

    @initialize()
    def two_are_members(self) -> None:
        for number in ("7000", "7001"):
            self.happen(customer(number, at=NOW - 20 * DAY))
        self.commit("calm")
        for member in self.members():
            self.ask(begin(member, 10_000 + self.count, "credit", 100, complete=True))

    # --- what happens ---------------------------------------------------------------------------------------------

    def happen(self, *events: Event) -> None:
        """Take in a webhook with these events; no two are the same webhook."""
        self.count += 1
        self.waiting.append(numbered(self.count, events, self.now))

    def ask(self, command: ApiCommand) -> None:
        """Ask for a command, each under an Idempotency-Key of its own."""
        self.count += 1
        key = sha256(str(self.count).encode()).digest()
        once = Once(key=key, request=key, ends_at=self.now + 400 * DAY)
        self.waiting.append(msgspec.structs.replace(command, once=once, received_at=self.now))

    @rule(fate=st.sampled_from(["calm", "calm", "crash before", "crash after"]))
    def commit(self, fate: str) -> None:
        """Commit what waits, in one batch. After a crash everybody sends again what was not answered."""
        commands, self.waiting = self.waiting, []
        if fate == "crash before":
            with self.engine.connect().execution_options(writer=True) as connection:
                connection.begin()
                Batcher(lambda: self.now)(connection, commands)
                connection.rollback()
        outcomes = play(self.engine, commands, now=self.now, sizes=[len(commands) or 1])
        if fate == "crash after":
            before = self.everything()
            done = [one for one, outcome in zip(commands, outcomes, strict=True) if outcome.error is None]
            play(
                self.engine, done, now=self.now, sizes=[len(done) or 1]
            )  # what was refused may succeed by now
            assert self.everything() == before, "what was sent again had an effect again"
        self.checked = False

    def everything(self) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [
                tuple(row) for table in (t.transfers, t.messages) for row in connection.execute(select(table))
            ]

    def members(self) -> list[int]:
        query = select(t.members.c.id).order_by(t.members.c.id)
        with self.engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def some(self, table: Any, which: int) -> Any:
        """Return one row of a table, or None where it is empty."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(table).order_by(table.c.id)).all()
        return rows[which % len(rows)] if rows else None

    # --- the shop -------------------------------------------------------------------------------------------------

    @rule(order=ORDERS, who=CUSTOMERS, amount=POINTS, paid_days_ago=st.none() | st.integers(0, 3))
    def an_order_is_placed(self, order: str, who: str, amount: int, paid_days_ago: int | None) -> None:
        at = self.now - (paid_days_ago or 0) * DAY
        what = placed(order, line(amount=f"{amount}.00"), customer=who, at=at, version=self.now)
        self.happen(what, *(() if paid_days_ago is None else (paid(order, at=at),)))

    @rule(order=ORDERS, part=st.none() | POINTS, payment=st.sampled_from(["p1", "p2"]))
    def an_order_is_paid(self, order: str, part: int | None, payment: str) -> None:
        amount = None if part is None else f"{part}.00"
        self.happen(paid(order, payment, at=self.now, amount=amount))

    @rule(order=ORDERS)
    def an_order_is_shipped(self, order: str) -> None:
        self.happen(shipped(order, at=self.now))

    @rule(order=ORDERS, refund=st.integers(1, 4), amount=POINTS)
    def an_order_is_refunded(self, order: str, refund: int, amount: int) -> None:
        self.happen(refunded(order, f"r{refund}", f"{amount}.00", at=self.now))

    @rule(order=ORDERS)
    def an_order_is_cancelled(self, order: str) -> None:
        self.happen(cancelled(order, at=self.now))

    @rule(who=CUSTOMERS, what=st.sampled_from([EventType.CUSTOMER_UPDATED, EventType.CUSTOMER_REDACTED]))
    def a_customer_changes_or_goes(self, who: str, what: EventType) -> None:
        self.happen(customer(who, type=what, at=self.now))

    # --- the API --------------------------------------------------------------------------------------------------

    @rule(
        which=st.integers(0, 5),
        kind=st.sampled_from(["credit", "debit"]),
        amount=POINTS,
        complete=st.booleans(),
        days=st.none() | st.integers(1, 5),
    )
    def a_transaction_begins(
        self, which: int, kind: str, amount: int, *, complete: bool, days: int | None
    ) -> None:
        members = self.members()
        deadline = None if days is None else self.now + days * DAY
        command = begin(
            members[which % len(members)],
            10_000 + self.count,
            kind,
            amount,
            complete=complete,
            deadline=deadline,
        )
        self.ask(msgspec.structs.replace(command, occurred_at=self.now))

    @rule(which=st.integers(0, 5), complete=st.booleans())
    def everything_is_spent(self, which: int, *, complete: bool) -> None:
        self.commit("calm")
        with self.engine.connect() as connection:
            balances = connection.execute(select(t.balances).where(t.balances.c.available > 0)).all()
        if balances:
            balance = balances[which % len(balances)]
            command = begin(
                balance.member, 10_000 + self.count, "debit", balance.available, complete=complete
            )
            self.ask(msgspec.structs.replace(command, occurred_at=self.now))

    @rule(which=st.integers(0, 30), state=st.sampled_from(["completed", "cancelled"]))
    def a_transaction_ends(self, which: int, state: str) -> None:
        found = self.some(t.transactions, which)
        if found is not None:
            self.ask(end(found.member, found.id, state, definition=found.definition))

    @rule(which=st.integers(0, 30))
    def a_transaction_is_undone(self, which: int) -> None:
        found = self.some(t.transactions, which)
        if found is not None:
            command = ReverseTransaction(
                env=1,
                id=10_000 + self.count,
                transaction=found.id,
                member=found.member,
                definition=found.definition,
                received_at=self.now,
            )
            self.ask(command)

    @rule(
        which=st.integers(0, 5),
        reward=st.sampled_from(["off", "bag"]),
        order=st.none() | ORDERS,
        payment=st.sampled_from([None, None, "p1"]),
    )
    def a_reward_is_redeemed(self, which: int, reward: str, order: str | None, payment: str | None) -> None:
        members = self.members()
        command = BeginRedemption(
            env=1,
            id=20_000 + self.count,
            member=members[which % len(members)],
            definition=1,
            code=f"C{self.count}",
            reward=reward,
            order=None if order is None else ("shop", order),
            payment=payment,
            received_at=self.now,
        )
        self.ask(command)

    @rule(
        which=st.integers(0, 30),
        who=st.none() | CUSTOMERS,
        state=st.sampled_from(["pending", "completed", "failed"]),
    )
    def a_payment_is_rehearsed(self, which: int, who: str | None, state: str) -> None:
        found = self.some(t.redemptions, which)
        command = BeginPayment(
            env=1,
            id=30_000 + self.count,
            source="shop",
            program="main",
            amount=4000,
            currency="EUR",
            member=40_000 + self.count,
            customer=who,
            redemptions=() if found is None else (found.id,),
            state=state,
            received_at=self.now,
        )
        self.payments.append(command.id)
        self.ask(command)

    @rule(which=st.integers(0, 9), state=st.sampled_from(["completed", "failed", "cancelled", "expired"]))
    def a_rehearsed_payment_ends(self, which: int, state: str) -> None:
        if self.payments:
            payment = self.payments[which % len(self.payments)]
            command = EndPayment(
                env=1, payment=payment, source="shop", program="main", state=state, received_at=self.now
            )
            self.ask(command)

    @rule(
        which=st.integers(0, 30),
        state=st.sampled_from(["applied", "released", "fulfilled", "reversed"]),
        force=st.booleans(),
    )
    def a_redemption_moves(self, which: int, state: str, *, force: bool) -> None:
        found = self.some(t.redemptions, which)
        if found is not None:
            command = MoveRedemption(
                env=1,
                redemption=found.id,
                member=found.member,
                definition=found.definition,
                state=state,
                force=force,
                received_at=self.now,
            )
            self.ask(command)

    @rule(order=ORDERS, who=CUSTOMERS, amount=POINTS, which=st.integers(0, 30), voucher=st.booleans())
    def an_order_uses_a_code(self, order: str, who: str, amount: int, which: int, *, voucher: bool) -> None:
        found = self.some(t.vouchers if voucher else t.redemptions, which)
        code = () if found is None or found.code is None else (found.code,)
        what = totals(line(amount=f"{amount}.00"), version=self.now, codes=code)
        self.happen(placed(order, customer=who, at=self.now, version=self.now, what=what))

    @rule(order=ORDERS, state=st.sampled_from([PaymentState.FAILED, PaymentState.CANCELLED]))
    def a_payment_comes_to_nothing(self, order: str, state: PaymentState) -> None:
        self.happen(paid(order, at=self.now, state=state))

    @rule(
        which=st.integers(0, 5), amount=st.integers(-40, 60).filter(bool), days=st.none() | st.integers(1, 5)
    )
    def a_balance_order_is_placed(self, which: int, amount: int, days: int | None) -> None:
        members = self.members()
        command = PlaceOrder(
            env=1,
            id=30_000 + self.count,
            transaction=40_000 + self.count,
            member=members[which % len(members)],
            definition=1,
            amount=amount,
            source="user",
            due_at=self.now + DAY,
            deadline=None if days is None else self.now + days * DAY,
            received_at=self.now,
        )
        self.ask(command)

    # --- people ---------------------------------------------------------------------------------------------------

    @rule(shop=st.booleans())
    def somebody_enrols(self, *, shop: bool) -> None:
        number = 50_000 + self.count
        self.ask(enrol(number, customer=("shop", f"c{number}") if shop else None, joined_at=self.now))

    @rule(which=st.integers(0, 5), state=st.sampled_from(["deleted", "active", "active", "erased"]))
    def a_member_leaves_or_returns(self, which: int, state: str) -> None:
        members = self.members()
        self.ask(turn(60_000 + self.count, members[which % len(members)], state))

    @rule(one=st.integers(0, 5), other=st.integers(0, 5))
    def two_become_one(self, one: int, other: int) -> None:
        members = self.members()
        self.ask(merge(members[one % len(members)], members[other % len(members)]))

    @rule(one=st.integers(0, 5), other=st.integers(0, 5), amount=POINTS)
    def points_are_given_away(self, one: int, other: int, amount: int) -> None:
        members = self.members()
        number = 70_000 + 2 * self.count
        self.ask(transfer(number, members[one % len(members)], members[other % len(members)], amount))

    # --- vouchers -------------------------------------------------------------------------------------------------

    @rule(which=st.integers(0, 5), days=st.none() | st.integers(1, 9))
    def a_voucher_is_given(self, which: int, days: int | None) -> None:
        members = self.members()
        command = AttributeVoucher(
            env=1,
            id=80_000 + self.count,
            member=members[which % len(members)],
            program="main",
            code=f"V{self.count}",
            reward="off",
            ends_at=None if days is None else self.now + days * DAY,
            received_at=self.now,
        )
        self.ask(command)

    @rule(which=st.integers(0, 9), state=st.sampled_from(["redeemed", "revoked"]))
    def a_voucher_moves(self, which: int, state: str) -> None:
        found = self.some(t.vouchers, which)
        if found is not None:
            of_rule = None if found.rule is None else (found.program, found.rule, found.occasion)
            command = MoveVoucher(
                env=1,
                voucher=found.id,
                member=found.member,
                occasion=of_rule,
                state=state,
                received_at=self.now,
            )
            self.ask(command)

    # --- the clock ------------------------------------------------------------------------------------------------

    @rule(days=st.integers(1, 12), sweeps=st.booleans())
    def days_pass(self, days: int, *, sweeps: bool) -> None:
        """Let time go on; the sweep need not come by."""
        self.commit("calm")
        self.now += days * DAY
        if sweeps:
            for due in (due_balances, due_members, due_vouchers):
                play(self.engine, list(due(self.engine, self.now, 100)), now=self.now, sizes=[7])
            self.checked = False

    # --- what always holds ----------------------------------------------------------------------------------------

    @invariant()
    def the_audit_finds_nothing(self) -> None:
        if not self.checked:
            assert audit(self.engine) == []
            self.checked = True

    def teardown(self) -> None:
        self.commit("calm")
        assert audit(self.engine) == []
        assert rebuild(self.engine, read_numbered) == []
        self.engine.dispose()


Book.TestCase.settings = settings(
    max_examples=RUNS,
    stateful_step_count=STEPS,
    phases=PHASES,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
TestBook = Book.TestCase
