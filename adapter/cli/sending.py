"""`send`: posts a JSON file to a source, signed as the source's platform signs."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from adapter.cli.examples import examples
from adapter.cli.place import Place, pass_place
from adapter.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests import Response

TIMEOUT_S = 30


@click.command(
    epilog=examples(
        "loyalty-adapter send order.json --source shop --topic orders/create",
        "loyalty-adapter send payment.json --source pay",
        "loyalty-adapter send order.json --source shop --topic orders/create --secret wrong    see a 401",
        "loyalty-adapter send order.json --source woo --connector woocommerce --secret s3cret \\",
        "    --topic order.created --url https://loyalty.example.com",
    ),
)
@click.argument("fixture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--source", required=True, metavar="NAME", help="Where to: POST /webhooks/NAME.")
@click.option("--topic", metavar="TOPIC", help="The platform's topic, where a header names it.")
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="Where the service is.")
@click.option("--secret", help="Sign with this; without it with the source's own, from the database.")
@click.option("--connector", metavar="NAME", help="Sign as this platform; without it as the source's.")
@pass_place
def send(
    place: Place,
    fixture: Path,
    source: str,
    *,
    topic: str | None,
    url: str,
    secret: str | None,
    connector: str | None,
) -> None:
    """Post the JSON file FIXTURE to a source, signed as its platform does, and print the answer."""
    from adapter.cli.rehearsal import signed_headers

    if secret is None or connector is None:
        known_connector, known_secret = _configured(place, source)
        connector, secret = connector or known_connector, secret or known_secret
    body = fixture.read_bytes()
    headers = signed_headers(connector, body, secret, now_s=int(time.time()), topic=topic)
    answer = post(f"{url.rstrip('/')}/webhooks/{quote(source, safe='')}", body, headers)
    click.echo(f"{answer.status_code} {answer.reason}: {answer.text}")
    sys.exit(0 if answer.ok else 1)


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Response:
    """Post, and return whatever is answered. Raises `Unavailable` where nothing answers."""
    import requests

    try:
        return requests.post(url, data=body, headers=dict(headers), timeout=TIMEOUT_S, allow_redirects=False)
    except requests.RequestException as error:
        raise Unavailable(f"nothing answers at {url}: is `loyalty-adapter serve` running there?") from error


def _configured(place: Place, name: str) -> tuple[str, str]:
    """Return the connector and the newest secret of a source."""
    from adapter.store.configuration import load_catalog

    with place.database() as engine, engine.connect() as connection:
        sources = load_catalog(connection).sources
    if name not in sources:
        known = ", ".join(sorted(sources)) or "none"
        raise ConfigurationError(
            f"there is no source {name!r} in this database; there are: {known}. For another one, "
            "give --connector and --secret"
        )
    return sources[name].connector, sources[name].secrets[0]
