"""Members: finding one, and everything that there is to say of one."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from adapter.clock import Millis, parse
from adapter.errors import NotFound
from adapter.web.console.visit import go
from adapter.web.rendering import segment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.web.console.visit import Visit
    from adapter.web.errors import Answer

DAY_MS = 86_400_000
WARN_MS = 30 * DAY_MS
SOME = "20"


def members(visit: Visit) -> Answer:
    """List members, or find some: by id, by a shop's customer id, by e-mail address."""
    who = visit.asked("who")["who"]
    found = _found(visit, who, visit.query.get("cursor", ""))
    if who and len(found["data"]) == 1:
        return go(f"/console/members/{found['data'][0]['id']}")
    return visit.page("members.html", who=who, found=found)


def _found(visit: Visit, who: str, cursor: str) -> Any:
    """Return a page of members. Whoever was merged into somebody is that one where they are named."""
    if "@" in who and ":" not in who:
        return visit.get("/v1/members", email=who, include_deleted="true", cursor=cursor)
    if not who:
        return visit.get("/v1/members", cursor=cursor)
    try:
        one = visit.get("/v1/members/{member}", {"member": who}, include_deleted="true")
    except NotFound:
        return {"data": [], "next_cursor": None}
    return {"data": [one], "next_cursor": None}


def member(visit: Visit) -> Answer:
    """Show one member: the balances, one of them in full, and what became of the points."""
    one = visit.get("/v1/members/{member}", visit.path, include_deleted="true")
    if one["id"] != visit.path["member"]:
        return go(f"/console/members/{segment(one['id'])}")
    balance = _chosen(one["balances"], visit.asked("program", "balance_definition"))
    values: dict[str, Any] = {"member": one, "balance": balance, "active": one["state"] == "active"}
    if balance is not None:
        which = {name: balance[name] for name in ("program", "balance_definition")}
        values["explained"] = visit.get("/v1/members/{member}/explain", visit.path, **which)
        values |= _in_full(visit, balance, which) if values["active"] else {}
    return visit.page("member.html", **values, **_had(visit, values["active"]))


def _chosen(balances: list[dict[str, Any]], asked: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the balance that the address names; the first where it names none."""
    named = [one for one in balances if all(one[name] == value for name, value in asked.items() if value)]
    if balances and not named:
        raise NotFound("This member has no such balance; choose one on the member's page.")
    return named[0] if named else None


def _in_full(visit: Visit, balance: dict[str, Any], which: dict[str, str]) -> dict[str, Any]:
    redeemable = visit.get("/v1/members/{member}/redeemable", visit.path, **which)
    cursor = visit.query.get("cursor", "")
    return {
        "redeemable": redeemable,
        "checkout": checkout(balance, redeemable),
        "warning": expiry_warning(balance["expiring"], visit.now),
        "statement": visit.get("/v1/members/{member}/statement", visit.path, cursor=cursor, **which),
    }


def _had(visit: Visit, active: bool) -> dict[str, Any]:
    """Return the member's tiers, redemptions and vouchers, as far as the key may see them."""
    whose = visit.path["member"]
    had: dict[str, Any] = {"tiers": [], "redemptions": None, "vouchers": None}
    if not active:
        return had
    had["tiers"] = visit.get("/v1/members/{member}/tiers", visit.path)["tiers"]
    for name in ("redemptions", "vouchers"):
        if visit.may("GET", f"/v1/{name}"):
            had[name] = visit.get(f"/v1/{name}", member=whose, limit=SOME)
    return had


def checkout(balance: Mapping[str, Any], redeemable: Mapping[str, Any]) -> dict[str, int | str]:
    """Return what a checkout shows: what there is, what is usable, what is not yet, what can be redeemed now."""
    return {
        "Total Points": balance["total"],
        "Available Now": balance["available"],
        "Processing": balance["pending"],
        "Can Redeem": redeemable["most"]["points"],
    }


def expiry_warning(expiring: Mapping[str, Any], now: Millis) -> str | None:
    """Return the warning of points that end in less than 30 days; None where there are none."""
    if expiring["next_at"] is None or Decimal(expiring["amount"]) <= 0:
        return None
    if parse(expiring["next_at"]) - now >= WARN_MS:
        return None
    return f"{expiring['amount']} points expiring on {expiring['next_at'][:10]}"
