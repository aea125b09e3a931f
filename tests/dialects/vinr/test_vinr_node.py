"""The code of VINR's guide, as somebody would write it in JavaScript, run by Node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.dialects.vinr.conftest import Vinr

NODE = shutil.which("node")
SCRIPT = Path(__file__).parent / "checkout.mjs"


@pytest.mark.skipif(NODE is None, reason="there is no node here")
def test_a_checkout_in_javascript(vinr: Vinr) -> None:
    assert NODE is not None
    run = subprocess.run(
        [NODE, SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"VINR_SECRET_KEY": vinr.token, "VINR_URL": f"{vinr.url}/vinr/v1"},
    )
    assert run.returncode == 0, run.stderr
    shown = json.loads(run.stdout)
    code = shown["discount"].pop("code")
    assert code.startswith("VINR-")
    events = shown.pop("events")
    assert shown == {
        "before": 1500,
        "same": True,
        "discount": {"amount": 500, "currency": "EUR"},
        "held": 1000,
        "charged": 2499,
        "applied": "applied",
        "earned": 24,
        "declined": [402, "payment_error", "card_declined"],
        "released": "released",
        "item": "fulfillment_pending",
        "sent": "fulfilled",
        "undone": "reversed",
        "refused": [422, "billing_error", "insufficient_balance"],
        "after": 124,  # 1500 - 500 + 24 - 3 bags of 300
        "sum": 124,
    }
    assert events == [
        "loyalty.account.created",
        "loyalty.points.earned",
        "loyalty.redemption.created",
        "payment.created",
        "loyalty.points.earned",
        "loyalty.redemption.applied",
        "payment.completed",
        "loyalty.redemption.created",
        "payment.created",
        "loyalty.redemption.released",
        "payment.failed",
        *["loyalty.redemption.created", "loyalty.redemption.fulfilled"],
        *["loyalty.redemption.created", "loyalty.redemption.reversed"],
        *["loyalty.redemption.created"] * 2,
    ]
