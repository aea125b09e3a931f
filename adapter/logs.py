"""Logs: one line an event, as JSON for machines or as text for people."""

from __future__ import annotations

import logging
import sys

import structlog


def configure_logs(level: str = "info", style: str = "text") -> None:
    """Write structlog's events to standard error: standard output belongs to what was asked for."""
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
