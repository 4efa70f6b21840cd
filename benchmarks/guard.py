"""What the guard adds to one GET, against the bare application and a plain nginx hop.

Each peer is a real process on loopback; one client alternates between them, request by
request, over connections that stay open.
"""

import argparse
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

APPLICATION = textwrap.dedent(
    '''
    """The application under measurement: a small answer, bare or guarded; and the portal's two answers."""

    import json, os, time
    from joserfc.jwk import KeySet, OKPKey
    from portal.contract import Active, Person, Ticket, sign_ticket

    KEY = OKPKey.generate_key("Ed25519", {"kid": "bench", "use": "sig"})
    BODY = b"x" * 1024

    async def bare(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1024")]})
        await send({"type": "http.response.body", "body": BODY})

    def make_guarded():
        import httpx
        from gradio_apps.runtime.guard import Guard, guard_settings_from

        settings = guard_settings_from(os.environ)

        def portal(request):
            if request.url.path.endswith("jwks.json"):
                return httpx.Response(200, json={"keys": [KEY.as_dict(private=False)]})
            person = Person(subject="s", username="ana@example.com", signed_in_until=int(time.time()) + 3600)
            active = Active(session="bench-session", person=person)
            return httpx.Response(200, json=active.to_json(issuer=settings.portal_url, audience=settings.app))

        guard = Guard(bare, settings=settings, transport=httpx.MockTransport(portal))

        async def with_ticket(scope, receive, send):
            if scope["type"] == "http" and scope["path"] == "/bench-ticket":
                now = int(time.time())
                ticket = Ticket(id=str(time.time_ns()), issuer=settings.portal_url, audience=settings.app, subject="s",
                                session="bench-session", issued_at=now, expires_at=now + 30, next="/")
                body = sign_ticket(ticket, key=KEY).encode()
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": body})
                return
            await guard(scope, receive, send)

        return with_ticket

    guarded = make_guarded() if os.environ.get("PORTAL_APP") else None
    '''
)


def free_port() -> int:
    """Return a loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(command: list[str], *, port: int, env: Mapping[str, str]) -> Iterator[int]:
    """Run *command* until *port* answers, and end it afterwards."""
    child = subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.DEVNULL)
    try:
        for _ in range(300):
            if child.poll() is not None:
                sys.exit(f"{command[0]} ended with {child.returncode}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        child.terminate()
        child.wait(timeout=10)


def uvicorn(name: str, *, port: int) -> list[str]:
    """Return the command that serves *name* of the application."""
    flags = ["--log-level", "warning", "--no-access-log", "--no-proxy-headers", "--loop", "asyncio", "--http", "h11"]
    return [sys.executable, "-m", "uvicorn", f"bench_application:{name}", "--port", str(port), *flags]


def session_cookie(port: int, portal: str) -> str:
    """Redeem a ticket at the guarded peer and return the cookie it gives."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/bench-ticket")
    ticket = connection.getresponse().read().decode()
    headers = {"Origin": portal, "Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-site"}
    connection.request("POST", "/.portal/session", body=f"ticket={ticket}", headers=headers)
    response = connection.getresponse()
    response.read()
    cookie = response.headers.get("Set-Cookie")
    if response.status != 303 or cookie is None:
        sys.exit(f"the guard answered {response.status} to the ticket")
    return cookie.partition(";")[0]


def measure(peers: Mapping[str, tuple[int, dict[str, str]]], *, rounds: int) -> dict[str, list[float]]:
    """Return milliseconds per request and peer, alternating between the peers."""
    connections = {name: http.client.HTTPConnection("127.0.0.1", port) for name, (port, _) in peers.items()}
    times: dict[str, list[float]] = {name: [] for name in peers}
    for turn in range(rounds + 200):
        for name, connection in connections.items():
            started = time.perf_counter()
            connection.request("GET", "/", headers=peers[name][1])
            response = connection.getresponse()
            response.read()
            elapsed = (time.perf_counter() - started) * 1000
            if response.status != 200:
                sys.exit(f"{name} answered {response.status}")
            if turn >= 200:
                times[name].append(elapsed)
    return times


def report(times: Mapping[str, list[float]]) -> list[dict[str, object]]:
    """Return one row a peer: median, and what it adds over bare, pair by pair."""
    rows: list[dict[str, object]] = []
    for name, values in times.items():
        added = sorted(mine - bare for mine, bare in zip(values, times["bare"], strict=True))
        quarter = len(added) // 4
        rows.append(
            {
                "peer": name,
                "median_ms": round(statistics.median(values), 3),
                "added_ms": round(statistics.median(added), 3),
                "added_p25_ms": round(added[quarter], 3),
                "added_p75_ms": round(added[3 * quarter], 3),
                "ratio": round(statistics.median(values) / statistics.median(times["bare"]), 3),
            }
        )
    return rows


def main() -> None:
    """Start the peers, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3000)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        (Path(folder) / "bench_application.py").write_text(APPLICATION)
        portal = "http://127.0.0.1:7800"
        ports = {name: free_port() for name in ("bare", "guarded", "nginx")}
        env = {"PYTHONPATH": os.pathsep.join([folder, str(Path.cwd())])}
        app_url = f"http://127.0.0.1:{ports['guarded']}"
        guard_env = env | {
            "PORTAL_URL": portal,
            "PORTAL_APP": "bench",
            "PORTAL_APP_URL": app_url,
            "PORTAL_APP_SECRET": "s" * 43,
        }
        stack.enter_context(process(uvicorn("bare", port=ports["bare"]), port=ports["bare"], env=env))
        stack.enter_context(process(uvicorn("guarded", port=ports["guarded"]), port=ports["guarded"], env=guard_env))
        peers: dict[str, tuple[int, dict[str, str]]] = {
            "bare": (ports["bare"], {}),
            "guarded": (ports["guarded"], {"Cookie": session_cookie(ports["guarded"], portal)}),
        }
        nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if nginx:
            configuration = Path(folder) / "nginx.conf"
            configuration.write_text(nginx_configuration(folder, listen=ports["nginx"], upstream=ports["bare"]))
            command = [nginx, "-c", str(configuration), "-p", folder]
            stack.enter_context(process(command, port=ports["nginx"], env={}))
            peers["nginx hop"] = (ports["nginx"], {})
        rows = report(measure(peers, rounds=arguments.rounds))
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        added = f"+{row['added_ms']} ms [{row['added_p25_ms']}, {row['added_p75_ms']}]"
        print(f"{row['peer']:10} median {row['median_ms']} ms   added {added}   x{row['ratio']}")


def nginx_configuration(folder: str, *, listen: int, upstream: int) -> str:
    """Return a plain reverse proxy with kept-alive upstream connections."""
    return textwrap.dedent(
        f"""
        daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr crit;
        events {{ worker_connections 64; }}
        http {{
          access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};
          fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
          upstream app {{ server 127.0.0.1:{upstream}; keepalive 8; }}
          server {{ listen 127.0.0.1:{listen};
            location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}
        }}
        """
    )


if __name__ == "__main__":
    main()
