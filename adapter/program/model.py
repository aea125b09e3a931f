"""A loyalty program as data: what an operator writes in the apply file, checked.

Rates and money are `Decimal` (written as strings, so that no float ever gets near a point). An unknown key is an
error that names it. A published version is never edited: a change is a new version, and an order keeps the version
it was placed under.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationInfo, field_validator, model_validator

from adapter.program.anniversaries import Anniversaries
from adapter.program.bonuses import Bonuses
from adapter.program.bounds import BalanceDefinition
from adapter.program.days import Window
from adapter.program.ending import Expiry
from adapter.program.moments import Moment, closing, opening
from adapter.program.part import Currency, Described, Money, Name, Part, Rate
from adapter.program.reminding import Reminders
from adapter.program.rewards import Reward, check_currency
from adapter.program.tiers import TierGroup, twice_in
from adapter.program.vouchers import VoucherRule

if TYPE_CHECKING:
    from adapter.clock import Millis
    from adapter.events import Line

AwardOn = Literal["order.placed", "payment.completed", "order.shipped"]
State = Literal["draft", "published", "paused", "ended"]


class Selection(Part):
    """Lines of an order: those with one of these SKUs, products or categories (where shops send tags, tags too)."""

    skus: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @cached_property
    def empty(self) -> bool:
        return not (self.skus or self.products or self.categories)

    def has(self, line: Line) -> bool:
        """Return whether a line is one of them."""
        return not self.empty and (
            line.sku in self.skus
            or line.product in self.products
            or any(category in self.categories for category in line.categories)
        )


class Exclusions(Selection):
    """Lines that earn nothing. Lines that sell gift cards earn nothing unless `gift_cards` is false."""

    gift_cards: bool = True


class Rule(Part):
    """One way to earn: (basis * rate + bonus + per_item * quantity) * multiplier * the tier's multiplier.

    Its basis are the lines that count and that it selects. Points are whole units of the balance definition here.
    """

    name: Name
    rate: Rate = Decimal(0)  # points for 1.00 of the order's currency
    rates: dict[Currency, Rate] = Field(default_factory=dict)  # by currency; one that is not here gets none
    bonus: Annotated[int, Field(ge=0, le=10**12)] = 0  # points for the order, once
    per_item: Rate = Decimal(0)  # points for each unit of its lines
    multiplier: Rate = Decimal(1)
    tier_multipliers: dict[Name, Rate] = Field(default_factory=dict)  # by the member's tier; any other: 1
    first_order: bool = False  # only for a member's first order
    only: Selection = Selection()  # its lines; nothing selected: all that count
    exclude: Selection = Selection()  # lines that it leaves out, besides those that never count
    currencies: tuple[Currency, ...] = ()  # only orders in one of these; none named: all
    minimum: Money = Decimal(0)  # a basis of its own below this gives nothing
    cap: Annotated[int, Field(ge=0)] | None = None  # most points that it gives for one order
    starts: Moment | None = None  # orders placed from then on; a date is its first moment
    ends: Moment | None = None  # orders placed before then; a date is included to its last moment

    def rate_for(self, currency: str) -> Decimal:
        """Return the points for 1.00 of this currency."""
        return self.rates.get(currency, Decimal(0)) if self.rates else self.rate

    @cached_property
    def selects(self) -> bool:
        """Return whether its lines may be fewer than all that count."""
        return not (self.only.empty and self.exclude.empty)

    def takes(self, line: Line) -> bool:
        """Return whether a line that counts is one of its lines."""
        return (self.only.empty or self.only.has(line)) and not self.exclude.has(line)

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.rate or any(self.rates.values()) or self.bonus or self.per_item):
            raise ValueError("it gives nothing; say its rate, rates, bonus or per_item")
        if self.starts and self.ends and opening(self.starts, "UTC") >= closing(self.ends, "UTC"):
            raise ValueError("it ends before it starts")
        return self


class Cap(Part):
    """Most points that all orders of one member placed in a calendar window can earn together."""

    window: Window
    points: Annotated[int, Field(ge=0)]


ONLY_RULE = "base"
"""What the rule of the short form is called."""


class Earning(Part):
    """How an order becomes points: by its rules, rounded once, within the minimum and the cap of an order.

    The short form (`rate`, `rates`, `multiplier`, `tier_multipliers`) is one rule for everything that counts.
    """

    rate: Rate = Decimal(0)  # points for 1.00 of the order's currency
    rates: dict[Currency, Rate] = Field(default_factory=dict)  # by currency; one that is not here gets none
    multiplier: Rate = Decimal(1)
    tier_multipliers: dict[Name, Rate] = Field(default_factory=dict)
    rules: Annotated[tuple[Rule, ...], Field(max_length=100)] = ()
    combine: Literal["sum", "best"] = "sum"  # rules add up, or only the one that gives most counts
    rounding: Literal["down", "half_up", "up"] = "down"  # of what the rules give together
    minimum: Money = Decimal(0)  # a basis below this earns nothing
    cap: Annotated[int, Field(ge=0)] | None = None  # most points that one order can earn
    caps: tuple[Cap, ...] = ()  # most points that all orders of a window can earn together
    exclude: Exclusions = Exclusions()
    include_tax: bool = False
    include_shipping: bool = False
    award_on: AwardOn = "order.shipped"
    hold_days: Annotated[int, Field(ge=0, le=3650)] = 0
    partial_shipments: Literal["last", "pro_rata"] = "last"

    @cached_property
    def in_force(self) -> tuple[Rule, ...]:
        """Return the rules; the short form is one."""
        return self.rules or (
            Rule.model_construct(
                name=ONLY_RULE,
                rate=self.rate,
                rates=self.rates,
                multiplier=self.multiplier,
                tier_multipliers=self.tier_multipliers,
            ),
        )

    @model_validator(mode="after")
    def _has_one_form(self) -> Self:
        if self.rules and (self.rate or self.rates or self.multiplier != 1 or self.tier_multipliers):
            raise ValueError(
                "write rate, rates, multiplier and tier_multipliers into a rule where there are rules"
            )
        twice = twice_in(rule.name for rule in self.rules)
        if twice:
            raise ValueError(f"two rules are called {twice!r}; an award names the rules that gave it")
        if twice_in(cap.window for cap in self.caps):
            raise ValueError("caps: give one for each window")
        return self

    @property
    def tiers_named(self) -> set[str]:
        """Return the tiers that multiply something."""
        return {tier for rule in self.in_force for tier in rule.tier_multipliers}

    @property
    def asks_standing(self) -> bool:
        """Return whether an award depends on more than its order: on the member's tier, or other orders."""
        return self.asks_others or bool(self.tiers_named)

    @property
    def asks_others(self) -> bool:
        """Return whether an award depends on the member's other orders."""
        return bool(self.caps) or any(rule.first_order for rule in self.in_force)


class Clawback(Part):
    """What happens to a clawback that the balance cannot cover: it is owed, or waived."""

    shortfall: Literal["owed", "waived"] = "owed"


class Members(Part):
    """Who becomes a member."""

    auto_enrol: bool = True  # a customer id seen for the first time becomes a member
    match_email: bool = False  # the same e-mail address in two shops is one member; guests are found by it


class TierLimits(Part):
    """How much members of a tier may redeem, in money; not given: no limit besides the program's."""

    per_transaction: Money | None = None
    per_day: Money | None = None


class Redeeming(Part):
    """What points are worth when they are spent, how much may be spent, and how long a discount waits to be used."""

    burn_rate: Rate = Decimal("0.01")  # money for 1 point
    currency: Currency | None = None  # of the money here; without it points buy only rewards
    increment: Money = Decimal(0)  # redemptions by points or value: whole multiples of this
    minimum: Money = Decimal(0)  # and at least this much
    per_transaction: Money | None = None  # most that one redemption may be worth
    per_day: Money | None = None  # most that a member's redemptions of a day may be worth together
    day: Literal["calendar", "rolling"] = "calendar"  # in the program's time zone | the last 24 hours
    tiers: dict[Name, TierLimits] = Field(default_factory=dict)  # by the member's tier, besides the program's
    full_balance: bool = False  # what is shown as redeemable is not cut to what is left of the day
    hold_minutes: Annotated[int, Field(ge=1, le=525_600)] = 1440  # how long a discount waits for its order
    code_prefix: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,16}$")] = "POINTS"  # of a discount's code
    return_on_refund: Literal["never", "proportional"] = "never"  # points, when the order is refunded

    @model_validator(mode="after")
    def _is_in_a_currency(self) -> Self:
        check_currency(self.currency)
        return self


class Program(Described):
    """One loyalty program."""

    name: Name
    state: State = "published"
    archived: bool = False  # it has ended for good, and is not listed any more
    starts: Moment | None = None  # before then it is as good as a draft; a date is its first moment
    ends: Moment | None = None  # from then on it has ended; a date is included to its last moment
    spend_until: Moment | None = None  # once it has ended, points can still be spent so long
    processing_mode: Literal["realtime", "batch"] = "realtime"
    batch_interval_s: Annotated[int, Field(ge=1, le=86_400)] = (
        300  # batch mode: points post at these boundaries
    )
    auto_process_due_orders: bool = False  # balance orders complete by themselves when they are due
    timezone: str = "UTC"
    balance_definitions: Annotated[tuple[BalanceDefinition, ...], Field(max_length=50)] = (
        BalanceDefinition(),
    )  # the first is the one that orders are awarded in; only a draft may do without any, until it ends
    earning: Earning = Earning()
    expiry: Expiry = Expiry()
    reminders: Reminders = Reminders()  # of points that end soon
    voucher_reminders: Reminders = Reminders()  # of vouchers that end soon
    anniversaries: Anniversaries = Anniversaries()  # of members, and of the tiers that they are on
    clawback: Clawback = Clawback()
    members: Members = Members()
    tier_groups: Annotated[tuple[TierGroup, ...], Field(max_length=20)] = ()
    bonuses: Bonuses = Bonuses()
    redeeming: Redeeming = Redeeming()
    rewards: tuple[Reward, ...] = ()
    voucher_rules: Annotated[tuple[VoucherRule, ...], Field(max_length=100)] = ()
    point_value: Money | None = (
        None  # money for one unit of its first balance definition, for the liability report
    )
    currency: Currency | None = None  # of `point_value`

    def state_at(self, at: Millis) -> State:
        """Return its state at an instant of the time in which this version is in force: its dates count too."""
        if self.state == "draft":
            return "draft"
        if self.state == "ended" or (self.ends is not None and at >= closing(self.ends, self.timezone)):
            return "ended"
        if self.starts is not None and at < opening(self.starts, self.timezone):
            return "draft"
        return self.state

    def spends_at(self, at: Millis) -> bool:
        """Return whether points can be spent at an instant."""
        if self.state_at(at) == "ended":
            return self.spend_until is not None and at < closing(self.spend_until, self.timezone)
        return self.state_at(at) == "published"

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.starts and self.ends and opening(self.starts, "UTC") >= closing(self.ends, "UTC"):
            raise ValueError("ends: it ends before it starts")
        if self.spend_until and self.ends and closing(self.spend_until, "UTC") < closing(self.ends, "UTC"):
            raise ValueError("spend_until: points can be spent until it ends in any case; say a later day")
        if self.spend_until and not self.ends and self.state != "ended":
            raise ValueError("spend_until: say when it ends, or that its state is ended")
        return self

    @field_validator("timezone")
    @classmethod
    def _is_a_time_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"there is no time zone {name!r}; write UTC or Europe/Berlin") from None
        return name

    @field_validator("balance_definitions")
    @classmethod
    def _keeps_balances(
        cls, kept: tuple[BalanceDefinition, ...], info: ValidationInfo
    ) -> tuple[BalanceDefinition, ...]:
        if not kept and info.data.get("state") not in ("draft", "ended"):
            raise ValueError("a program keeps at least one; leave it out for points")
        if twice := twice_in(one.name for one in kept):
            raise ValueError(f"two are called {twice!r}")
        return kept

    @model_validator(mode="after")
    def _is_over_for_good(self) -> Self:
        if self.archived and self.state != "ended":
            raise ValueError("archived: only a program that has ended can be archived")
        return self

    def balance(self, name: str) -> BalanceDefinition | None:
        """Return one of its balance definitions."""
        return next((one for one in self.balance_definitions if one.name == name), None)

    def of_balance(self, name: str) -> Program:
        """Return the program as it is for one of its balances, which may say itself when its points end."""
        return self._of_balances.get(name, self)

    @cached_property
    def _of_balances(self) -> dict[str, Program]:
        return {
            one.name: self.model_copy(update={"expiry": one.expiry})
            for one in self.balance_definitions
            if one.expiry is not None
        }

    @cached_property
    def redeems(self) -> bool:
        """Return whether points can be spent on anything: on rewards, or on money off."""
        return bool(self.rewards) or self.redeeming.currency is not None

    def reward(self, name: str) -> Reward | None:
        """Return a reward of the catalogue."""
        return next((one for one in self.rewards if one.id == name), None)

    @model_validator(mode="after")
    def _has_both_or_neither(self) -> Self:
        if (self.point_value is None) != (self.currency is None):
            raise ValueError("give point_value and currency together: one says nothing without the other")
        check_currency(self.currency)
        return self

    @model_validator(mode="after")
    def _vouchers_fit(self) -> Self:
        if twice := twice_in(rule.name for rule in self.voucher_rules):
            raise ValueError(
                f"two voucher rules are called {twice!r}; each attributes for occasions of its own"
            )
        strange = [one.reward for one in self.voucher_rules if one.reward and self.reward(one.reward) is None]
        if strange:
            raise ValueError(f"voucher_rules: there is no reward {strange[0]!r} in the catalogue")
        return self

    @model_validator(mode="after")
    def _rewards_fit(self) -> Self:
        decimals = {one.name: one.decimals for one in self.balance_definitions}
        names = [reward.id for reward in self.rewards]
        for number, reward in enumerate(self.rewards):
            place = f"rewards[{number}]"
            if names.count(reward.id) > 1:
                raise ValueError(f"{place}.id: two rewards are called {reward.id!r}")
            for field in ("balance_definition", "credits"):
                named = getattr(reward, field)
                if named is not None and named not in decimals:
                    raise ValueError(f"{place}.{field}: there is no balance definition {named!r}")
            if reward.credits is not None:
                if reward.credits == (reward.balance_definition or self.balance_definitions[0].name):
                    raise ValueError(f"{place}.credits: it costs points of that very balance")
                if reward.value != round(reward.value or Decimal(0), decimals[reward.credits]):
                    raise ValueError(f"{place}.value: that balance has {decimals[reward.credits]} decimals")
        return self

    @cached_property
    def has_standing(self) -> bool:
        """Return whether anything of it depends on where a member stands: only then is that kept at all."""
        return bool(
            self.tier_groups
            or self.bonuses.sign_up
            or self.bonuses.birthday
            or self.earning.asks_others
            or self.anniversaries.every != "never"
        )

    @model_validator(mode="after")
    def _names_its_tiers(self) -> Self:
        if twice_in(group.name for group in self.tier_groups):
            raise ValueError("tier_groups: two have the same name")
        for group in self.tier_groups:
            if group.balance_definition is not None and self.balance(group.balance_definition) is None:
                raise ValueError(f"tier_groups: there is no balance definition {group.balance_definition!r}")
        known = {tier.name for group in self.tier_groups[:1] for tier in group.tiers}
        strange = sorted(self.earning.tiers_named - known) if self.tier_groups else []
        if strange:
            raise ValueError(f"tier_multipliers: {strange[0]!r} is no tier of the first tier group")
        bounded = sorted(self.redeeming.tiers.keys() - known) if self.tier_groups else []
        if bounded:
            raise ValueError(f"redeeming.tiers: {bounded[0]!r} is no tier of the first tier group")
        return self
