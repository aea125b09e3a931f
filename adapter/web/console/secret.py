"""What sessions are signed with: what the operator set, or a secret that an embedded database's machine made once."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from adapter.web.errors import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from adapter.web.parts import WebSettings

SET_IT = (
    "Set `console.secret` to the same 32 random letters or more wherever a web process runs, best by "
    "LOYALTY_CONSOLE__SECRET_FILE; `openssl rand -hex 32` makes some."
)


def secret_of(settings: WebSettings) -> str:
    """Return the secret.

    Raises `Problem` that says what to set: where the database may be shared by many machines, none of them can make
    one that the others know.
    """
    if settings.console_secret is not None:
        return settings.console_secret
    if settings.console_secret_file is None:
        raise Problem("unavailable", f"The console has no secret to sign sessions with. {SET_IT}")
    try:
        return _kept(settings.console_secret_file)
    except OSError as error:
        raise Problem("unavailable", f"The console's secret cannot be kept: {error}. {SET_IT}") from error


def _kept(path: Path) -> str:
    """Return what is in the file; where there is none, make it. Of several that make one, the first one's stays."""
    with suppress(FileNotFoundError):
        return path.read_text("ascii")
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink()
    return path.read_text("ascii")
