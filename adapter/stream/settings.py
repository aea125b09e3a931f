"""What an operator may say of the event stream."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Where the broker is, what is published there, and what is taken from there."""

    servers: tuple[str, ...] = ()  # URLs, any of which will do
    credentials_file: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    publish: str = ""  # the stream that messages go to
    subject: str = "loyalty"  # what the subjects of messages begin with
    publish_batch: int = 500  # messages that are under way to the broker at once
    consume: tuple[tuple[str, str], ...] = ()  # (source, stream that its events come from)
    trusted: bool = False  # whether events need no signature
    consume_batch: int = 256  # events that are offered to the door at once
    retry_after_s: float = 5.0  # how long an event, or an absent broker, is left alone
    poll_s: float = 0.2  # how long an idle publisher waits before it looks again

    @property
    def used(self) -> bool:
        """Return whether there is a broker, and anything to publish there or to consume."""
        return bool(self.servers and (self.publish or self.consume))
