"""Members in the console: found, and shown with the numbers that the API has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from adapter.clock import iso
from adapter.web.console.members import checkout, expiry_warning
from tests.shop import DAY, NOW, begin, customer, member_of, merge, placed, recorded, shipped, turn
from tests.web.console.conftest import Browser, published

if TYPE_CHECKING:
    from tests.web.conftest import Web

REDEEMING = {"burn_rate": "0.01", "currency": "EUR", "increment": "0.50", "minimum": "1.00"}


def furnished(web: Web, *, available: int, pending: int, **program: Any) -> str:
    """Return the id of a member with so many points, in a program that says this as well."""
    published(web, 2, **program)
    web.play(recorded(customer("7000", email="jo@example.com", name="Jo Larsen")))
    number = member_of(web.engine)
    if available:
        web.play(begin(number, 1, "credit", available, complete=True))
    if pending:
        web.play(begin(number, 2, "credit", pending))
    return str(web.get("/v1/members/shop:7000")["id"])


def figures(browser: Browser, member: str) -> dict[str, str]:
    """Return the panels of a member's page, by their labels."""
    text = browser.client.get(f"/console/members/{member}").get_data(as_text=True)
    return {
        label: re.sub(r"<[^>]*>", "", figure).strip()
        for label, figure in re.findall(r"<div><dt>(.*?)</dt><dd>(.*?)</dd></div>", text)
    }


def test_the_checkout_panel_has_its_four_labels(browser: Browser) -> None:
    """450 can be used and 400 cannot yet: 850 in all, of which 450 can be redeemed now."""
    member = furnished(browser.web, available=450, pending=400, redeeming=REDEEMING)
    shown = figures(browser, member)
    assert list(shown)[:4] == ["Total Points", "Available Now", "Processing", "Can Redeem"]
    assert [shown[name] for name in list(shown)[:4]] == ["850", "450", "400", "450"]


def test_the_redeemable_numbers_are_those_of_the_api(browser: Browser) -> None:
    """5510 points are 55.10, of which 50.00 can be redeemed in one go, in steps of 10.00."""
    redeeming = {**REDEEMING, "increment": "10.00"}
    member = furnished(browser.web, available=5510, pending=0, redeeming=redeeming)
    most = browser.web.get(f"/v1/members/{member}/redeemable")["most"]
    assert most == {"points": 5000, "money": "50.00"}
    shown = figures(browser, member)
    assert (shown["Redeemable Balance"], shown["Redeemable Value"]) == ("5000", "50.00 EUR")
    assert (shown["Available Now"], shown["Can Redeem"]) == ("5510", "5000")


def test_where_nothing_can_be_redeemed_the_page_says_why(sqlite_browser: Browser) -> None:
    member = furnished(sqlite_browser.web, available=99, pending=0, redeeming=REDEEMING)
    shown = figures(sqlite_browser, member)
    assert (shown["Redeemable Balance"], shown["Redeemable Value"], shown["Can Redeem"]) == (
        "0",
        "0.00 EUR",
        "0",
    )
    assert "Nothing can be redeemed now" in sqlite_browser.open(f"/console/members/{member}").text


@pytest.mark.parametrize(
    ("why", "days", "points", "warned"),
    [
        ("29 days ahead", 29, 450, True),
        ("31 days ahead", 31, 450, False),
        ("30 days ahead are not fewer than 30", 30, 450, False),
        ("no points", 29, 0, False),
    ],
)
def test_points_that_end_in_less_than_thirty_days_are_warned_of(
    sqlite_browser: Browser, why: str, days: int, points: int, warned: bool
) -> None:
    member = furnished(sqlite_browser.web, available=points, pending=400, expiry={"days": days})
    text = sqlite_browser.open(f"/console/members/{member}").text
    said = f"{points} points expiring on {iso(NOW + days * DAY)[:10]}"
    assert (said in text) == warned, why
    assert ("points expiring on" in text) == warned, why


@pytest.mark.parametrize(
    ("amount", "next_at", "warning"),
    [
        (66, NOW + 30 * DAY - 1, "66 points expiring on 2026-12-18"),
        (66, NOW + 30 * DAY, None),
        ("12.50", NOW + DAY, "12.50 points expiring on 2026-11-19"),
        ("0.00", NOW + DAY, None),
        (0, NOW + DAY, None),
        (66, None, None),
    ],
)
def test_a_warning_says_how_many_and_when(
    amount: int | str, next_at: int | None, warning: str | None
) -> None:
    expiring = {"amount": amount, "next_at": None if next_at is None else iso(next_at)}
    assert expiry_warning(expiring, NOW) == warning


def test_the_panel_is_made_of_the_balance_and_what_is_redeemable() -> None:
    balance = {"total": 850, "available": 450, "pending": 400}
    assert checkout(balance, {"most": {"points": 450}}) == {
        "Total Points": 850,
        "Available Now": 450,
        "Processing": 400,
        "Can Redeem": 450,
    }


@pytest.mark.parametrize("who", ["shop:7000", "jo@example.com", "id"])
def test_a_member_is_found_by_any_name(sqlite_browser: Browser, who: str) -> None:
    member = furnished(sqlite_browser.web, available=5, pending=0)
    answer = sqlite_browser.client.get(
        "/console/members", query_string={"who": member if who == "id" else who}
    )
    assert answer.headers["Location"] == f"/console/members/{member}"
    assert sqlite_browser.client.get(f"/console/members/{who}").status_code == 303 or who == "id"
    page = sqlite_browser.open(f"/console/members/{member}")
    assert "Jo Larsen active" in page.text
    assert "shop:7000" in page.text


def test_who_is_not_there_is_not_found(sqlite_browser: Browser) -> None:
    for who in ("shop:1", "no@example.com", "mem_0000000000005", "x", "%"):
        page = sqlite_browser.open(f"/console/members?who={quote(who)}")
        assert f"There is no member {who} here" in page.text


def test_two_members_with_one_address_are_both_listed(sqlite_browser: Browser) -> None:
    for number in ("1", "2"):
        sqlite_browser.web.play(recorded(customer(number, email="we@example.com")))
    text = sqlite_browser.open("/console/members?who=we@example.com").text
    assert "shop:1" in text
    assert "shop:2" in text


def test_a_page_tells_the_whole_story(browser: Browser) -> None:
    web = browser.web
    web.play(recorded(customer()), recorded(placed()), recorded(shipped()))
    member = web.get("/v1/members/shop:7000")["id"]
    web.post("/v1/redemptions", {"member": member, "reward": "rwd_totebag"}, status=201)
    voucher = web.post("/v1/vouchers", {"member": member, "percent": "10"}, status=201)
    text = browser.open(f"/console/members/{member}").text
    told = web.get(f"/v1/members/{member}/explain")
    for sentence in (*told["sentences"], *told["orders"][0]["sentences"]):
        assert sentence in text
    lines = web.get(f"/v1/members/{member}/statement")["data"]
    assert all(f"{line['from']} → {line['to']}" in text for line in lines)
    assert voucher["code"] in text
    assert "rwd_totebag" in text
    assert "main: status basic" in text


def test_a_statement_has_pages(sqlite_browser: Browser) -> None:
    member = furnished(sqlite_browser.web, available=1, pending=0)
    number = member_of(sqlite_browser.web.engine)
    sqlite_browser.web.play(*(begin(number, 10 + one, "credit", 1, complete=True) for one in range(60)))
    page = sqlite_browser.open(f"/console/members/{member}")
    (following,) = [link for link in page.links if "cursor=" in link]
    assert page.text.count("issued → available") == 50
    assert sqlite_browser.open(following).text.count("issued → available") == 11


def test_each_balance_has_its_own_page(sqlite_browser: Browser) -> None:
    web = sqlite_browser.web
    member = furnished(web, available=7, pending=0)
    published(
        web, 3, balance_definitions=[{"name": "points"}, {"name": "cash", "unit": "cents", "decimals": 2}]
    )
    with web.engine.begin() as connection:
        from adapter.store import tables as t

        connection.execute(
            t.definitions.insert().values(env=1, id=2, program="main", name="cash", unit="cash", decimals=2)
        )
    web.play(begin(member_of(web.engine), 5, "credit", 1250, complete=True, definition=2))
    page = sqlite_browser.open(f"/console/members/{member}")
    (cash,) = [link for link in page.links if "balance_definition=cash" in link]
    assert "Points of main" in page.text
    assert "Cash of main" in sqlite_browser.open(cash).text
    assert figures(sqlite_browser, f"{member}?balance_definition=cash")["Available Now"] == "12.50"
    sqlite_browser.open(f"/console/members/{member}?balance_definition=miles", status=404)


@pytest.mark.parametrize("state", ["deleted", "erased"])
def test_who_is_no_member_any_more_is_shown_as_such(sqlite_browser: Browser, state: str) -> None:
    member = furnished(sqlite_browser.web, available=5, pending=0)
    number = member_of(sqlite_browser.web.engine)
    sqlite_browser.web.play(turn(1, number, "deleted"))
    if state == "erased":
        sqlite_browser.web.play(turn(2, number, "erased"))
    page = sqlite_browser.open(f"/console/members/{member}")
    assert f" {state} " in page.text
    assert "Total Points" not in page.text
    assert ("Jo Larsen" in page.text) == (state == "deleted")


def test_who_was_merged_leads_to_who_has_their_points(sqlite_browser: Browser) -> None:
    web = sqlite_browser.web
    member = furnished(web, available=5, pending=0)
    web.play(recorded(customer("7001")))
    other = web.get("/v1/members/shop:7001")["id"]
    web.play(merge(member_of(web.engine), member_of(web.engine, "7001")))
    assert (
        sqlite_browser.client.get(f"/console/members/{member}").headers["Location"]
        == f"/console/members/{other}"
    )


def test_a_key_for_members_alone_sees_no_redemptions(sqlite_shop: Web) -> None:
    from tests.web.conftest import keyed

    member = furnished(sqlite_shop, available=450, pending=0)
    keyed(sqlite_shop.engine, 1, "sk_test_support", "members:read")
    browser = Browser(sqlite_shop)
    browser.sign_in("sk_test_support")
    page = browser.open(f"/console/members/{member}")
    assert "Can Redeem" in page.text
    assert "Vouchers" not in page.text
