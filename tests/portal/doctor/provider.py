"""A provider's metadata and keys, and nothing else: what the doctor asks for."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from joserfc.jwk import ECKey

from tests.provider.loopback_server import loopback_server


@contextmanager
def discovery() -> Iterator[int]:
    """Serve them until the block ends; yield the port."""
    key = ECKey.generate_key("P-256", parameters={"kid": "one", "alg": "ES256", "use": "sig"}).as_dict(private=False)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer = f"http://{self.headers['Host']}"
            documents: dict[str, object] = {
                "/keys": {"keys": [key]},
                "/.well-known/openid-configuration": {
                    "issuer": issuer,
                    "authorization_endpoint": f"{issuer}/authorize",
                    "token_endpoint": f"{issuer}/token",
                    "jwks_uri": f"{issuer}/keys",
                },
            }
            body = json.dumps(documents[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with loopback_server(Handler) as port:
        yield port
