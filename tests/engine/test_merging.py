"""Two members become one: every point, lot, order, hold and debt goes over once, and facts go on to converge."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select

from adapter.commands import (
    Advise,
    BeginRedemption,
    Command,
    Elapse,
    MoveRedemption,
    PlaceOrder,
    Review,
)
from adapter.engine.audit import audit
from adapter.engine.door import Door
from adapter.engine.rebuild import rebuild
from adapter.program.model import Program
from adapter.store import tables as t
from adapter.store.database import open_database
from tests.engine.test_convergence import fresh
from tests.engine.test_histories import proven, read, sweep
from tests.engine.test_transactions import CREDIT, DEBIT, MAIN, amounts
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
    member_of,
    merge,
    placed,
    play,
    recorded,
    refunded,
    shipped,
    transfer,
    update,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from adapter.outcome import Outcome

ADA, BEA = "7000", "7001"
ZERO = (0, 0, 0, 0)


def two(engine: Engine, program: Program = MAIN) -> tuple[int, int]:
    """Return two members that a shop knows."""
    configure(engine, program)
    play(engine, [recorded(customer(ADA, email="ada@example.com", name="Ada")), recorded(customer(BEA))])
    return member_of(engine, ADA), member_of(engine, BEA)


def done(engine: Engine, *commands: Command, now: int = NOW) -> list[Outcome]:
    outcomes = play(engine, commands, now=now)
    assert [one.error for one in outcomes] == [None] * len(outcomes)
    return outcomes


def lots(engine: Engine, member: int) -> list[tuple[Any, ...]]:
    """Return (order, pending, available, reserved, expires_at) of a member's lots with points, in their order."""
    lot = t.lots.c
    query = select(lot.order_ref, lot.pending, lot.available, lot.reserved, lot.expires_at).where(
        lot.member == member, lot.pending + lot.available + lot.reserved > 0
    )
    with engine.connect() as connection:
        return sorted(map(tuple, connection.execute(query)), key=str)


def earned(engine: Engine, member: int) -> int:
    query = select(t.balances.c.earned).where(t.balances.c.member == member, t.balances.c.definition == 1)
    with engine.connect() as connection:
        return connection.execute(query).scalar_one_or_none() or 0


def sound(engine: Engine) -> None:
    assert audit(engine) == []
    assert rebuild(engine, read) == []


def test_everything_goes_over_and_keeps_its_end_and_its_order(database: Engine) -> None:
    ada, bea = two(database)
    done(
        database,
        recorded(placed("1", line(amount="89.00")), shipped("1")),
        recorded(placed("2", line(amount="20.00"))),  # pending until it is shipped
        begin(ada, 1, CREDIT, 50, complete=True, points_end_at=NOW + 5 * DAY),
        begin(ada, 2, CREDIT, 7),
        begin(ada, 3, DEBIT, 60, deadline=NOW + DAY),
        begin(ada, 4, CREDIT, 1250, complete=True, definition=2),
        begin(bea, 5, CREDIT, 11, complete=True),
    )
    before = lots(database, ada)
    assert amounts(database, ada) == (27, 79, 60, 0)
    theirs = lots(database, bea)
    (outcome,) = done(database, merge(ada, bea))
    assert outcome.row is not None
    assert (outcome.row["id"], outcome.row["email"], outcome.row["source_ids"]) == (
        bea, "ada@example.com", ["shop:7000", "shop:7001"],
    )  # fmt: skip
    assert (amounts(database, ada), amounts(database, ada, 2)) == (ZERO, ZERO)
    assert (amounts(database, bea), amounts(database, bea, 2)) == ((27, 90, 60, 0), (0, 1250, 0, 0))
    assert lots(database, bea) == sorted([*before, *theirs], key=str)
    assert (earned(database, ada), earned(database, bea)) == (0, 89 + 50 + 11)
    sound(database)


def test_what_was_pending_is_completed_cancelled_or_expires_with_the_other(database: Engine) -> None:
    ada, bea = two(database)
    done(
        database,
        begin(ada, 1, CREDIT, 100, complete=True),
        begin(ada, 2, DEBIT, 30),
        begin(ada, 3, DEBIT, 20),
        begin(ada, 4, DEBIT, 10, deadline=NOW + DAY),
        begin(ada, 5, CREDIT, 5),
        merge(ada, bea),
        end(bea, 2, "completed"),
        end(bea, 3, "cancelled"),
        end(bea, 5, "completed"),
    )
    assert amounts(database, bea) == (0, 65, 10, 0)  # 100 - 30 - 10 held, + 5
    sweep(database, NOW + DAY)
    assert amounts(database, bea) == (0, 75, 0, 0)
    sound(database)


@pytest.mark.parametrize("sizes", [[1], [3, 3]])
def test_late_news_of_an_order_is_settled_with_whoever_has_it_now(database: Engine, sizes: list[int]) -> None:
    """89 spent to 9, merged; then all of it is refunded: 9 of its own lot, 11 of Bea's, the rest owed."""
    ada, bea = two(database)
    commands: list[Command] = [
        recorded(placed("1", line(amount="89.00")), shipped("1")),
        begin(ada, 1, DEBIT, 80, complete=True),
        begin(bea, 2, CREDIT, 11, complete=True),
        merge(ada, bea),
        recorded(cancelled("1", at=NOW)),
        recorded(placed("2", line(amount="10.00"), version=NOW), shipped("2")),  # repays: 69 - 10
    ]
    outcomes = play(database, commands, sizes=sizes)
    assert [one.error for one in outcomes] == [None] * 6
    assert amounts(database, bea) == (0, 0, 0, 59)
    assert amounts(database, ada) == ZERO
    sound(database)


@pytest.mark.parametrize(
    ("debt", "other", "left"),
    # owed by Ada, what Bea has → available, owed; then the other way round
    [(30, 50, (20, 0)), (50, 30, (0, 20)), (30, 30, (0, 0)), (30, 0, (0, 30))],
)
@pytest.mark.parametrize("ada_owes", [True, False])
def test_a_debt_is_repaid_by_the_other_ones_points(
    database: Engine, debt: int, other: int, left: tuple[int, int], ada_owes: bool
) -> None:
    ada, bea = two(database)
    debtor, rich = (ada, bea) if ada_owes else (bea, ada)
    who = ADA if ada_owes else BEA
    done(
        database,
        recorded(placed("1", line(amount=f"{debt}.00"), customer=who), shipped("1")),
        begin(debtor, 1, DEBIT, debt, complete=True),
        recorded(cancelled("1", at=NOW)),
    )
    if other:
        done(database, begin(rich, 2, CREDIT, other, complete=True))
    assert amounts(database, debtor) == (0, 0, 0, debt)
    done(database, merge(ada, bea))
    assert (amounts(database, bea)[1], amounts(database, bea)[3]) == left
    assert amounts(database, ada) == ZERO
    sound(database)


def test_what_ran_out_of_an_order_is_waived_or_comes_back_for_the_other(database: Engine) -> None:
    """Shipped 40 days ago with 30 to live: over. The shipment turns out to be of yesterday: alive, at Bea's."""
    program = Program.model_validate({**MAIN.model_dump(), "expiry": {"days": 30}})
    ada, bea = two(database, program)
    done(
        database,
        recorded(placed("1", at=NOW - 41 * DAY), shipped("1", at=NOW - 40 * DAY)),
        recorded(placed("2", at=NOW - 41 * DAY), shipped("2", at=NOW - 40 * DAY)),
        merge(ada, bea),
    )
    assert amounts(database, bea) == ZERO
    done(
        database,
        recorded(cancelled("1", at=NOW)),  # waived: she had lost them before
        recorded(
            shipped("2", at=NOW - 40 * DAY, cancelled=True, version=NOW), shipped("2", "s2", at=NOW - DAY)
        ),
    )
    assert amounts(database, bea) == (0, 89, 0, 0)
    sound(database)


REDEEMING = Program.model_validate(
    {**MAIN.model_dump(), "redeeming": {"currency": "EUR", "burn_rate": "0.01"}}
)


def redeem(member: int, number: int, points: int) -> BeginRedemption:
    """Return the command that holds points for a discount."""
    return BeginRedemption(
        env=1, received_at=NOW, id=number, member=member, definition=1, code=f"C{number}", points=points
    )


def redeemed(member: int, number: int, state: str, *, force: bool = False) -> MoveRedemption:
    return MoveRedemption(
        env=1, received_at=NOW, redemption=number, member=member, definition=1, state=state, force=force
    )


@pytest.mark.parametrize(
    ("before", "after", "left"),
    # of 100 points 60 are redeemed; what happens to them before the merge and after it → available, reserved
    [
        ([], [], (40, 60)),
        ([], ["released"], (100, 0)),
        ([], ["applied"], (40, 0)),
        ([], ["applied", "reversed"], (100, 0)),
        (["applied"], [], (40, 0)),
        (["applied"], ["reversed"], (100, 0)),
        (["released"], [], (100, 0)),
    ],
)
def test_redemptions_go_on_with_the_other_and_give_back_to_their_lots(
    database: Engine, before: list[str], after: list[str], left: tuple[int, int]
) -> None:
    ada, bea = two(database, REDEEMING)
    ends = [NOW + 5 * DAY, NOW + 9 * DAY]
    given = [begin(ada, n, CREDIT, 50, complete=True, points_end_at=at) for n, at in enumerate(ends, 1)]
    done(database, *given, redeem(ada, 10, 60), *(redeemed(ada, 10, state) for state in before))
    done(database, merge(ada, bea), *(redeemed(bea, 10, state, force=True) for state in after))
    assert amounts(database, bea) == (0, left[0], left[1], 0)
    if left == (100, 0):
        assert lots(database, bea) == [(None, 0, 50, 0, at) for at in ends]
    assert amounts(database, ada) == ZERO
    assert play(database, [redeemed(ada, 10, "applied")])[0].error == "member_merged"
    sound(database)


def test_what_happened_in_the_batch_of_the_merge_goes_over_too(database: Engine) -> None:
    """A hold that was begun and used, and a balance order that was placed, a moment before."""
    ada, bea = two(database, REDEEMING)
    done(database, begin(ada, 1, CREDIT, 100, complete=True))
    order = PlaceOrder(
        env=1,
        id=20,
        transaction=21,
        member=ada,
        definition=1,
        amount=5,
        source="user",
        due_at=NOW,
        received_at=NOW,
    )
    batch: list[Command] = [redeem(ada, 10, 60), redeemed(ada, 10, "applied"), order, merge(ada, bea)]
    assert [one.error for one in play(database, batch, sizes=[9])] == [None] * 4
    done(database, redeemed(bea, 10, "reversed", force=True), end(bea, 21, "completed"))
    assert amounts(database, bea) == (0, 105, 0, 0)
    sound(database)


def test_merged_once_and_never_into_oneself(database: Engine) -> None:
    ada, bea = two(database)
    cleo = 99
    done(database, enrol(cleo, email="cleo@example.com"), merge(ada, bea))
    for command, error in (
        (merge(ada, cleo), "member_merged"),
        (merge(cleo, ada), "member_merged"),
        (merge(cleo, cleo), "same_member"),
        (merge(cleo, 1), "member_unknown"),
        (begin(ada, 1, CREDIT, 5, complete=True), "member_merged"),
    ):
        (outcome,) = play(database, [command])
        assert outcome.error == error
    sound(database)


def test_members_merged_one_after_the_other_end_with_the_last(database: Engine) -> None:
    """What was Ada's is Bea's and then Cleo's; Ada is a name for Cleo, whether merged at once or by and by."""
    ada, bea = two(database)
    cleo = 99
    commands: list[Command] = [
        enrol(cleo, name="Cleo"),
        recorded(placed("1"), shipped("1")),
        begin(ada, 1, DEBIT, 40),
        merge(ada, bea),
        recorded(placed("2"), shipped("2")),  # of Ada's shop id: Bea's
        merge(bea, cleo),
        recorded(refunded("1", "r1", "30.00")),
    ]
    assert [one.error for one in play(database, commands, sizes=[3, 4])] == [None] * 7
    assert amounts(database, cleo) == (0, 59 - 40 + 89, 40, 0)
    with database.connect() as connection:
        members = t.members.c
        rows = connection.execute(
            select(members.id, members.merged_into).where(members.merged_into.is_not(None))
        )
        assert {tuple(row) for row in rows} == {(ada, cleo), (bea, cleo)}
        people = connection.execute(select(t.people.c.member, t.people.c.name, t.people.c.email)).all()
        assert list(map(tuple, people)) == [(cleo, "Cleo", "ada@example.com")]
    done(database, end(cleo, 1, "completed"))
    sound(database)


def test_an_address_leads_to_the_survivor_where_an_address_is_a_person(database: Engine) -> None:
    program = Program.model_validate({**MAIN.model_dump(), "members": {"match_email": True}})
    configure(database, program)
    done(
        database,
        enrol(5, email="ada@example.com"),
        enrol(6, email="bea@example.com"),
        merge(5, 6),
        recorded(placed("1", customer=None, email="ada@example.com"), shipped("1")),
    )
    assert amounts(database, 6) == (0, 89, 0, 0)
    sound(database)


@pytest.mark.parametrize(
    ("ada_has", "bea_has", "left"),
    [
        ("BLOCK", None, "BLOCK"), (None, "BLOCK", "BLOCK"), ("WATCH", "BLOCK", "BLOCK"), ("BLOCK", "WATCH", "BLOCK"),
        ("WATCH", "ASK", "ASK"), (None, None, None),
    ],
)  # fmt: skip
def test_an_advice_to_block_is_not_shaken_off(
    sqlite_database: Engine, ada_has: str | None, bea_has: str | None, left: str | None
) -> None:
    ada, bea = two(sqlite_database)
    for number, (member, advice) in enumerate([(ada, ada_has), (bea, bea_has)]):
        if advice:
            done(sqlite_database, Advise(env=1, received_at=NOW, id=number, member=member, advice=advice))
    done(sqlite_database, begin(ada, 1, CREDIT, 10, complete=True), enrol(5), merge(ada, bea))
    advices = t.advices.c
    query = select(advices.member, advices.advice).where(advices.cleared_at.is_(None))
    with sqlite_database.connect() as connection:
        found = [tuple(row) for row in connection.execute(query)]
    assert found == ([] if left is None else [(bea, left)])
    (outcome,) = play(sqlite_database, [transfer(50, bea, 5, 10)])
    assert outcome.error == ("redemption_blocked" if left == "BLOCK" else None)
    sound(sqlite_database)


def test_vouchers_go_over_and_those_of_one_occasion_do_not_collide(database: Engine) -> None:
    ada, bea = two(database)
    fields = {"env": 1, "program": "main", "state": "active", "value": 500, "currency": "EUR", "decided": 0,
              "attributed_at": NOW, "updated_at": NOW}  # fmt: skip
    rows = [
        (1, ada, "TWIN-A", "birthday", "2026"), (2, bea, "TWIN-B", "birthday", "2026"),
        (3, ada, "OWN-A", "birthday", "2025"), (4, ada, "HAND-A", None, None),
    ]  # fmt: skip
    with database.begin() as connection:
        for number, member, code, rule, occasion in rows:
            one = {"id": number, "member": member, "code": code, "rule": rule, "occasion": occasion}
            connection.execute(t.vouchers.insert().values(fields | one))
    done(database, merge(ada, bea))
    v = t.vouchers.c
    with database.connect() as connection:
        found = connection.execute(select(v.member, v.code, v.rule, v.occasion, v.state).order_by(v.id))
        assert [tuple(row) for row in found] == [
            (bea, "TWIN-A", "birthday", "2026 merged", "active"), (bea, "TWIN-B", "birthday", "2026", "active"),
            (bea, "OWN-A", "birthday", "2025", "active"), (bea, "HAND-A", None, None, "active"),
        ]  # fmt: skip
    assert audit(database) == []


@pytest.mark.parametrize("first", [1, 2])
def test_which_voucher_keeps_its_name_does_not_depend_on_which_is_older(database: Engine, first: int) -> None:
    """Ada has one of another merge too, so two of hers want names that are taken or about to be."""
    ada, bea = two(database)
    fields = {"env": 1, "program": "main", "state": "active", "value": 500, "currency": "EUR", "decided": 0,
              "rule": "birthday", "attributed_at": NOW, "updated_at": NOW}  # fmt: skip
    rows = [(first, ada, "PLAIN", "2026"), (3 - first, ada, "AGAIN", "2026 merged"), (3, bea, "BEA", "2026")]
    with database.begin() as connection:
        for number, member, code, occasion in rows:
            one = {"id": number, "member": member, "code": code, "occasion": occasion}
            connection.execute(t.vouchers.insert().values(fields | one))
    done(database, merge(ada, bea))
    with database.connect() as connection:
        found = connection.execute(select(t.vouchers.c.code, t.vouchers.c.occasion)).all()
    assert {tuple(row) for row in found} == {
        ("BEA", "2026"), ("PLAIN", "2026 merged"), ("AGAIN", "2026 merged merged")
    }  # fmt: skip
    assert audit(database) == []


def test_merged_while_both_are_written_to_by_two_doors(database: Engine, database_url: str) -> None:
    """Orders, credits and a merge at once, through two doors: nothing is lost, and late ones reach the survivor."""
    ada, bea = two(database)
    done(database, begin(ada, 1, CREDIT, 50, complete=True), begin(bea, 2, CREDIT, 50, complete=True))
    other = open_database(database_url)
    bought = [recorded(placed(f"{n}", line(amount="10.00"), version=NOW), shipped(f"{n}")) for n in range(30)]
    asked = [begin(member, n, CREDIT, 1, complete=True) for n, member in enumerate([ada, bea] * 15, 100)]
    commands: list[Command] = [*bought[:15], *asked[:15], merge(ada, bea), *bought[15:], *asked[15:]]
    with ExitStack() as stack:
        doors = [stack.enter_context(Door(engine, lambda: NOW)) for engine in (database, other)]
        futures = [doors[number % 2].offer(command) for number, command in enumerate(commands)]
        outcomes = [future.result(60) for future in futures]
    other.dispose()
    refused = [one for one in outcomes if one.error is not None]
    assert {one.error for one in refused} <= {"member_merged"}
    assert amounts(database, ada) == ZERO
    assert amounts(database, bea) == (0, 100 + 300 + 30 - len(refused), 0, 0)
    sound(database)


TIERED = Program.model_validate({
    **MAIN.model_dump(),
    "tier_groups": [{
        "name": "status", "measure": "lifetime_points",
        "tiers": [
            {"name": "bronze"}, {"name": "silver", "threshold": "100"}, {"name": "gold", "threshold": "150"},
        ],
    }],
    "bonuses": {"sign_up": 5, "birthday": 7},
})  # fmt: skip


def tiers(engine: Engine) -> list[tuple[Any, ...]]:
    standings = t.standings.c
    with engine.connect() as connection:
        return sorted(map(tuple, connection.execute(select(standings.member, standings.tier))))


def test_where_both_stood_adds_up(database: Engine) -> None:
    """105 and 55 points: silver and bronze, together gold; one birthday a year, whoever told it."""
    ada, bea = two(database, TIERED)
    done(
        database,
        begin(ada, 1, CREDIT, 100, complete=True),
        begin(bea, 2, CREDIT, 50, complete=True),
        update(3, ada, birthday="1990-11-20"),
    )
    assert tiers(database) == sorted([(ada, "silver"), (bea, "bronze")])
    done(database, merge(ada, bea))
    assert tiers(database) == [(bea, "gold")]
    done(database, Review(env=1, member=bea, program="main"), now=NOW + 5 * DAY)
    assert amounts(database, bea) == (0, 100 + 50 + 2 * 5 + 7, 0, 0)
    sound(database)


def test_a_merge_costs_the_same_statements_however_much_there_is(sqlite_database: Engine) -> None:
    configure(sqlite_database, MAIN)

    def cost(first: int, orders: int) -> int:
        """Return the statements of a merge of somebody with so many orders and holds."""
        who = f"{first}"
        play(sqlite_database, [recorded(customer(who)), enrol(first)])
        member = member_of(sqlite_database, who)
        for n in range(first + 1, first + 1 + orders):
            bought = recorded(placed(f"{n}", line(amount="5.00"), customer=who), shipped(f"{n}"))
            done(sqlite_database, bought, begin(member, n, DEBIT, 1))
        said: list[str] = []
        listen = lambda *told: said.append(told[2])  # noqa: E731 - one that can be taken off again
        event.listen(sqlite_database, "before_cursor_execute", listen)
        done(sqlite_database, merge(member, first))
        event.remove(sqlite_database, "before_cursor_execute", listen)
        assert amounts(sqlite_database, first) == (0, 4 * orders, orders, 0)
        return len(said)

    assert cost(100, 2) == cost(200, 40)


# --- everything at random ------------------------------------------------------------------------------------------------

WHO = st.sampled_from([ADA, BEA])
STEP = st.one_of(
    st.tuples(
        st.sampled_from([CREDIT, DEBIT]),
        WHO,
        st.integers(1, 60),
        st.booleans(),
        st.none() | st.integers(1, 5),
    ),
    st.tuples(st.sampled_from(["completed", "cancelled"]), st.integers(0, 6)),
    st.tuples(st.just("order"), st.integers(1, 5), WHO, st.integers(1, 80), st.integers(0, 12)),
    st.tuples(st.just("undo"), st.integers(1, 5)),
    st.tuples(st.just("refund"), st.integers(1, 5), st.integers(1, 50)),
    st.tuples(st.just("redeem"), WHO, st.integers(1, 60)),
    st.tuples(st.just("redeemed"), st.integers(0, 6), st.sampled_from(["applied", "released", "reversed"])),
    st.tuples(st.just("days"), st.integers(1, 4)),
)


class Story:
    """Two members to whom things happen; `play` carries them out, with the member that each transaction is of now."""

    def __init__(self, engine: Engine, size: int) -> None:
        self.engine, self.size = engine, size
        self.now, self.begun, self.waiting = NOW, 0, list[Command]()
        self.members = {ADA: member_of(engine, ADA), BEA: member_of(engine, BEA)}
        self.whose: dict[int, int] = {}

    def flush(self) -> None:
        play(self.engine, self.waiting, now=self.now, sizes=[self.size])
        self.waiting.clear()

    def merge(self, *, apart: bool) -> None:
        """Merge them: in a batch of its own, between the sums of before and after, or among everything else."""
        ada, bea = self.members[ADA], self.members[BEA]
        self.waiting.append(merge(ada, bea))
        if apart:
            one = self.waiting.pop()
            self.flush()
            before = self.sums()
            play(self.engine, [one], now=self.now)
            assert self.sums() == before
        self.members[ADA] = bea
        self.whose = dict.fromkeys(self.whose, bea)

    def sums(self) -> dict[int, tuple[int, ...]]:
        """Return, by definition, what both have together as of now: pending, available less owed, reserved, earned."""
        elapse = [
            Elapse(env=1, member=member, definition=number)
            for member in set(self.members.values())
            for number in (1, 2)
        ]
        play(self.engine, elapse, now=self.now)
        c = t.balances.c
        query = select(
            c.definition,
            func.sum(c.pending),
            func.sum(c.available - c.owed),
            func.sum(c.reserved),
            func.sum(c.earned),
        ).group_by(c.definition)
        with self.engine.connect() as connection:
            return {row[0]: tuple(map(int, row[1:])) for row in connection.execute(query) if any(row[1:])}

    def tell(self, step: Any) -> None:
        if step[0] in (CREDIT, DEBIT):
            kind, who, amount, complete, days = step
            self.begun += 1
            self.whose[self.begun] = self.members[who]
            deadline = None if days is None else self.now + days * DAY
            ends = None if days is None or kind == DEBIT else self.now + days * DAY
            self.waiting.append(
                begin(
                    self.members[who], self.begun, kind, amount, complete=complete, deadline=deadline,
                    points_end_at=ends,
                )
            )  # fmt: skip
        elif step[0] in ("completed", "cancelled"):
            if self.begun:
                number = self.begun - step[1] % self.begun
                self.waiting.append(end(self.whose[number], number, step[0]))
        elif step[0] == "redeem":
            self.begun += 1
            self.whose[self.begun] = self.members[step[1]]
            self.waiting.append(redeem(self.members[step[1]], self.begun, step[2]))
        elif step[0] == "redeemed":
            if self.begun:
                number = self.begun - step[1] % self.begun
                self.waiting.append(redeemed(self.whose[number], number, step[2], force=True))
        elif step[0] == "days":
            self.flush()
            self.now += step[1] * DAY
            if step[1] % 2:
                sweep(self.engine, self.now)
        else:
            self.shop(step)

    def shop(self, step: Any) -> None:
        """Let the shop tell something."""
        if step[0] == "order":
            _, ref, who, amount, days = step
            at = self.now - days * DAY
            event = placed(f"{ref}-{who}", line(amount=f"{amount}.00"), customer=who, version=self.now)
            self.waiting.append(recorded(event, shipped(f"{ref}-{who}", at=at), salt=str(len(self.waiting))))
        elif step[0] == "refund":
            for who in (ADA, BEA):
                fact = refunded(f"{step[1]}-{who}", f"r{step[2]}", f"{step[2]}.00", at=self.now)
                self.waiting.append(recorded(fact))
        else:
            self.waiting.append(recorded(cancelled(f"{step[1]}-{ADA}", at=self.now)))


@given(
    steps=st.lists(STEP, max_size=30),
    at=st.integers(0, 30),
    size=st.integers(1, 6),
    apart=st.booleans(),
    expiry=st.sampled_from([None, 6]),
    hold_days=st.sampled_from([0, 2]),
)
@settings(suppress_health_check=list(HealthCheck), max_examples=80)
def test_merged_at_any_moment_the_sums_are_those_of_the_parts(
    steps: list[Any], at: int, size: int, apart: bool, expiry: int | None, hold_days: int
) -> None:
    """Orders, holds, debts, ends and a merge somewhere between them: nothing is lost, and everything is explained."""
    program = Program.model_validate({
        "name": "main",
        "balance_definitions": [{"name": "points"}, {"name": "cash", "decimals": 2}],
        "earning": {"rate": "1", "hold_days": hold_days},
        "redeeming": {"currency": "EUR", "burn_rate": "0.01"},
        "expiry": {} if expiry is None else {"days": expiry},
    })  # fmt: skip
    with fresh(program) as engine:
        play(engine, [recorded(customer(ADA)), recorded(customer(BEA))])
        story = Story(engine, size)
        for step in steps[:at]:
            story.tell(step)
        story.merge(apart=apart)
        for step in steps[at:]:
            story.tell(step)
        story.flush()
        assert proven(engine) == []
        assert rebuild(engine, read) == []
        assert amounts(engine, member_of(engine, ADA)) == amounts(engine, member_of(engine, BEA))


def test_audit_names_what_a_merge_left_behind(sqlite_database: Engine) -> None:
    ada, bea = two(sqlite_database)
    done(sqlite_database, begin(ada, 1, CREDIT, 5, complete=True), merge(ada, bea))
    with sqlite_database.begin() as connection:
        connection.execute(t.members.update().where(t.members.c.id == ada).values(merged_into=ada))
    assert any("is merged into" in violation for violation in audit(sqlite_database))
