"""Judging how requests arrive behind the front: host, path, headers, the client's address, the clock.  Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from portal.contract import read_address
from portal.contract.tickets import LEEWAY
from portal.doctor.findings import Check, Finding, ok, problem, warning
from portal.doctor.observations import Answer, Echo, Unreached, quoted

CLOSE: Final = 10
"""Clocks that differ by no more than this many seconds agree."""
_OK: Final = 200
_NAMES: Final = {
    "authorization": "Authorization",
    "origin": "Origin",
    "sec-fetch-dest": "Sec-Fetch-Dest",
    "sec-fetch-mode": "Sec-Fetch-Mode",
    "sec-fetch-site": "Sec-Fetch-Site",
}
_FRONT_MEND: Final = "portal config nginx and portal config caddy write a front that is right."


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRequest:
    """The request that was sent."""

    path: str
    """With its query, as it was written."""
    headers: Mapping[str, str]
    """Those that must arrive, by lower-case name."""
    cookie: str
    """Name of the cookie that must."""
    forged: str
    """The address that ``X-Forwarded-For`` claimed."""


def judge_health(subject: str, answer: Answer | Unreached, *, has_path: bool, is_app: bool) -> Finding:
    """Return whether it is portal or guard that answers behind the front."""
    who = "guard of the app" if is_app else "portal"
    if isinstance(answer, Unreached):
        return problem(
            subject,
            Check.ANSWER,
            f"There is no answer ({answer.how}).",
            f"Look into the log of the web server. {_FRONT_MEND}",
        )
    said = answer.body.get("state")
    state = said if isinstance(said, str) else ""
    if answer.status == _OK and state in {"running", "alive"}:
        return ok(subject, Check.ANSWER, "It answers, and runs.")
    if state in {"starting", "failed"}:
        return warning(
            subject,
            Check.ANSWER,
            "The guard answers, and the app is still starting." if state == "starting" else "The app did not start.",
            "portal apps status says why; portal apps logs has the traceback. An app elsewhere has its own log.",
        )
    if answer.status in {502, 503, 504}:
        return problem(
            subject,
            Check.ANSWER,
            f"The web server finds nobody behind itself (status {answer.status}).",
            f"Start the {'app' if is_app else 'portal'}, and compare the port that the web server passes to "
            "with the one in portal check.",
        )
    if answer.status == 404 and has_path:  # noqa: PLR2004 - Not Found
        return problem(
            subject,
            Check.PATH,
            "The path does not arrive as it was sent: what answers does not know it.",
            "Hand the whole path on. nginx: proxy_pass http://127.0.0.1:PORT; without a path or slash behind the port. "
            "Caddy: handle, not handle_path. Traefik: no StripPrefix.",
        )
    return problem(
        subject,
        Check.ANSWER,
        f"Something else than the {who} answers (status {answer.status}).",
        f"Compare where the web server passes this name to with portal check. {_FRONT_MEND}",
    )


def judge_admission(subject: str, answer: Answer | Unreached, *, is_app: bool) -> Finding | None:
    """Return why portal or guard let nothing be seen; ``None`` where it did."""
    if isinstance(answer, Unreached):
        return problem(
            subject,
            Check.PROBE,
            f"There was no answer to a probe ({answer.how}).",
            "Look into the log of the web server.",
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
            "The name that was asked for does not arrive: the Host header is changed on the way.",
            "Pass Host on as it came. nginx: proxy_set_header Host $http_host; Apache: ProxyPreserveHost On; "
            "Caddy does it by itself. A port that is not the default must stand in the address of portal.toml.",
        )
    if answer.status == 503 and is_app:  # noqa: PLR2004 - Service Unavailable
        return _portal_away(subject)
    if answer.status == 429:  # noqa: PLR2004 - Too Many Requests
        return warning(subject, Check.PROBE, "Too many probes are under way there.", "Try again in two minutes.")
    if answer.status == 404:  # noqa: PLR2004 - Not Found
        return problem(
            subject,
            Check.PROBE,
            "What answers does not know this portal's keys.",
            "It may belong to another portal (its PORTAL_URL and PORTAL_APP must be those of portal.toml), be of an "
            "older version, or the web server drops the header X-Portal-Probe."
            if is_app
            else "Run this with the portal's own portal.toml, secret key and database; and let the web server "
            "pass on the header X-Portal-Probe.",
        )
    return problem(
        subject,
        Check.PROBE,
        f"A probe is answered with status {answer.status}, and not by the {'guard' if is_app else 'portal'}.",
        "Is there something in between that asks for a sign-in of its own, or filters requests? Let it pass this name.",
    )


def judge_arrival(subject: str, echo: Echo, sent: SentRequest) -> Iterator[Finding]:
    """Yield how what was *sent* arrived."""
    if echo.path == sent.path:
        yield ok(subject, Check.PATH, "Path and query arrive as they were sent.")
    else:
        yield problem(
            subject,
            Check.PATH,
            f"The path is changed on the way: {quoted(sent.path)} arrives as {quoted(echo.path)}.",
            "Names of files stand in paths; hand them on undecoded. nginx: proxy_pass http://127.0.0.1:PORT; "
            "without a path or variable behind the port. Apache: AllowEncodedSlashes NoDecode, nocanon.",
        )
    changed = [shown for name, shown in _NAMES.items() if list(echo.headers.get(name, ())) != [sent.headers[name]]]
    changed += [] if sent.cookie in echo.cookies else ["Cookie"]
    if changed:
        yield problem(
            subject,
            Check.REQUEST_HEADERS,
            f"Lost or changed on the way: {', '.join(changed)}.",
            "Pass all headers of the browser on. nginx: no proxy_set_header for these. "
            "Without them sign-in, forms and the apps' own calls are refused.",
        )
    else:
        yield ok(subject, Check.REQUEST_HEADERS, "Origin, Sec-Fetch-*, Cookie and Authorization arrive.")
    yield _client(subject, echo, forged=sent.forged)


def judge_clock(subject: str, difference: int, *, is_app: bool) -> Finding:
    """Return what it means that the clock there is *difference* seconds ahead."""
    if abs(difference) > LEEWAY:
        return _clock_problem(subject, difference, is_app=is_app)
    if abs(difference) > CLOSE:
        return warning(
            subject,
            Check.CLOCK,
            _ahead(difference, is_app=is_app),
            "Switch time synchronization on there (chrony, systemd-timesyncd).",
        )
    return ok(subject, Check.CLOCK, "It agrees.")


def judge_way_to_the_portal(subject: str, answer: Answer | Unreached) -> Finding:
    """Return how the guard of an app gets on with the portal, by its own word."""
    said = None if isinstance(answer, Unreached) else answer.body.get("portal")
    if said == "answers":
        return ok(subject, Check.APP_TO_PORTAL, "Its guard reaches the portal, which knows its secret.")
    if said == "refuses":
        return problem(
            subject,
            Check.APP_TO_PORTAL,
            "The portal does not know the secret of this app, so nobody gets in.",
            f"Start it with what portal apps secret {subject} prints; portal serve hands it on by itself.",
        )
    if said == "away":
        return _portal_away(subject)
    return problem(
        subject, Check.APP_TO_PORTAL, "Its guard does not say whether it reaches the portal.", "Look into its log."
    )


def _client(subject: str, echo: Echo, *, forged: str) -> Finding:
    peer = read_address(echo.peer) if echo.peer else None
    is_near = peer is None or peer.is_loopback
    if echo.client == forged:
        return problem(
            subject,
            Check.CLIENT_ADDRESS,
            "A client can say where it comes from: X-Forwarded-For was believed as this doctor wrote it.",
            "Overwrite the header, do not append to it. nginx: proxy_set_header X-Forwarded-For $remote_addr; "
            "and name nobody but your own web servers in portal.trusted_proxies.",
        )
    if not echo.forwarded_for and is_near:
        return warning(
            subject,
            Check.CLIENT_ADDRESS,
            "The web server does not say who its client is, so rate limits count everybody as one.",
            "nginx: proxy_set_header X-Forwarded-For $remote_addr; Caddy does it by itself.",
        )
    if echo.forwarded_for and not is_near and echo.client == echo.peer:
        return warning(
            subject,
            Check.CLIENT_ADDRESS,
            f"The web server at {quoted(echo.peer)} is not believed, so it counts as the client of everybody.",
            f'Add it: portal.trusted_proxies = ["{peer}"]; for an app elsewhere also PORTAL_TRUSTED_PROXIES.',
        )
    return ok(subject, Check.CLIENT_ADDRESS, f"It sees {quoted(echo.client)}, and believes no client.")


def _clock_problem(subject: str, difference: int, *, is_app: bool) -> Finding:
    return problem(
        subject,
        Check.CLOCK,
        _ahead(difference, is_app=is_app),
        f"Set it, and switch time synchronization on (chrony, systemd-timesyncd). From {LEEWAY} seconds on "
        "an app takes no tickets.",
    )


def _ahead(difference: int, *, is_app: bool) -> str:
    than = "the portal's" if is_app else "this machine's"
    return f"Its clock is {abs(difference)} seconds {'ahead of' if difference > 0 else 'behind'} {than}."


def _portal_away(subject: str) -> Finding:
    return problem(
        subject,
        Check.APP_TO_PORTAL,
        "Its guard does not reach the portal, so nobody gets in.",
        "From the app's machine the portal must be reachable at PORTAL_URL, or at PORTAL_INTERNAL_URL: name, firewall, "
        "and for an authority of your company's PORTAL_CA_FILE.",
    )
