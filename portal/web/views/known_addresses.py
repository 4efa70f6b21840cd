"""Addresses that people and apps know from elsewhere: Gradio's ``/login`` and ``/logout``, and the Descope tutorial's.

Each leads to the portal's own page for it and changes nothing by itself: signing out, too, is only asked about.
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
"""Slugs of the apps that are meant, the likelier first."""


def known() -> ResponseReturnValue:
    """Lead on to the page that is meant; a frame cannot show that one, and gets a link that leaves it."""
    meant = KNOWN_ADDRESSES[request.path.rstrip("/")]
    if request.headers.get("Sec-Fetch-Dest") in {"iframe", "frame"}:
        widen(frame_ancestors="'self'")
        return render(FrameLeavePage(signs_out=meant == "sign-out", href=PORTAL_PATHS[meant]))
    if meant == "sign-out":
        return redirect(PORTAL_PATHS[meant], 303)
    if meant == "sign-in":
        failed = request.path.rstrip("/").endswith("/error")  # straight back to the provider would fail again
        return redirect(sign_in_path(safe_next(request.args.get("next")), ask=failed), 303)
    return redirect(_dashboard(meant), 303)


for _address in KNOWN_ADDRESSES:
    if _address not in REGISTERED_CALLBACKS:
        blueprint.add_url_rule(_address, "known", known, methods=["GET"], strict_slashes=False)


def _dashboard(meant: KnownAddress) -> str:
    """Return the page of the app that is meant, of those that are open to the person; else their home page."""
    settings, standing = services().settings, require_standing()
    wanted = _DASHBOARDS.get(meant, settings.landing)
    app = landing_app(settings.catalogue, landing=wanted, standing=standing)
    return HOME if app is None else f"/apps/{app.slug}/"
