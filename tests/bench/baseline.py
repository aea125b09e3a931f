"""What we measure against: a Flask route that does nothing, and one that only checks the HMAC and parses the body."""

from __future__ import annotations

import base64
import hashlib
import hmac

import orjson
from flask import Flask, Response, request

from tests.bench.hooks import SECRET


def web() -> Flask:
    """Return the application."""
    app = Flask(__name__)

    @app.post("/nothing")
    def nothing() -> Response:
        return Response(b'{"status":"applied"}', content_type="application/json")

    @app.post("/check")
    def check() -> Response:
        body = request.get_data()
        expected = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
        if not hmac.compare_digest(expected, request.headers.get("X-WC-Webhook-Signature", "")):
            return Response(status=401)
        orjson.loads(body)
        return Response(b'{"status":"applied"}', content_type="application/json")

    return app


def serve(port: int, threads: int) -> None:
    """Serve it on the server that serves Flask fastest, on as many threads."""
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    Granian(
        "tests.bench.baseline:web",
        factory=True,
        interface=Interfaces.WSGI,
        port=port,
        workers=1,
        blocking_threads=threads,
        backpressure=threads * 4,
        log_level=LogLevels.error,
        websockets=False,
    ).serve()


if __name__ == "__main__":
    import sys

    serve(int(sys.argv[1]), int(sys.argv[2]))
