"""Every error the adapter raises on purpose.

    AdapterError
    ├── ConfigurationError        settings or an apply file that cannot be used
    ├── SignatureInvalid          a request that is not from whom it says
    ├── Ignored                   an authentic webhook that has nothing to do with points
    ├── Rejected                  an authentic webhook that cannot be understood
    ├── ConnectorFailed           a connector tripped over what it read
    ├── Refused                   a command that the book's rules forbid
    │   ├── NotFound
    │   │   └── Gone              it is not kept any more
    │   └── Conflict
    └── Unavailable               nothing is wrong with the request; ask again (retryable)
        ├── Busy                  the door's queue is full
        ├── DatabaseUnavailable   locked, gone or full
        └── BrokerUnavailable     gone, or it did not take what it was given

Each has a stable `code`. What a code means over HTTP is decided in `web/errors.py` and nowhere else.
"""

from __future__ import annotations


class AdapterError(Exception):
    """Something went wrong that has a name."""

    code = "error"
    retryable = False

    def __init__(self, message: str = "", *, code: str | None = None, field: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").splitlines()[0])
        self.field = field
        if code is not None:
            self.code = code

    @property
    def message(self) -> str:
        return str(self.args[0])


class ConfigurationError(AdapterError):
    """The settings cannot be used."""

    code = "configuration_invalid"


class SignatureInvalid(AdapterError):
    """The signature does not match, is missing, malformed or too old."""

    code = "signature_invalid"


class Ignored(AdapterError):
    """A kind of webhook that has nothing to do with points."""

    code = "ignored"


class Rejected(AdapterError):
    """The webhook is authentic, but it cannot be understood."""

    code = "rejected"


class ConnectorFailed(AdapterError):
    """A connector tripped over what it read: a defect of ours, of which the message is the kind."""

    code = "connector_failed"


class Refused(AdapterError):
    """The book's rules do not allow this."""

    code = "refused"


class NotFound(Refused):
    """There is no such thing here."""

    code = "not_found"


class Gone(NotFound):
    """It is not kept any more."""

    code = "gone"


class Conflict(Refused):
    """A contradiction to what is already there."""

    code = "conflict"


class Unavailable(AdapterError):
    """The service cannot answer now; ask again."""

    code = "unavailable"
    retryable = True


class Busy(Unavailable):
    """More is waiting than can be taken in."""

    code = "busy"


class DatabaseUnavailable(Unavailable):
    """The database is locked, gone or full."""

    code = "database_unavailable"


class BrokerUnavailable(Unavailable):
    """The broker of the event stream is gone, or did not take what it was given."""

    code = "broker_unavailable"
