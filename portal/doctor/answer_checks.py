"""Checks of answers as they arrive through the reverse proxy: headers, cookies, frames.  Pure."""

from collections.abc import Iterator
from typing import Final, Literal

from portal.doctor.findings import Check, Finding, ok, problem
from portal.doctor.observations import Answer, Echo

_HEADER_NAMES: Final = {
    "cache-control": "Cache-Control",
    "content-security-policy": "Content-Security-Policy",
    "referrer-policy": "Referrer-Policy",
    "x-content-type-options": "X-Content-Type-Options",
}
_OF_THE_PORTAL: Final = (
    ("cache-control", "no-store"),
    ("referrer-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
)
"""Headers of every page of the portal, besides the policy."""
_ADDED: Final = (
    "Do not set these headers in the web server (nginx: add_header, proxy_hide_header; Apache: Header set). "
    "Portal and apps set them for each page."
)


def check_app_answer(
    subject: str, answer: Answer, echo: Echo, *, portal_origin: str, cookies: Literal["lax", "partitioned"]
) -> Iterator[Finding]:
    """Yield findings about a guard's answer, compared with what the guard sent."""
    sent = Answer(status=answer.status, headers=echo.answered)
    changed = [written for name, written in _HEADER_NAMES.items() if set(answer.values(name)) != set(sent.values(name))]
    yield _headers(subject, changed)
    yield _cookie(subject, answer, echo, expected=cookies)
    policies = " ".join(answer.values("content-security-policy"))
    if answer.values("x-frame-options"):
        yield problem(
            subject,
            Check.FRAME,
            "X-Frame-Options is added on the way, so browsers do not show the app in the portal's frame.",
            "Remove it. nginx: no add_header X-Frame-Options in the app's server block. The guard limits framing "
            "with frame-ancestors.",
        )
    elif f"frame-ancestors {portal_origin} " not in f"{policies} ":
        yield problem(
            subject,
            Check.FRAME,
            "The app's answer does not let the portal frame it.",
            "Do not change Content-Security-Policy in the web server, and start the app with the portal's PORTAL_URL.",
        )
    else:
        yield ok(subject, Check.FRAME, "Only the portal may frame it.")


def check_portal_answer(subject: str, answer: Answer, echo: Echo | None) -> Iterator[Finding]:
    """Yield findings about a page of the portal; without *echo* it set no cookie."""
    changed = [_HEADER_NAMES[name] for name, value in _OF_THE_PORTAL if set(answer.values(name)) != {value}]
    policies = answer.values("content-security-policy")
    if len(policies) != 1 or not policies[0].startswith("default-src 'none'; "):
        changed.append(_HEADER_NAMES["content-security-policy"])
    yield _headers(subject, sorted(changed))
    if echo is not None:
        yield _cookie(subject, answer, echo, expected=None)
    if answer.values("x-frame-options") == ["DENY"]:
        yield ok(subject, Check.FRAME, "No site may frame its pages.")
    else:
        yield problem(
            subject,
            Check.FRAME,
            "X-Frame-Options of the portal's page is changed on the way. It must stay DENY.",
            "Remove it from the web server's configuration. nginx: no add_header X-Frame-Options.",
        )


def _headers(subject: str, changed: list[str]) -> Finding:
    if changed:
        return problem(
            subject, Check.ANSWER_HEADERS, f"Changed on the way to the browser: {', '.join(changed)}.", _ADDED
        )
    return ok(subject, Check.ANSWER_HEADERS, "Policy and caching headers arrive unchanged.")


def _cookie(subject: str, answer: Answer, echo: Echo, *, expected: Literal["lax", "partitioned"] | None) -> Finding:
    sent = [value for name, value in echo.answered if name == "set-cookie"]
    # A load balancer may add a cookie of its own.
    if not sent or not set(sent) <= set(answer.values("set-cookie")):
        return problem(
            subject,
            Check.COOKIE,
            "Set-Cookie is changed on the way: browsers lose the session or send its cookie to the wrong site.",
            "nginx: no proxy_cookie_path, proxy_cookie_domain or proxy_cookie_flags. Apache: no Header edit.",
        )
    partitioned = any("; Partitioned" in value for value in sent)
    if expected == "partitioned" and not partitioned:
        return problem(
            subject,
            Check.COOKIE,
            "The app's cookie is SameSite=Lax, but portal and app may be different sites: browsers do not send it.",
            "Start the app with PORTAL_APP_COOKIES=partitioned. If they are one site, set portal.site.",
        )
    return ok(
        subject,
        Check.COOKIE,
        "It arrives unchanged" + (", for the frame only (partitioned)." if partitioned else "."),
    )
