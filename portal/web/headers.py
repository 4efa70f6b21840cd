"""The security headers of every answer.

The strictest policy is the default; a view that needs more calls :func:`widen`.
"""

from dataclasses import dataclass
from typing import Final

from flask import Flask, Response, g, request

from portal.contract.strict_transport import STRICT_TRANSPORT
from portal.rules.browser_features import OFF
from portal.web.current_sign_in import known_sign_in
from portal.web.pictures import picture_origin
from portal.web.static_files import is_current_version

_MADE_IN_FRAMES: Final = ("blob:", "data:")
"""Downloads that a framed app creates itself: Firefox treats them as navigations of the frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePolicy:
    """What a page may load, post to, be framed by and delegate to its frame."""

    form_action: tuple[str, ...] = ("'self'",)
    frame_src: tuple[str, ...] = ()
    frame_ancestors: str = "'none'"
    referrer: str = "same-origin"
    features: tuple[str, ...] = ()
    """Browser features for the origins in *frame_src*."""

    def content_security_policy(self, *, picture: str | None) -> str:
        """Return the ``Content-Security-Policy``; *picture* is another origin that images may come from."""
        images = ("'self'", picture) if picture else ("'self'",)
        directives = {
            "default-src": ("'none'",),
            "script-src": ("'self'",),
            "style-src": ("'self'",),
            "img-src": images,
            "connect-src": ("'self'",),
            "manifest-src": ("'self'",),
            "frame-src": (*self.frame_src, *_MADE_IN_FRAMES) if self.frame_src else ("'none'",),
            "form-action": self.form_action,
            "frame-ancestors": (self.frame_ancestors,),
            "base-uri": ("'none'",),
        }
        return "; ".join(f"{name} {' '.join(values)}" for name, values in directives.items())

    def permissions_policy(self) -> str:
        """Return the ``Permissions-Policy``: everything is off except what the framed app may use.

        A page can delegate only what it may use itself, hence ``self`` beside the app's origin.
        """
        origins = " ".join(f'"{origin}"' for origin in self.frame_src if origin != "'self'")
        granted = f"(self {origins})" if origins else "()"
        names = sorted({*OFF, *self.features})
        return ", ".join(f"{name}={granted if name in self.features else '()'}" for name in names)


def widen(
    *,
    form_action: tuple[str, ...] | None = None,
    frame_src: tuple[str, ...] | None = None,
    frame_ancestors: str | None = None,
    referrer: str | None = None,
    features: tuple[str, ...] | None = None,
) -> None:
    """Change the policy of this request's page in the given parts."""
    current: PagePolicy = g.get("page_policy", PagePolicy())
    g.page_policy = PagePolicy(
        form_action=current.form_action if form_action is None else form_action,
        frame_src=current.frame_src if frame_src is None else frame_src,
        frame_ancestors=current.frame_ancestors if frame_ancestors is None else frame_ancestors,
        referrer=current.referrer if referrer is None else referrer,
        features=current.features if features is None else features,
    )


def install_headers(app: Flask, *, https: bool) -> None:
    """Add the headers to every response of *app*, error pages and static files included."""

    @app.after_request
    def add_headers(response: Response) -> Response:
        policy: PagePolicy = g.get("page_policy", PagePolicy())
        sign_in = known_sign_in()
        picture = picture_origin(sign_in.identity.picture) if sign_in is not None else None
        headers = response.headers
        headers["Content-Security-Policy"] = policy.content_security_policy(picture=picture)
        headers["Permissions-Policy"] = policy.permissions_policy()
        headers["Referrer-Policy"] = policy.referrer
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if policy.frame_ancestors == "'none'":
            headers["X-Frame-Options"] = "DENY"  # for browsers without frame-ancestors
        if https:
            headers["Strict-Transport-Security"] = STRICT_TRANSPORT
        if request.endpoint == "static" and response.status_code in {200, 304}:
            current = is_current_version(request.args.get("v"), (request.view_args or {}).get("filename"))
            headers["Cache-Control"] = "public, max-age=31536000, immutable" if current else "no-cache"
        else:
            headers.setdefault("Cache-Control", "no-store")
        return response
