"""Webhooks as Brevo's clients manage them: endpoints of ours, in Brevo's words and with its schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from adapter.store.configuration import load_catalog
from connectors.brevo.vendor import VENDOR
from tests.web.conftest import TOKEN

if TYPE_CHECKING:
    from tests.web.conftest import Web

URL = "/v3/webhooks"
HOOK = "https://example.com/hook"


def ask(web: Web, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = web.client.open(path, method=method, json=body, headers={"api-key": TOKEN})
    assert answer.status_code == status, answer.get_data(as_text=True)
    return orjson.loads(answer.data) if answer.data else None


def create(web: Web, status: int = 201, **more: Any) -> Any:
    return ask(web, "POST", URL, {"url": HOOK, "events": ["balance_value_updated"], **more}, status)


def endpoint(web: Web) -> Any:
    """Return the only endpoint, as it is kept."""
    with web.engine.connect() as connection:
        (found,) = load_catalog(connection).endpoints.values()
    return found


def test_a_webhook_is_an_endpoint(web: Web) -> None:
    sent: dict[str, Any] = {
        "auth": {"type": "bearer", "token": "s3cret"},
        "headers": [{"key": "X-Shop", "value": "one"}],
        "description": "The mail team",
        "type": "marketing",
    }
    made = create(web, **sent)
    shown = ask(web, "GET", f"{URL}/{made['id']}")
    assert made["id"] < 2**53
    assert shown == {
        "id": made["id"],
        "type": "marketing",
        "url": HOOK,
        "description": "The mail team",
        "events": ["balance_value_updated"],
        "auth": {"type": "bearer", "token": "hidden"},
        "headers": [{"key": "X-Shop", "value": "hidden"}],
        "batched": False,
        "createdAt": "2026-11-18T11:06:40.000Z",
        "modifiedAt": "2026-11-18T11:06:40.000Z",
    }
    kept = endpoint(web)
    assert kept.headers == {"X-Shop": "one", "Authorization": "Bearer s3cret"}
    assert (kept.format, kept.schedule) == ("brevo", (600, 3600, 7200, 28800))
    assert web.get("/v1/endpoints")["data"][0]["format"] == "brevo"


def test_what_is_left_out_stays(sqlite_web: Web) -> None:
    made = create(sqlite_web, auth={"token": "s3cret"}, headers=[{"key": "X-Shop", "value": "one"}])
    path = f"{URL}/{made['id']}"
    sqlite_web.now += 1000
    ask(sqlite_web, "PUT", path, {"events": ["voucher_created", "voucher_redeemed"]}, 204)
    ask(sqlite_web, "PUT", path, {"headers": [{"key": "X-Other", "value": "two"}]}, 204)
    assert endpoint(sqlite_web).headers == {"X-Other": "two", "Authorization": "Bearer s3cret"}
    ask(sqlite_web, "PUT", path, {"auth": {"type": "Basic", "token": "other"}}, 204)
    assert endpoint(sqlite_web).headers == {"X-Other": "two", "Authorization": "Basic other"}
    shown = ask(sqlite_web, "GET", path)
    assert shown["events"] == ["voucher_created", "voucher_redeemed"]
    assert shown["modifiedAt"] == "2026-11-18T11:06:41.000Z"


def test_they_are_listed_and_removed(sqlite_web: Web) -> None:
    sqlite_web.post("/v1/endpoints", {"url": HOOK}, status=201)  # ours: none of Brevo's business
    first, second = (create(sqlite_web)["id"] for _ in range(2))
    assert [one["id"] for one in ask(sqlite_web, "GET", URL)["webhooks"]] == [second, first]
    assert [one["id"] for one in ask(sqlite_web, "GET", f"{URL}?sort=asc")["webhooks"]] == [first, second]
    assert ask(sqlite_web, "GET", f"{URL}?type=transactional")["webhooks"] == []
    ask(sqlite_web, "DELETE", f"{URL}/{first}", status=204)
    assert ask(sqlite_web, "GET", f"{URL}/{first}", status=404).keys() == {"code", "message"}
    ask(sqlite_web, "DELETE", f"{URL}/{first}", status=404)
    ask(sqlite_web, "PUT", f"{URL}/none", {"url": HOOK}, 404)
    assert len(ask(sqlite_web, "GET", URL)["webhooks"]) == 1


def test_without_events_it_hears_all(sqlite_web: Web) -> None:
    ask(sqlite_web, "POST", URL, {"url": HOOK}, 201)
    assert set(endpoint(sqlite_web).events) == set(VENDOR.event_types())


def test_an_account_has_forty(sqlite_web: Web) -> None:
    for _ in range(40):
        create(sqlite_web)
    assert "40" in create(sqlite_web, 422)["message"]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"url": "ftp://example.com"}, "url"),
        ({"events": ["opened"]}, "events"),
        ({"batched": True}, "batched"),
        ({"type": "inbound"}, "type"),
        ({"type": "transactional"}, "type"),
        ({"headers": [{"key": "webhook-id", "value": "x"}]}, "headers"),
    ],
)
def test_what_we_do_not_do_is_refused_by_name(sqlite_web: Web, wrong: dict[str, Any], named: str) -> None:
    refused = create(sqlite_web, 400, **wrong)
    assert named in refused["message"]
    assert ask(sqlite_web, "GET", URL)["webhooks"] == []
