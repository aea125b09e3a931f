"""Loyalty programs, through Brevo's own client: made, changed, published, in two versions at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from brevo.errors import ForbiddenError, NotFoundError, UnauthorizedError, UnprocessableEntityError
from brevo.program.types import GetLpListResponse
from brevo.types import BalanceDefinition, BalanceLimit, ErrorModel, LoyaltyProgram

from adapter import ids
from tests.dialects.brevo.conftest import strictly
from tests.web.conftest import keyed

if TYPE_CHECKING:
    from collections.abc import Callable

    from brevo import Brevo

    from tests.web.conftest import Web


def raw(answer: Any) -> Any:
    """Return what came over the wire."""
    return answer._response.json()


def made(brevo: Brevo, name: str = "VIP Club", **more: Any) -> LoyaltyProgram:
    answer = brevo.program.with_raw_response.create_new_lp(name=name, **more)
    program: LoyaltyProgram = strictly(LoyaltyProgram, raw(answer))
    return program


def test_a_program_is_made_changed_and_published(brevo: Brevo, sqlite_web: Web) -> None:
    program = made(brevo, description="For friends", meta={"tone": "warm", "year": 2026}, document_id="doc-1")
    assert ids.is_uuid(str(program.id))
    assert (program.name, program.state, program.meta) == (
        "VIP Club",
        "draft",
        {"tone": "warm", "year": 2026},
    )
    assert program.document_id == "doc-1"
    pid = str(program.id)
    changed = brevo.program.with_raw_response.update_loyalty_program(
        pid, name="Gold Club", description="Better"
    )
    assert strictly(LoyaltyProgram, raw(changed)).name == "Gold Club"
    patched = brevo.program.with_raw_response.partially_update_loyalty_program(pid, description="Best")
    shown = strictly(LoyaltyProgram, raw(patched))
    assert (shown.name, shown.description, shown.document_id) == ("Gold Club", "Best", "doc-1")
    brevo.program.publish_loyalty_program(pid)
    shown = strictly(LoyaltyProgram, raw(brevo.program.with_raw_response.get_loyalty_program_info(pid)))
    assert shown.state == "active"
    assert sqlite_web.get(f"/v1/programs/{pid}")["title"] == "Gold Club"  # one truth


def test_programs_made_elsewhere_have_an_id_that_stays(brevo: Brevo) -> None:
    listed = strictly(GetLpListResponse, raw(brevo.program.with_raw_response.get_lp_list())).items
    (main,) = listed
    assert (main.name, main.state, main.id) == ("main", "active", ids.uuid_of(1, "program", "main"))
    assert brevo.program.get_loyalty_program_info(main.id).name == "main"


def test_programs_are_sorted_and_paged(brevo: Brevo) -> None:
    for name in ("beta", "alpha", "gamma"):
        made(brevo, name)

    def names(**query: Any) -> list[str | None]:
        return [one.name for one in brevo.program.get_lp_list(sort_field="name", **query).items or []]

    assert names(sort="asc") == ["alpha", "beta", "gamma", "main"]
    assert names(sort="desc", limit=2) == ["main", "gamma"]
    assert names(sort="asc", limit=2, offset=1) == ["beta", "gamma"]


def test_a_deleted_program_is_not_there_any_more(brevo: Brevo) -> None:
    pid = str(made(brevo).id)
    brevo.program.delete_loyalty_program(pid)
    with pytest.raises(NotFoundError):
        brevo.program.get_loyalty_program_info(pid)
    assert made(brevo).name == "VIP Club"  # the name is free again


def test_each_refusal_is_the_clients_own_error(
    brevo: Brevo, brevo_as: Callable[[str], Brevo], sqlite_web: Web
) -> None:
    pid = str(made(brevo).id)
    with pytest.raises(UnauthorizedError):
        brevo_as("sk_test_nobody_00000000000000000000").program.get_lp_list()
    keyed(sqlite_web.engine, 1, "sk_test_reader_000000000000000000000", "programs:read")
    with pytest.raises(ForbiddenError):
        brevo_as("sk_test_reader_000000000000000000000").program.create_new_lp(name="x")
    with pytest.raises(NotFoundError):
        brevo.program.get_loyalty_program_info("6f1c2a52-0000-4000-8000-000000000000")
    with pytest.raises(UnprocessableEntityError) as twice:  # never 409: the client would send it again
        made(brevo)
    told = strictly(
        ErrorModel, twice.value.body if isinstance(twice.value.body, dict) else twice.value.body.dict()
    )
    assert "title" in str(told.message)
    with pytest.raises(UnprocessableEntityError):
        brevo.program.update_loyalty_program(pid, name="n" * 129)


# --- balance definitions and limits -------------------------------------------------------------------------------------


def test_a_balance_definition_has_all_its_fields(brevo: Brevo, sqlite_web: Web) -> None:
    pid = str(made(brevo).id)
    said: dict[str, Any] = {
        "name": "Stars",
        "unit": "POINTS",
        "description": "What friends collect",
        "image_ref": "https://example.com/star.png",
        "meta": {"isInternal": False},
        "min_amount": 0,
        "max_amount": 1000,
        "max_credit_amount_limit": 100.5,
        "max_debit_amount_limit": 50,
        "balance_option_amount_overtaking_strategy": "partial",
        "balance_option_credit_rounding": "lower",
        "balance_option_debit_rounding": "upper",
        "balance_availability_duration_value": 2,
        "balance_availability_duration_unit": "week",
        "balance_availability_duration_modifier": "endOfPeriod",
    }
    answer = brevo.balance.with_raw_response.create_balance_definition(pid, **said)
    shown = strictly(BalanceDefinition, raw(answer))
    told = shown.model_dump(by_alias=False)
    assert {name: told[name] for name in said} == said
    kept = sqlite_web.get(f"/v1/programs/{pid}", version="draft")["balance_definitions"]
    (one,) = kept
    assert (one["title"], one["decimals"], one["credit_rounding"]) == ("Stars", 2, "down")
    assert (one["expiry"]["weeks"], one["expiry"]["end_of"]) == (2, "week")
    # what is left out of a change is taken away
    less = brevo.balance.with_raw_response.update_balance_definition(
        pid, str(shown.id), name="Stars", unit="POINTS", balance_expiration_date="31/12"
    )
    shown = strictly(BalanceDefinition, raw(less))
    assert (shown.balance_expiration_date, shown.balance_availability_duration_value) == ("31/12", None)
    assert (shown.max_amount, shown.balance_option_amount_overtaking_strategy) == (None, "strict")


@pytest.mark.parametrize(
    "wrong",
    [
        {"balance_availability_duration_value": 2},
        {
            "balance_availability_duration_value": 2,
            "balance_availability_duration_unit": "day",
            "balance_expiration_date": "31/12",
        },
        {"balance_expiration_date": "31/02"},
        {"balance_expiration_date": "12-31"},
        {"unit": "STARS"},
        {"min_amount": 10, "max_amount": 5},
        {"max_amount": 1.005},
        {"max_amount": -1},
        {"name": ""},
    ],
    ids=str,
)
def test_what_fits_nothing_is_422(brevo: Brevo, wrong: dict[str, Any]) -> None:
    pid = str(made(brevo).id)
    with pytest.raises(UnprocessableEntityError):
        brevo.balance.create_balance_definition(pid, **{"name": "Stars", "unit": "POINTS", **wrong})


def test_draft_and_active_stand_side_by_side(brevo: Brevo) -> None:
    pid = str(made(brevo).id)
    bdid = str(brevo.balance.create_balance_definition(pid, name="Stars", unit="POINTS").id)
    with pytest.raises(NotFoundError):
        brevo.balance.get_balance_definition(pid, bdid, version="active")
    brevo.program.publish_loyalty_program(pid)
    brevo.balance.update_balance_definition(pid, bdid, name="Moons", unit="POINTS")
    assert brevo.balance.get_balance_definition(pid, bdid, version="active").name == "Stars"
    assert brevo.balance.get_balance_definition(pid, bdid).name == "Moons"
    other = brevo.balance.create_balance_definition(pid, name="Cash", unit="EUR")
    listed = brevo.balance.get_balance_definition_list(pid, sort_field="name", sort="asc").items or []
    assert [one.name for one in listed] == ["Cash", "Moons"]
    assert [
        one.name for one in brevo.balance.get_balance_definition_list(pid, version="active").items or []
    ] == ["Stars"]
    brevo.balance.delete_balance_definition(pid, bdid)  # even the first one
    assert [one.id for one in brevo.balance.get_balance_definition_list(pid).items or []] == [other.id]
    brevo.program.publish_loyalty_program(pid)
    with pytest.raises(NotFoundError):
        brevo.balance.get_balance_definition(pid, bdid, version="active")


def test_limits(brevo: Brevo) -> None:
    pid = str(made(brevo).id)
    bdid = str(brevo.balance.create_balance_definition(pid, name="Stars", unit="POINTS").id)
    said: dict[str, Any] = {
        "constraint_type": "amount", "transaction_type": "credit", "duration_unit": "day",
        "duration_value": 2, "value": 100, "sliding_schedule": True,
    }  # fmt: skip
    limit = strictly(
        BalanceLimit, raw(brevo.balance.with_raw_response.create_balance_limit(pid, bdid, **said))
    )
    told = limit.model_dump(by_alias=False)
    assert {name: told[name] for name in said} == said
    assert limit.balance_definition_id == bdid
    fewer = said | {"constraint_type": "transaction", "value": 3, "sliding_schedule": False}
    brevo.balance.update_balance_limit(pid, bdid, limit.id, **fewer)
    shown = strictly(
        BalanceLimit, raw(brevo.balance.with_raw_response.get_balance_limit(pid, bdid, limit.id))
    )
    assert (shown.constraint_type, shown.value, shown.sliding_schedule) == ("transaction", 3, False)
    brevo.balance.delete_balance_limit(pid, bdid, limit.id)
    with pytest.raises(NotFoundError):
        brevo.balance.get_balance_limit(pid, bdid, limit.id)
    with pytest.raises(UnprocessableEntityError):
        brevo.balance.create_balance_limit(pid, bdid, **said | {"duration_value": 0})
