"""Random lists of rules for tests: they need not make sense, they must only be decided the same way every time."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from adapter.program.model import Earning

SKUS = ("A", "B", "C")
_RATE = st.sampled_from(["0.05", "0.333", "1", "2.5"])


@st.composite
def _rule(draw: st.DrawFn, name: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"name": name}
    kind = draw(st.sampled_from(["rate", "rates", "bonus", "per_item"]))
    rate = draw(_RATE)
    rule |= {kind: {"rate": rate, "rates": {"EUR": rate}, "bonus": 30, "per_item": rate}[kind]}
    for key, values in (
        ("only", [{"skus": ["A"]}, {"skus": ["A", "B"]}]),
        ("exclude", [{"skus": ["B"]}]),
        ("minimum", ["20.00"]),
        ("cap", [25]),
        ("multiplier", ["1.5"]),
        ("tier_multipliers", [{"gold": "2"}]),
        ("starts", ["2026-11-07", "2026-11-09"]),
        ("ends", ["2026-11-09", "2026-11-10T12:00:00"]),
    ):
        if draw(st.integers(0, 3)) == 0:
            rule[key] = draw(st.sampled_from(values))
    return rule


@st.composite
def earnings(draw: st.DrawFn) -> Earning:
    """Draw the earning part of a program, with one to four rules."""
    names = ["base", "coffee", "friday", "welcome"][: draw(st.integers(1, 4))]
    return Earning.model_validate(
        {
            "rules": [draw(_rule(name)) for name in names],
            "combine": draw(st.sampled_from(["sum", "best"])),
            "rounding": draw(st.sampled_from(["down", "half_up", "up"])),
            "cap": draw(st.sampled_from([None, None, 40])),
            "minimum": draw(st.sampled_from(["0", "0", "15"])),
        }
    )
