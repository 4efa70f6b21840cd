"""One JSON line per request, and a reference that log, page and ``X-Request-Id`` share.

It never has query strings, form values or paths: they contain codes, tickets and ids.  It names
the route instead.
"""

import json
import logging
import secrets
import sys
import time
from typing import Final, TextIO

from flask import Flask, Response, g, has_request_context, request

from portal.clock import rfc3339
from portal.contract import TrustedProxies

_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without letters and digits that are easily confused when read aloud."""
_AUDIT: Final = "portal.audit"
_LOGGER: Final = logging.getLogger("portal.requests")


def new_reference() -> str:
    """Return eight random characters that identify one request."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


def install_request_log(app: Flask, trusted: TrustedProxies) -> None:
    """Give every request of *app* a reference, and log its response with the client behind *trusted* proxies."""

    @app.before_request
    def add_reference() -> None:
        g.reference = new_reference()
        g.began = time.monotonic()

    @app.after_request
    def log_request(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.reference
        # Health checks are frequent; what is missing is logged when it changes.
        if request.endpoint not in {"static", "health.alive", "health.ready"}:
            client = trusted.client_of(request.remote_addr, request.headers.getlist("X-Forwarded-For"))
            fields = {
                "client": None if client is None else str(client),
                "method": request.method,
                "route": None if request.url_rule is None else request.url_rule.rule,
                "status": response.status_code,
                "ms": round((time.monotonic() - g.began) * 1000, 1),
            }
            _LOGGER.info("request", extra={"fields": fields})
        return response


class ReferenceFilter(logging.Filter):
    """Adds the reference of the request to every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add ``reference`` to *record*; ``None`` outside a request."""
        record.reference = g.get("reference") if has_request_context() else None
        return True


class JsonLines(logging.Formatter):
    """One JSON object per record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as one line."""
        line: dict[str, object] = {
            "at": rfc3339(int(record.created)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        reference = getattr(record, "reference", None)
        if reference:
            line["reference"] = reference
        fields = getattr(record, "fields", None)
        if record.name == _AUDIT:  # its messages are JSON objects already
            line["message"], fields = "audit", json.loads(record.getMessage())
            fields.pop("at", None)  # the line has its own, as text
        if isinstance(fields, dict):
            line.update(fields)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


def configure_logging(stream: TextIO | None = None) -> None:
    """Write the records of ``portal`` and warnings of everything else to *stream* as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(ReferenceFilter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("portal").setLevel(logging.INFO)
