"""How delivery behaves: the numbers an operator may turn, with the values that suit most."""

from __future__ import annotations

from dataclasses import dataclass

from adapter.errors import ConfigurationError

DEFAULT_SCHEDULE_S = (5, 60, 300, 1800, 7200, 21_600, 43_200, 86_400, 86_400)
"""Seconds before each retry: nine of them over almost three days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """Everything that the dispatcher can be told. Raises `ConfigurationError` for what cannot work."""

    workers: int = 32  # requests in flight to endpoints that answer
    line: int = 16  # deliveries claimed, at most, for each of them, while the endpoint answers promptly
    slow_workers: int = 96  # further threads, only for requests that wait longer than `slow_after_s`
    slow_after_s: float = 1.0  # an endpoint that lets a request wait longer is slow until it answers sooner
    poll_s: float = 0.2  # the longest that a dispatcher waits before it looks again; a busy one looks sooner
    linger_s: float = 0.01  # how long answers are gathered before they are recorded in one commit
    housekeeping_s: float = 1.0  # how often replays are fed and disabled endpoints are looked at
    connect_timeout_s: float = 5.0
    lease_margin_s: float = 15.0  # a claim lasts this much longer than the endpoint's own timeout
    retry_after_cap_s: int = 86_400  # the longest wait that an endpoint may ask for
    disable_after_s: int = 432_000  # an endpoint is disabled when it has failed for this long …
    disable_after_failures: int = 20  # … and at least this often in a row
    probe_first_s: int = (
        3_600  # a disabled endpoint is tried again after this long, then after twice as long …
    )
    probe_last_s: int = 86_400  # … but at least this often
    replay_chunk: int = 500  # how many deliveries of one replay are due at a time
    response_keep_bytes: int = 1_024  # how much of an answer's body is stored
    response_read_bytes: int = 16_384  # how much of it is read before the connection is given up
    ca_file: str | None = None  # certificate authorities to trust instead of the public ones

    def __post_init__(self) -> None:
        for name in (
            "workers",
            "line",
            "slow_workers",
            "disable_after_failures",
            "replay_chunk",
            "response_read_bytes",
        ):
            self._require(name, at_least=1)
        for name in ("slow_after_s", "poll_s", "connect_timeout_s", "probe_first_s"):
            self._require(name, at_least=0.001)
        # Without a margin a lease would run out while its request is still under way, and be sent twice.
        self._require("lease_margin_s", at_least=1)

    def _require(self, name: str, *, at_least: float) -> None:
        if getattr(self, name) < at_least:
            raise ConfigurationError(f"delivery.{name} must be at least {at_least}", field=f"delivery.{name}")

    def lease_ms(self, timeout_s: float) -> int:
        """Return how long a claim on a delivery lasts: always longer than its request can take."""
        return int((max(timeout_s, self.connect_timeout_s) + self.lease_margin_s) * 1000)
