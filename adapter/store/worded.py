"""Statements in words. What is asked again and again is made into a statement once: SQLAlchemy looks for its names."""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import TextClause, text


@lru_cache(maxsize=256)
def worded(statement: str) -> TextClause:
    """Return a statement that says this."""
    return text(statement)
