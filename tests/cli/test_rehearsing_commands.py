"""Rehearsing: what `send` signs is accepted by the connectors, and `listen` verifies what it hears."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import requests
from standardwebhooks import Webhook

from adapter.cli.listening import Ear, listening
from adapter.cli.rehearsal import signed_headers
from adapter.demo import payloads
from adapter.demo.stage import serving
from adapter.errors import ConfigurationError, SignatureInvalid
from connectors import CONNECTORS
from connectors.base import RawEvent, SourceSettings
from tests.cli.shell import SECRET, Shell, configured
from tests.service.test_killed import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

NOW_S = 1_795_000_000
BODY = b'{"id":1}'
TOPICS = {
    "shopify": "orders/create",
    "woocommerce": "order.created",
    "stripe": None,
    "standard": None,
    "brevo": None,
}


@pytest.mark.parametrize("connector", sorted(CONNECTORS))
def test_connectors_accept_what_is_signed_for_them(connector: str) -> None:
    """`standard` and `brevo` are signed by the official package, the others by their own documents."""
    told = signed_headers(connector, BODY, SECRET, now_s=NOW_S, topic=TOPICS[connector])
    headers = {name.lower(): value for name, value in told.items()}
    raw = RawEvent(headers, BODY, NOW_S * 1000)
    CONNECTORS[connector].verify(raw, SourceSettings("shop", (SECRET,)))
    with pytest.raises(SignatureInvalid):
        CONNECTORS[connector].verify(
            RawEvent(headers, BODY + b" ", NOW_S * 1000), SourceSettings("shop", (SECRET,))
        )


@pytest.mark.parametrize(
    ("connector", "secret", "said"),
    [
        ("shopify", SECRET, "--topic orders/create"),
        ("woocommerce", SECRET, "--topic order.created"),
        ("standard", "whsec_", "whsec_<base64>"),
        ("magento", SECRET, "there are shopify, woocommerce, stripe, standard, brevo"),
    ],
)
def test_what_cannot_be_signed_is_said(connector: str, secret: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        signed_headers(connector, BODY, secret, now_s=NOW_S)


def _post(url: str, body: bytes, secret: str = SECRET) -> int:
    now = datetime.now(UTC)
    signature = Webhook(secret).sign("msg_1", now, body.decode("utf-8", "replace"))
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    return requests.post(url, data=body, headers=headers, timeout=60).status_code


CHANGES = {"pending": -99, "available": "99.50"}
DATA = {"sequence": 4, "chain_head": "abcdef0123456789", "changes": CHANGES}
BALANCE = orjson.dumps({"type": "balance.updated", "data": DATA})


def test_an_ear_fails_as_often_as_asked_and_then_answers() -> None:
    told: list[str] = []
    ear = Ear((SECRET,), fail=2, status=503, tell=lambda heard: told.append(heard.line()))
    with listening(ear) as url:
        assert [_post(url, BALANCE) for _ in range(3)] == [503, 503, 204]
    assert told[2] == (
        "balance.updated  msg_1  sequence 4 chain abcdef01…  pending -99 available +99.50  verified ✓  → 204"
    )
    assert told[0].endswith("verified ✓  → 503")


def test_an_ear_refuses_what_does_not_verify() -> None:
    other = "whsec_" + "b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXI="
    ear = Ear((SECRET,))
    with listening(ear) as url:
        assert _post(url, BALANCE, other) == 401
        assert requests.post(url, data=b"\xff[", timeout=60).status_code == 401
        assert requests.post(url, data=b"[]", timeout=60).status_code == 401
    assert [one.verified for one in ear.heard] == [False] * 3
    assert ear.heard[1].line() == "not a message  without webhook-id  NOT VERIFIED ✗  → 401"
    assert ear.wait_for(lambda heard: len(heard) > 3, 0.01) is False


def test_an_ear_verifies_by_any_of_its_secrets_or_by_none() -> None:
    other = "whsec_" + "b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXI="
    several, none = Ear((SECRET, other)), Ear(fail=-1)
    with listening(several) as url:
        assert _post(url, BALANCE, other) == 204
    with listening(none) as url:
        assert [_post(url, b'{"type":"x"}') for _ in range(2)] == [500, 500]
        taken = url.rpartition(":")[2].partition("/")[0]
        with pytest.raises(ConfigurationError, match=f"port {taken}"), listening(none, int(taken)):
            pass
    assert none.heard[0].line() == "x  msg_1  not checked  → 500"


def test_listen_prints_a_line_for_each_message_until_it_is_told_to_stop() -> None:
    command = [
        sys.executable,
        "-u",
        "-m",
        "adapter.cli",
        "listen",
        "--port",
        "0",
        "--secret",
        SECRET,
        "--fail",
        "1",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        assert [_post(url, BALANCE) for _ in range(2)] == [500, 204]
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0
    assert [line.split()[-1] for line in lines] == ["500", "204"]


def test_listen_refuses_a_secret_that_is_none(sqlite_shell: Shell) -> None:
    assert "not a whsec_ secret" in sqlite_shell.fails("listen", "--secret", "whsec_!")


def _configured_shop(engine: Engine) -> None:
    """Make the source that `tests.shop` configures one of Shopify's."""
    configured(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE sources SET connector = 'shopify', secrets = '[\"hush\"]'")


def test_send_and_listen_against_the_running_service(
    tmp_path: Path, sqlite_database: Engine, sqlite_shell: Shell
) -> None:
    """`tmp_path/loyalty.db` is both fixtures' database and that of `LOYALTY_DATA_DIR=tmp_path`."""
    from adapter.store.migrate import stamp

    stamp(sqlite_database)
    _configured_shop(sqlite_database)
    now = int(time.time())
    order, ear = tmp_path / "order.json", Ear((SECRET,))
    order.write_bytes(
        orjson.dumps(payloads.shopify_order(1001, placed=now - 60, updated=now - 30, shipped=True))
    )
    with listening(ear) as hook:
        sqlite_shell("endpoints", "add", hook, "--secret", SECRET, "--event", "balance.updated")
        with serving(tmp_path) as url:
            send: Any = ("send", str(order), "--source", "shop", "--url", url)
            assert '"status":"applied"' in sqlite_shell(*send, "--topic", "orders/create").stdout
            assert '"duplicate":true' in sqlite_shell(*send, "--topic", "orders/create").stdout
            forged = sqlite_shell(*send, "--topic", "orders/create", "--secret", "guessed", exits=1).stdout
            assert forged.startswith("401 ")
            assert "--topic orders/create" in sqlite_shell.fails(*send)
            assert ear.wait_for(lambda heard: len(heard) == 1, 120)
            # what was heard is recorded a moment later
            wait_for(lambda: bool(sqlite_shell.json("deliveries", "list", "--state", "delivered")), 120)
            replayed = sqlite_shell("deliveries", "replay", "--state", "delivered").stdout
            assert "1 sent, 0 failed" in replayed
        assert "is `loyalty-adapter serve` running" in sqlite_shell.fails(*send, "--topic", "orders/create")
    assert [one.line().split()[-2:] for one in ear.heard] == [["→", "204"]] * 2
    assert len({one.id for one in ear.heard}) == 1
    assert sqlite_shell("audit").stdout.startswith("the book is right")
    assert sqlite_shell("rebuild").stdout.startswith("the book is right")


def test_send_needs_to_know_the_source(sqlite_shell: Shell, tmp_path: Path, sqlite_database: Engine) -> None:
    _configured_shop(sqlite_database)
    file = tmp_path / "x.json"
    file.write_bytes(BODY)
    assert "there are: shop" in sqlite_shell.fails("send", str(file), "--source", "other")
    given = ("--connector", "stripe", "--secret", "s", "--url", "http://127.0.0.1:9")
    assert "nothing answers at http://127.0.0.1:9" in sqlite_shell.fails(
        "send", str(file), "--source", "other", *given
    )
