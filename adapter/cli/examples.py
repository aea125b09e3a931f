"""The examples at the end of each command's help."""

from __future__ import annotations


def examples(*lines: str) -> str:
    """Return a help epilog that shows these lines as they stand."""
    unwrapped = "\b"  # how click is told to leave a paragraph as it is
    return "\n".join([unwrapped, "Examples:", *(f"  {line}" for line in lines)])
