"""Addresses of other programs: Gradio's ``/login`` and ``/logout``, and those of the Descope tutorial.

Each leads to the portal's page for it and changes nothing: the page for signing out asks first.
"""

from collections.abc import Mapping
from typing import Final

from flask import Blueprint, redirect, request
from flask.typing import ResponseReturnValue

from portal.contract.known_addresses import KNOWN_ADDRESSES, PORTAL_PATHS, KnownAddress
from portal.rules.policy import landing_app
from portal.rules.redirects import HOME, safe_next
from portal.settings import REGISTERED_CALLBACKS
from portal.web.current_sign_in import require_standing, sign_in_path
from portal.web.headers import widen
from portal.web.pages import FrameLeavePage, render
from portal.web.services import services

blueprint = Blueprint("known_addresses", __name__)

_DASHBOARDS: Final[Mapping[KnownAddress, tuple[str, ...]]] = {
    "admin-dashboard": ("admin-dashboard", "admin"),
    "user-dashboard": ("user-dashboard", "user"),
}
"""Slugs of the apps for these addresses, the likelier first."""


def lead_to_page() -> ResponseReturnValue:
    """Redirect to the portal's page; in a frame, which cannot show it, answer with a link that leaves the frame."""
    page = KNOWN_ADDRESSES[request.path.rstrip("/")]
    if request.headers.get("Sec-Fetch-Dest") in {"iframe", "frame"}:
        widen(frame_ancestors="'self'")
        return render(FrameLeavePage(signs_out=page == "sign-out", href=PORTAL_PATHS[page]))
    if page == "sign-out":
        return redirect(PORTAL_PATHS[page], 303)
    if page == "sign-in":
        failed = request.path.rstrip("/").endswith("/error")  # going straight to the provider would fail again
        return redirect(sign_in_path(safe_next(request.args.get("next")), ask=failed), 303)
    return redirect(_dashboard(page), 303)


for _address in KNOWN_ADDRESSES:
    if _address not in REGISTERED_CALLBACKS:
        blueprint.add_url_rule(_address, "lead_to_page", lead_to_page, methods=["GET"], strict_slashes=False)


def _dashboard(page: KnownAddress) -> str:
    """Return the path of the app for *page* that the person may open, else of the home page."""
    settings, standing = services().settings, require_standing()
    slugs = _DASHBOARDS.get(page, settings.landing)
    app = landing_app(settings.catalogue, landing=slugs, standing=standing)
    return HOME if app is None else f"/apps/{app.slug}/"
