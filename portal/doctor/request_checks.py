"""Checks of requests as they arrive behind the reverse proxy: host, path, headers, client, clock.  Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from portal.contract import read_address
from portal.contract.tickets import LEEWAY
from portal.contract.truncation import quoted
from portal.doctor.findings import Check, Finding, ok, problem, warning
from portal.doctor.observations import Answer, Echo, Unreached

CLOSE: Final = 10
"""Seconds by which clocks may differ without a finding."""
_OK: Final = 200
_NAMES: Final = {
    "authorization": "Authorization",
    "origin": "Origin",
    "sec-fetch-dest": "Sec-Fetch-Dest",
    "sec-fetch-mode": "Sec-Fetch-Mode",
    "sec-fetch-site": "Sec-Fetch-Site",
}
_WRITE_CONFIGURATION: Final = "portal config nginx and portal config caddy write a correct configuration."


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRequest:
    """The request that was sent."""

    path: str
    """With its query, as it was written."""
    headers: Mapping[str, str]
    """Those that must arrive, by name in lower case."""
    cookie: str
    """Name of the cookie that must arrive."""
    forged: str
    """The address in the forged ``X-Forwarded-For``."""


def check_health(subject: str, answer: Answer | Unreached, *, has_path: bool, is_app: bool) -> Finding:
    """Return whether portal or guard answers through the reverse proxy."""
    who = "guard of the app" if is_app else "portal"
    if isinstance(answer, Unreached):
        return problem(
            subject,
            Check.ANSWER,
            f"There is no answer ({answer.how}).",
            f"Read the web server's log. {_WRITE_CONFIGURATION}",
        )
    state = answer.body.get("state")
    if answer.status == _OK and state in ("running", "alive"):
        return ok(subject, Check.ANSWER, "It is running.")
    if state in ("starting", "failed"):
        return warning(
            subject,
            Check.ANSWER,
            "The app is still starting." if state == "starting" else "The app did not start.",
            "portal apps status has the reason, portal apps logs the traceback. A remote app has its own log.",
        )
    if answer.status in {502, 503, 504}:
        return problem(
            subject,
            Check.ANSWER,
            f"The web server reaches no server behind it (status {answer.status}).",
            f"Start the {'app' if is_app else 'portal'}, and compare the port that the web server forwards to "
            "with the one in portal check.",
        )
    if answer.status == 404 and has_path:  # noqa: PLR2004 - Not Found
        return problem(
            subject,
            Check.PATH,
            "The path is changed on the way: the server behind the web server does not know it.",
            "Forward the whole path. nginx: proxy_pass http://127.0.0.1:PORT; without a path or slash after the port. "
            "Caddy: handle, not handle_path. Traefik: no StripPrefix.",
        )
    return problem(
        subject,
        Check.ANSWER,
        f"Something other than the {who} answers (status {answer.status}).",
        f"Compare where the web server forwards this name with portal check. {_WRITE_CONFIGURATION}",
    )


def check_probe(subject: str, answer: Answer | Unreached, *, is_app: bool) -> Finding | None:
    """Return why portal or guard refused the probe; ``None`` if it did not."""
    if isinstance(answer, Unreached):
        return problem(
            subject,
            Check.PROBE,
            f"A probe got no answer ({answer.how}).",
            "Read the web server's log.",
        )
    if answer.status == _OK:
        return None
    now = answer.body.get("now")
    if answer.status == 401 and type(now) is int:  # noqa: PLR2004 - Unauthorized
        return _clock_problem(subject, now - answer.at, is_app=is_app)
    if answer.status == (421 if is_app else 400):
        return problem(
            subject,
            Check.HOST,
            "The Host header is changed on the way.",
            "Forward Host unchanged. nginx: proxy_set_header Host $http_host; Apache: ProxyPreserveHost On; "
            "Caddy does this by default. If the port is not the default, write it in the address in portal.toml.",
        )
    if answer.status == 503 and is_app:  # noqa: PLR2004 - Service Unavailable
        return _portal_away(subject)
    if answer.status == 429:  # noqa: PLR2004 - Too Many Requests
        return warning(subject, Check.PROBE, "Too many probes are running there.", "Try again in two minutes.")
    if answer.status == 404:  # noqa: PLR2004 - Not Found
        return problem(
            subject,
            Check.PROBE,
            "The server at this address is not this portal's app: it does not accept the portal's keys."
            if is_app
            else "The server at this address is not this portal: it does not accept the portal's keys.",
            "It may belong to another portal (its PORTAL_URL and PORTAL_APP must match portal.toml) or be an older "
            "version; or the web server drops the header X-Portal-Probe."
            if is_app
            else "Run this with the portal's own portal.toml, secret key and database. The web server must forward "
            "the header X-Portal-Probe.",
        )
    return problem(
        subject,
        Check.PROBE,
        f"A probe is answered with status {answer.status}, but not by the {'guard' if is_app else 'portal'}.",
        "Something in between may filter requests or ask for a sign-in of its own. Let it pass this name.",
    )


def check_request(subject: str, echo: Echo, sent: SentRequest) -> Iterator[Finding]:
    """Yield findings about the request *sent*, which arrived as *echo*."""
    if echo.path == sent.path:
        yield ok(subject, Check.PATH, "Path and query arrive unchanged.")
    else:
        yield problem(
            subject,
            Check.PATH,
            f"The path is changed on the way: {quoted(sent.path)} arrives as {quoted(echo.path)}.",
            "Paths contain file names: forward them undecoded. nginx: proxy_pass http://127.0.0.1:PORT; "
            "without a path or variable after the port. Apache: AllowEncodedSlashes NoDecode, nocanon.",
        )
    changed = [shown for name, shown in _NAMES.items() if list(echo.headers.get(name, ())) != [sent.headers[name]]]
    changed += [] if sent.cookie in echo.cookies else ["Cookie"]
    if changed:
        yield problem(
            subject,
            Check.REQUEST_HEADERS,
            f"Lost or changed on the way: {', '.join(changed)}.",
            "Forward all headers of the browser. nginx: no proxy_set_header for these. "
            "Without them, sign-in, forms and the apps' own calls are refused.",
        )
    else:
        yield ok(subject, Check.REQUEST_HEADERS, "Origin, Sec-Fetch-*, Cookie and Authorization arrive.")
    yield _client(subject, echo, forged=sent.forged)


def check_clock(subject: str, difference: int, *, is_app: bool) -> Finding:
    """Return a finding about a clock that is *difference* seconds ahead."""
    if abs(difference) > LEEWAY:
        return _clock_problem(subject, difference, is_app=is_app)
    if abs(difference) > CLOSE:
        return warning(
            subject,
            Check.CLOCK,
            _ahead(difference, is_app=is_app),
            "Enable time synchronization there (chrony, systemd-timesyncd).",
        )
    return ok(subject, Check.CLOCK, "It agrees.")


def check_app_to_portal(subject: str, answer: Answer | Unreached) -> Finding:
    """Return whether the guard of an app reaches the portal, as it reports itself."""
    status = None if isinstance(answer, Unreached) else answer.body.get("portal")
    if status == "answers":
        return ok(subject, Check.APP_TO_PORTAL, "Its guard reaches the portal, which accepts its secret.")
    if status == "refuses":
        return problem(
            subject,
            Check.APP_TO_PORTAL,
            "The portal does not accept the secret of this app, so nobody can open it.",
            f"Start it with the secret that portal apps secret {subject} prints; portal serve does this by itself.",
        )
    if status == "away":
        return _portal_away(subject)
    return problem(
        subject, Check.APP_TO_PORTAL, "Its guard does not report whether it reaches the portal.", "Read its log."
    )


def _client(subject: str, echo: Echo, *, forged: str) -> Finding:
    peer = read_address(echo.peer) if echo.peer else None
    is_near = peer is None or peer.is_loopback
    if echo.client == forged:
        return problem(
            subject,
            Check.CLIENT_ADDRESS,
            "A client can forge its address: the doctor sent a false X-Forwarded-For, and it was believed.",
            "Overwrite the header, do not append to it. nginx: proxy_set_header X-Forwarded-For $remote_addr; "
            "and list only your own web servers in portal.trusted_proxies.",
        )
    if not echo.forwarded_for and is_near:
        return warning(
            subject,
            Check.CLIENT_ADDRESS,
            "The web server does not forward the client's address, so rate limits count all clients as one.",
            "nginx: proxy_set_header X-Forwarded-For $remote_addr; Caddy does this by default.",
        )
    if echo.forwarded_for and not is_near and echo.client == echo.peer:
        return warning(
            subject,
            Check.CLIENT_ADDRESS,
            f"The web server at {quoted(echo.peer)} is not trusted, so every client seems to have its address.",
            f'Add it: portal.trusted_proxies = ["{peer}"]; for an app on another machine also PORTAL_TRUSTED_PROXIES.',
        )
    return ok(subject, Check.CLIENT_ADDRESS, f"It sees {quoted(echo.client)}, and no client can forge it.")


def _clock_problem(subject: str, difference: int, *, is_app: bool) -> Finding:
    return problem(
        subject,
        Check.CLOCK,
        _ahead(difference, is_app=is_app),
        f"Set it, and enable time synchronization (chrony, systemd-timesyncd). From a difference of {LEEWAY} seconds, "
        "an app accepts no tickets.",
    )


def _ahead(difference: int, *, is_app: bool) -> str:
    than = "the portal's" if is_app else "this machine's"
    return f"Its clock is {abs(difference)} seconds {'ahead of' if difference > 0 else 'behind'} {than}."


def _portal_away(subject: str) -> Finding:
    return problem(
        subject,
        Check.APP_TO_PORTAL,
        "Its guard does not reach the portal, so nobody can open the app.",
        "The app's machine must reach the portal at PORTAL_URL or PORTAL_INTERNAL_URL. Check DNS and the firewall; "
        "for your company's own certificate authority, set PORTAL_CA_FILE.",
    )
