"""Points redeemed at once instead of held for an order: spent, final for the order's facts, locked for the whole time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from adapter.engine.audit import audit
from adapter.engine.rebuild import rebuild
from adapter.program.model import Program
from adapter.store import tables as t
from tests.engine.test_audit import read
from tests.shop import NOW, begin, cancelled, customer, member_of, placed, publish, recorded

if TYPE_CHECKING:
    from tests.web.conftest import Web

URL = "/v1/redemptions"
MUG = {"id": "mug", "kind": "item", "cost": 300}


def furnished(web: Web, **redeeming: Any) -> Web:
    """Return a web where somebody has 450 points."""
    said = {"name": "main", "rewards": [MUG], "redeeming": redeeming}
    with web.engine.begin() as connection:
        publish(connection, Program.model_validate(said), version=2, at=1)
        connection.execute(t.configuration.update().values(version=t.configuration.c.version + 1))
    web.play(recorded(customer("7000")))
    web.play(begin(member_of(web.engine), 1, "credit", 450, complete=True))
    return web


def redeem(web: Web, points: int, *, status: int = 201, **more: Any) -> Any:
    return web.post(URL, {"member": "shop:7000", "points": points, "apply": True, **more}, status=status)


def balance(web: Web) -> tuple[int, int]:
    found = web.get("/v1/members/shop:7000/balance")
    return found["available"], found["reserved"]


def sound(web: Web) -> None:
    assert audit(web.engine) == []
    assert rebuild(web.engine, read) == []


def test_a_discount_is_spent_at_once_and_reversed_by_force(web: Web) -> None:
    """450 - 100 = 350 at once, and 450 again."""
    furnished(web, currency="EUR")
    begun = redeem(web, 100)
    assert (begun["state"], begun["usable"], begun["expires_at"]) == ("applied", False, None)
    assert begun["discount"]["amount"] == 100
    assert balance(web) == (350, 0)
    web.now = NOW + 30 * 86_400_000  # no deadline takes it back
    assert web.get(f"{URL}/{begun['id']}")["state"] == "applied"
    assert web.post(f"{URL}/{begun['id']}/reverse", status=422)["code"] == "already_applied"
    web.post(f"{URL}/{begun['id']}/reverse", {"force": True})
    assert balance(web) == (450, 0)
    sound(web)


def test_without_a_currency_points_are_spent_for_what_the_caller_gives(web: Web) -> None:
    furnished(web)
    held = redeem(web, 100, apply=False, status=422)
    assert held["code"] == "nothing_to_redeem"
    begun = redeem(web, 100)
    assert (begun["kind"], begun["state"]) == ("credit", "applied")
    assert begun["credit"] == {"amount": None, "currency": None, "balance_definition": None}
    assert balance(web) == (350, 0)
    web.post(f"{URL}/{begun['id']}/reverse", {"force": True})
    assert balance(web) == (450, 0)
    sound(web)


@pytest.mark.parametrize("redeeming", [{"currency": "EUR"}, {}])
def test_its_lock_lasts_for_its_whole_time(web: Web, redeeming: dict[str, Any]) -> None:
    """Locked for 60 s: at 59.999 s it holds, at 60 s it does not."""
    furnished(web, **redeeming)
    redeem(web, 100, lock_s=60)
    web.now = NOW + 59_999
    assert redeem(web, 100, status=409)["code"] == "balance_locked"
    assert web.get("/v1/members/shop:7000/redeemable")["locked_until"] is not None
    web.now = NOW + 60_000
    redeem(web, 100)
    assert balance(web) == (250, 0)
    sound(web)


def test_its_lock_ends_when_it_is_reversed(web: Web) -> None:
    furnished(web, currency="EUR")
    begun = redeem(web, 100, lock_s=3600)
    web.post(f"{URL}/{begun['id']}/reverse", {"force": True})
    redeem(web, 450)
    assert balance(web) == (0, 0)
    sound(web)


def test_what_its_order_says_does_not_take_it_back(web: Web) -> None:
    """The order is open, and later off: it was used at once all the same, and 350 stay."""
    furnished(web, currency="EUR")
    web.play(recorded(placed()))
    begun = redeem(web, 100, source="shop", order="1001")
    web.play(recorded(cancelled()))
    assert web.get(f"{URL}/{begun['id']}")["state"] == "applied"
    assert balance(web)[0] == 350
    sound(web)


def test_only_a_discount_is_applied(sqlite_web: Web) -> None:
    furnished(sqlite_web, currency="EUR")
    body = {"member": "shop:7000", "reward": "mug", "apply": True}
    refused = sqlite_web.post(URL, body, status=400)
    assert [one["field"] for one in refused["errors"]] == ["apply"]
