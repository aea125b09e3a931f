"""What came back from one request."""

from __future__ import annotations

from dataclasses import dataclass

PROMPT_MS = 250
"""Who answers within this is sent the next delivery by the same thread at once."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one attempt. The status decides; without one, `error` says why there is none.

    `retry_after` is the header as it came. `response` is the beginning of the body, cleaned for storage. With
    a status, `error` may still tell that the body did not end well.
    """

    status: int | None
    duration_ms: int
    error: str | None = None
    retry_after: str | None = None
    response: str = ""
    hopeless: bool = False  # nothing was sent, and trying again would not help

    @property
    def delivered(self) -> bool:
        """Only 2xx is a success; a redirect is not."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - the statuses of success

    @property
    def prompt(self) -> bool:
        """A success, and soon."""
        return self.delivered and self.duration_ms <= PROMPT_MS

    @property
    def gone(self) -> bool:
        """The receiver says that it wants nothing any more (410)."""
        return self.status == 410  # noqa: PLR2004 - "Gone"

    @property
    def reason(self) -> str:
        """Say in a few words what is wrong with it."""
        return self.error or f"answered {self.status}"
