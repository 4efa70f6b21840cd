"""Judging what is left of answers behind the front: headers, cookies, frames.  Pure."""

from collections.abc import Iterator
from typing import Final, Literal

from portal.doctor.findings import Check, Finding, ok, problem
from portal.doctor.observations import Answer, Echo

_KEPT: Final = {
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
"""What every page of the portal's carries, besides a policy."""
_ADDED: Final = (
    "Let the web server add no such headers for portal and apps (nginx: add_header, proxy_hide_header; "
    "Apache: Header set): they know what each page needs."
)


def judge_app_answer(
    subject: str, answer: Answer, echo: Echo, *, portal_origin: str, cookies: Literal["lax", "partitioned"]
) -> Iterator[Finding]:
    """Yield what became of a guard's answer on its way to the browser."""
    changed = [shown for name, shown in _KEPT.items() if set(answer.values(name)) != _left(echo, name)]
    yield _headers(subject, changed)
    yield _cookie(subject, answer, echo, expected=cookies)
    policies = " ".join(answer.values("content-security-policy"))
    if answer.values("x-frame-options"):
        yield problem(
            subject,
            Check.FRAME,
            "X-Frame-Options is added on the way, so that the app does not show in its frame.",
            "Take it out. nginx: no add_header X-Frame-Options in the app's server block. The guard says by "
            "frame-ancestors who may frame the app.",
        )
    elif f"frame-ancestors {portal_origin} " not in f"{policies} ":
        yield problem(
            subject,
            Check.FRAME,
            "The app's answer does not let the portal frame it.",
            "Let the web server leave Content-Security-Policy alone, and start the app with the portal's PORTAL_URL.",
        )
    else:
        yield ok(subject, Check.FRAME, "The portal may frame it, and nobody else.")


def judge_portal_answer(subject: str, answer: Answer, echo: Echo | None) -> Iterator[Finding]:
    """Yield what became of a page of the portal's; without *echo* it set no cookie."""
    changed = [_KEPT[name] for name, value in _OF_THE_PORTAL if set(answer.values(name)) != {value}]
    policies = answer.values("content-security-policy")
    if len(policies) != 1 or not policies[0].startswith("default-src 'none'; "):
        changed.append(_KEPT["content-security-policy"])
    yield _headers(subject, sorted(changed))
    if echo is not None:
        yield _cookie(subject, answer, echo, expected=None)
    if answer.values("x-frame-options") == ["DENY"]:
        yield ok(subject, Check.FRAME, "Nobody may frame its pages.")
    else:
        yield problem(
            subject,
            Check.FRAME,
            "X-Frame-Options of the portal's page is changed on the way; apps open in a frame of the portal's own.",
            "Take it out of the web server's configuration. nginx: no add_header X-Frame-Options.",
        )


def _left(echo: Echo, name: str) -> set[str]:
    return {value for header, value in echo.answered if header == name}


def _headers(subject: str, changed: list[str]) -> Finding:
    if changed:
        return problem(
            subject, Check.ANSWER_HEADERS, f"Changed on the way to the browser: {', '.join(changed)}.", _ADDED
        )
    return ok(subject, Check.ANSWER_HEADERS, "Policies and caching reach the browser as they left.")


def _cookie(subject: str, answer: Answer, echo: Echo, *, expected: Literal["lax", "partitioned"] | None) -> Finding:
    left = [value for name, value in echo.answered if name == "set-cookie"]
    # A balancer's own cookie beside ours is its own affair.
    if not left or not set(left) <= set(answer.values("set-cookie")):
        return problem(
            subject,
            Check.COOKIE,
            "Set-Cookie is changed on the way, so that browsers keep no session, or the wrong ones are sent it.",
            "nginx: no proxy_cookie_path, proxy_cookie_domain or proxy_cookie_flags. Apache: no Header edit.",
        )
    partitioned = any("; Partitioned" in value for value in left)
    if expected == "partitioned" and not partitioned:
        return problem(
            subject,
            Check.COOKIE,
            "The app's cookie is SameSite=Lax, and portal and app are not surely one site: browsers keep it away.",
            "Start the app with PORTAL_APP_COOKIES=partitioned; or say portal.site, if they are one site.",
        )
    return ok(
        subject,
        Check.COOKIE,
        "It arrives as it was set" + (", for the frame alone (partitioned)." if partitioned else "."),
    )
