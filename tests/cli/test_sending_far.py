"""`send` against a service that is somewhere else, played."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import responses
from click.testing import CliRunner

from adapter.cli import main

if TYPE_CHECKING:
    from pathlib import Path

FAR = "https://loyalty.example/webhooks/shop"


@pytest.mark.parametrize(
    ("status", "shown", "exit_code"), [(200, "applied", 0), (401, "signature_invalid", 1)]
)
@responses.activate
def test_the_answer_of_a_far_service_is_shown(
    tmp_path: Path, status: int, shown: str, exit_code: int
) -> None:
    responses.post(FAR, status=status, json={"status": shown, "code": shown, "detail": shown})
    fixture = tmp_path / "order.json"
    fixture.write_text('{"id": 1001}')
    options = ["--connector", "shopify", "--secret", "hush", "--topic", "orders/create"]
    result = CliRunner().invoke(
        main, ["send", str(fixture), "--source", "shop", "--url", "https://loyalty.example", *options]
    )
    assert shown in result.output
    assert result.exit_code == exit_code, result.output
    headers = responses.calls[0].request.headers
    assert headers["X-Shopify-Topic"] == "orders/create"
    assert headers["X-Shopify-Hmac-SHA256"]
