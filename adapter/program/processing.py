"""When points post: at once, or in a program that posts in batches at the next boundary of its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapter.clock import Millis
    from adapter.program.model import Program


def posts_at(ready_at: Millis, program: Program) -> Millis:
    """Return when points that nothing else holds back from then on can be used. Boundaries count from 1970, UTC."""
    if program.processing_mode == "realtime":
        return ready_at
    step = program.batch_interval_s * 1000
    return -(-ready_at // step) * step
