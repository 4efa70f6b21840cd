"""What ``portal doctor`` sees of the portal: how its request arrived, and by what clock.

Without leave (a probe token for the portal, signed with its own keys) the address is not there.
"""

from typing import Final

from flask import Blueprint, Response, abort, jsonify, make_response, request

from portal.contract import Rejected
from portal.contract.probe_tokens import PROBE_HEADER, PROBE_PATH, WRONG_TIME
from portal.web.services import services

blueprint = Blueprint("probe", __name__)

_SHOWN: Final = ("Host", "Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest")
"""Request headers whose values are told; of cookies only the names are."""
_SCHEME: Final = "Probe "
"""``Authorization`` is told where it begins like this, which no credential does."""


@blueprint.get(f"{PROBE_PATH}echo")
def echo() -> Response:
    """Say how the request arrived, and which cookie the answer sets."""
    presented = request.headers.getlist(PROBE_HEADER)
    now = services().clock()
    if len(presented) != 1:
        abort(404)
    try:
        token = services().probe_tokens.read(presented[0], now=now)
    except Rejected as error:
        if error.reason in WRONG_TIME:
            return make_response(jsonify(detail="The clocks do not agree.", now=now), 401)
        abort(404)
    said = request.headers.getlist("X-Forwarded-For")
    client = services().settings.trusted_proxies.client_of(request.remote_addr, said)
    shown = {name.lower(): request.headers.getlist(name) for name in _SHOWN if name in request.headers}
    authorization = [value for value in request.headers.getlist("Authorization") if value.startswith(_SCHEME)]
    if authorization:
        shown["authorization"] = authorization
    secure = services().settings.secure_cookies
    cookie = f"{'__Host-' if secure else ''}portal-probe={token.id}; HttpOnly; Path=/; SameSite=Lax; Max-Age=0"
    cookie += "; Secure" if secure else ""
    response = jsonify(
        now=now,
        peer=request.remote_addr or None,
        client=None if client is None else str(client),
        forwarded_for=said,
        path=request.full_path.removesuffix("?"),
        headers=shown,
        cookies=[name.strip() for pair in request.headers.getlist("Cookie") for name in _names(pair)],
        answered=[["set-cookie", cookie]],
    )
    response.headers["Set-Cookie"] = cookie
    return response


def _names(cookies: str) -> list[str]:
    return [pair.partition("=")[0] for pair in cookies.split(";") if pair.strip()]
