"""Requests and answers in the log, word for word but for secrets: a switch for the hour in which one needs it.

Off unless `log.requests` says so: bodies have people's addresses in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import structlog

from adapter.intake import is_secret, kept_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

log = structlog.get_logger()

SHOWN_BYTES = 4096
HIDDEN = "(hidden)"


def log_request(request_id: str, address: str, headers: Mapping[str, str], body: bytes) -> None:
    """Log what was asked; `address` is the method and the path."""
    told = shown_body(body)
    log.info(
        "request.received", request_id=request_id, address=address, headers=kept_headers(headers), body=told
    )


def log_answer(request_id: str, status: int, body: bytes) -> None:
    """Log what was answered."""
    log.info("request.answered", request_id=request_id, status=status, body=shown_body(body))


def shown_body(body: bytes) -> str:
    """Return the beginning of a body, every secret in it hidden; of one that is not JSON only its length."""
    if not body:
        return ""
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError:
        return f"{len(body)} bytes, not JSON"
    text = orjson.dumps(_hide(tree)).decode()
    return text if len(text) <= SHOWN_BYTES else f"{text[:SHOWN_BYTES]}… ({len(body)} bytes)"


def _hide(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _hide(value) if _may_show(name, value) else HIDDEN for name, value in tree.items()}
    return [_hide(one) for one in tree] if isinstance(tree, list) else tree


def _may_show(name: str, value: Any) -> bool:
    return not is_secret(name) or value is None or isinstance(value, bool)
