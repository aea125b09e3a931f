"""Logs: one line an event, as JSON for machines or as text for people.

structlog brings rich with it where there is one, to draw tracebacks with, which we never ask for: 5 MB in each of four
processes. So it is loaded as if there were none.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

_modules: dict[str, Any] = sys.modules
_rich = _modules.get("rich")
_modules["rich"] = None

import structlog  # noqa: E402 - see above

del _modules["rich"]
if _rich is not None:
    _modules["rich"] = _rich


def configure_logs(level: str = "info", style: str = "text") -> None:
    """Write structlog's events to standard error: standard output belongs to what was asked for."""
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns of what it raises besides
    render = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
