"""The cookies of this browser that hold its attempts to sign in, from the sign-in page to the callback."""

from collections.abc import Mapping
from typing import Final

from flask import Response, after_this_request, request
from werkzeug.wrappers import Response as BaseResponse

from portal.errors import AttemptUnknown
from portal.sign_in.attempts import (
    ATTEMPT_LIFETIME,
    Attempt,
    cookies_of,
    find_attempt,
    seal_attempt,
    surplus_cookies,
)
from portal.web.services import sealer, services

_MAX_STATE: Final = 256
_SEAL_PURPOSE: Final = "sign-in attempt"


def remember_attempt(attempt: Attempt, response: BaseResponse) -> None:
    """Put *attempt* into a cookie of *response*, and drop the cookies for which there is no room."""
    secure = services().settings.secure_cookies
    seal = sealer(_SEAL_PURPOSE)
    cookies = seal_attempt(attempt, secure=secure, seal=seal)
    for name in surplus_cookies(request.cookies, room_for=cookies, secure=secure, seal=seal):
        _drop(name, response)
    for name, value in cookies.items():
        response.set_cookie(
            name,
            value,
            max_age=ATTEMPT_LIFETIME,
            secure=secure,
            httponly=True,
            samesite="Lax",  # the provider's redirect back is a navigation from another site
        )


def take_attempt(parameters: Mapping[str, str]) -> Attempt:
    """Return the attempt of the callback with *parameters*; its cookie is dropped, whatever happens next.

    Raises:
        AttemptUnknown: this browser has no such attempt.
        AttemptExpired: the attempt is too old.
    """
    state = parameters.get("state", "")
    if not 0 < len(state) <= _MAX_STATE:
        raise AttemptUnknown("the callback has no usable state")
    settings = services().settings
    names = cookies_of(state, request.cookies, secure=settings.secure_cookies)

    @after_this_request
    def drop(response: Response) -> Response:
        for name in names:
            _drop(name, response)
        return response

    return find_attempt(
        request.cookies,
        state=state,
        secure=settings.secure_cookies,
        seal=sealer(_SEAL_PURPOSE),
        now=services().clock(),
    )


def _drop(name: str, response: BaseResponse) -> None:
    response.delete_cookie(name, secure=services().settings.secure_cookies, httponly=True, samesite="Lax")
