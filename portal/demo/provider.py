"""Run the demo provider: ``python -m portal.demo.provider --port 7801``.

One gunicorn worker with threads, because its state is in memory.
"""

import argparse
import os
import secrets
import sys
from collections.abc import Sequence
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # gunicorn ships no types

from portal.contract import is_loopback_host
from portal.contract.argument_types import PORT
from portal.demo.app import BANNER, create_provider
from portal.demo.setup import CLIENT_ID, SECRET_VARIABLE


def command_line() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(prog="python -m portal.demo.provider", description=BANNER)
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address; nothing else is accepted")
    parser.add_argument("--port", type=PORT, default=7801)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal to stop; return 2 if the host is not loopback."""
    options = command_line().parse_args(arguments)
    if not is_loopback_host(options.host):
        sys.stderr.write(f"Anyone can sign in at the demo provider, so it does not listen on {options.host}.\n")
        return 2
    issuer = f"http://{options.host}:{options.port}"
    client_secret = os.environ.pop(SECRET_VARIABLE, "")
    sys.stderr.write(f"{'=' * 88}\n{BANNER}\nIssuer: {issuer}   Client: {CLIENT_ID}\n{'=' * 88}\n")
    if not client_secret:
        client_secret = secrets.token_urlsafe(32)
        sys.stderr.write(f"Client secret, made for this run: {client_secret}\n")
    _Runner(bind=f"{options.host}:{options.port}", issuer=issuer, client_secret=client_secret).run()
    return 0  # pragma: no cover - gunicorn exits by itself


class _Runner(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    def __init__(self, *, bind: str, issuer: str, client_secret: str) -> None:
        self._bind = bind
        self._issuer = issuer
        self._client_secret = client_secret
        super().__init__()

    def load_config(self) -> None:
        settings: dict[str, Any] = {
            "bind": self._bind,
            "worker_class": "gthread",
            "workers": 1,
            "threads": 4,
            "graceful_timeout": 1,
            "control_socket_disable": True,  # it would be created in the home directory
            "proc_name": "portal-demo-provider",
            "loglevel": "warning",
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return create_provider(issuer=self._issuer, client_id=CLIENT_ID, client_secret=self._client_secret)


if __name__ == "__main__":
    sys.exit(main())
