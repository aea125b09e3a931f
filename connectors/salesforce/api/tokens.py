"""Where a client begins: the versions there are, and the token that its credentials are good for."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import BaseModel, ConfigDict

from adapter import ids
from adapter.errors import AdapterError
from adapter.web.auth import Keys
from adapter.web.dialects import Answered, view_of
from adapter.web.errors import Answer
from adapter.web.routing import Call, Route
from connectors.salesforce.api.shown import VersionShown

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST, LAST = 54, 67
"""The versions of Salesforce's API that are answered; all alike."""


class TokenAsked(BaseModel):
    """The form of OAuth's client credentials: the secret is one of our API keys, the id whatever the client has."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    authorization: str = ""
    grant_type: str = ""
    client_secret: str = ""

    @property
    def secret(self) -> str:
        """Return the secret, which Basic authorization may carry instead."""
        scheme, _, credentials = self.authorization.partition(" ")
        if self.client_secret or scheme.lower() != "basic":
            return self.client_secret
        try:
            return b64decode(credentials).decode().partition(":")[2]
        except (NotBase64, UnicodeDecodeError):
            return ""


class TokenShown(Answered):
    """By OAuth's own names."""

    model_config = ConfigDict(extra="forbid", alias_generator=None)

    access_token: str
    instance_url: str
    id: str
    token_type: str
    issued_at: str
    signature: str


def token(call: Call) -> dict[str, Any] | Answer:
    """Give a client the token that its secret is."""
    asked: TokenAsked = call.body
    if asked.grant_type != "client_credentials":
        return _oauth_error(
            "unsupported_grant_type", "only client_credentials; the client secret is an API key"
        )
    try:
        key = Keys(call.parts.engine, 0).open({"x-api-key": asked.secret}, call.catalog, call.now)
    except AdapterError as error:
        return _oauth_error("invalid_client", error.message)
    url = call.parts.settings.public_url
    name = ids.show("key", key.id)
    return view_of(
        TokenShown(
            access_token=asked.secret,
            instance_url=url,
            id=f"{url}/id/{name}",
            token_type="Bearer",  # noqa: S106 - what it is called
            issued_at=str(call.now),
            signature="",
        )
    )


def _oauth_error(error: str, description: str) -> Answer:
    said: Mapping[str, str] = {"error": error, "error_description": description}
    return Answer(400, orjson.dumps(said))


def versions(_call: Call) -> list[dict[str, Any]]:
    """List the versions of the API."""
    return [
        view_of(
            VersionShown(label=f"Version {number}", url=f"/services/data/v{number}.0", version=f"{number}.0")
        )
        for number in range(FIRST, LAST + 1)
    ]


ROUTES = (
    Route(
        "GET",
        "/services/data",
        versions,
        "members:read",
        "The versions of the API, all alike",
        VersionShown,
        "Session",
    ),
    Route(
        "POST",
        "/services/oauth2/token",
        token,
        "none",
        "A token for a client's credentials: the client secret is an API key",
        TokenShown,
        "Session",
        body=TokenAsked,
        form=True,
    ),
)
