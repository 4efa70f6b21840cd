"""How a request of ``portal doctor`` arrived, and the portal's time.

Without a probe token, signed with the portal's own keys, the answer is 404.
"""

from typing import Final

from flask import Blueprint, Response, abort, jsonify, make_response, request

from portal.contract import Rejected
from portal.contract.probe_tokens import PROBE_HEADER, PROBE_PATH, WRONG_TIME
from portal.web.services import services

blueprint = Blueprint("probe", __name__)

_HEADERS: Final = ("Host", "Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest")
"""Request headers whose values are returned; of cookies, only the names are."""
_SCHEME: Final = "Probe "
"""``Authorization`` is returned only if it begins like this; credentials do not."""


@blueprint.get(f"{PROBE_PATH}echo")
def echo() -> Response:
    """Return how the request arrived, and which cookie the answer sets."""
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
    forwarded_for = request.headers.getlist("X-Forwarded-For")
    client = services().settings.trusted_proxies.client_of(request.remote_addr, forwarded_for)
    headers = {name.lower(): request.headers.getlist(name) for name in _HEADERS if name in request.headers}
    authorization = [value for value in request.headers.getlist("Authorization") if value.startswith(_SCHEME)]
    if authorization:
        headers["authorization"] = authorization
    secure = services().settings.secure_cookies
    cookie = f"{'__Host-' if secure else ''}portal-probe={token.id}; HttpOnly; Path=/; SameSite=Lax; Max-Age=0"
    cookie += "; Secure" if secure else ""
    response = jsonify(
        now=now,
        peer=request.remote_addr or None,
        client=None if client is None else str(client),
        forwarded_for=forwarded_for,
        path=request.full_path.removesuffix("?"),
        headers=headers,
        cookies=[name.strip() for pair in request.headers.getlist("Cookie") for name in _names(pair)],
        answered=[["set-cookie", cookie]],
    )
    response.headers["Set-Cookie"] = cookie
    return response


def _names(cookies: str) -> list[str]:
    return [pair.partition("=")[0] for pair in cookies.split(";") if pair.strip()]
