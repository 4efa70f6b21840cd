"""Exchanges a code for tokens at the token endpoint (RFC 6749, section 4.1.3).

Authlib speaks the protocol; its exceptions and those of ``requests`` are translated here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from requests.auth import AuthBase

from portal.contract.truncation import quoted
from portal.errors import CallbackRejected, ProviderMisconfigured, ProviderUnavailable
from portal.settings import ProviderSpec
from portal.sign_in.attempts import Attempt
from portal.sign_in.provider_types import type_of
from portal.sign_in.providers.client_credentials import BASIC, BasicCredentials
from portal.sign_in.providers.json_documents import read_object
from portal.sign_in.providers.transport import TRANSPORT_ERRORS, Budget, Transport

_CLIENT: Final = frozenset(
    {
        "invalid_client",
        "unauthorized_client",  # Keycloak, for a wrong secret
        "incorrect_client_credentials",  # GitHub, for the same
    }
)
"""Errors of the token endpoint that are about the client itself (RFC 6749, section 5.2)."""
_CONFIGURATION: Final = frozenset({"unsupported_grant_type", "invalid_scope", "redirect_uri_mismatch"})
"""More errors that only an operator can correct; the last is GitHub's."""
_READ: Final = ("access_token", "error", "error_description", "id_token", "token_type")
_PASSING: Final = frozenset({"server_error", "temporarily_unavailable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The answer of the token endpoint."""

    access_token: str = field(repr=False)
    id_token: object = field(repr=False)
    """As sent; not verified yet."""


class ClientRefused(ProviderMisconfigured):
    """The token endpoint does not accept the client or its authentication."""


def exchange_code(
    code: str,
    attempt: Attempt,
    *,
    spec: ProviderSpec,
    endpoint: str,
    method: str,
    basic: BasicCredentials,
    transport: Transport,
    budget: Budget,
) -> Tokens:
    """Return the tokens for *code* at *endpoint*; *method* is the client authentication, *basic* its credentials.

    Raises:
        CallbackRejected: the code is not accepted.
        ProviderMisconfigured: the client or its request is refused.
        ProviderUnavailable: there is no usable answer.
    """
    request = partial(_request_tokens, code, attempt, spec=spec, endpoint=endpoint, method=method)
    if method != BASIC:
        return request(authorization=None, transport=transport, budget=budget)
    refusals: list[ClientRefused] = []
    for spelling in basic.spellings:
        try:
            tokens = request(authorization=spelling, transport=transport, budget=budget)
        except ClientRefused as error:  # the code was not used: it can be tried again
            refusals.append(error)
        except CallbackRejected:
            basic.prefer(spelling)
            if not refusals:
                raise
            break  # the first attempt used up the code: report its refusal
        else:
            basic.prefer(spelling)
            return tokens
    raise refusals[0]


def _request_tokens(
    code: str,
    attempt: Attempt,
    *,
    spec: ProviderSpec,
    endpoint: str,
    method: str,
    authorization: str | None,
    transport: Transport,
    budget: Budget,
) -> Tokens:
    secret = spec.client_secret
    verifier = {"code_verifier": attempt.code_verifier} if type_of(spec).pkce else {}
    with OAuth2Session(
        spec.client_id, None if secret is None else secret.reveal(), token_endpoint_auth_method=method
    ) as session:
        transport.bind(session, budget=budget)
        session.register_compliance_hook("access_token_response", _read_response)
        try:
            answer: Mapping[str, object] = session.fetch_token(
                endpoint,
                # Authlib's own Basic does not encode, and writes Latin-1.
                auth=None if authorization is None else _Header(authorization),
                grant_type="authorization_code",
                code=code,
                redirect_uri=attempt.redirect_uri,
                allow_redirects=False,
                **verifier,
            )
        except OAuthError as error:
            raise _refusal(error) from error
        except TRANSPORT_ERRORS as error:
            raise transport.failed(f"POST {endpoint}", error, url=endpoint) from error
    access_token = answer.get("access_token")
    # RFC 6749, section 5.1, requires the type; older plain OAuth 2.0 providers omit it.
    kind = answer.get("token_type", "bearer" if type_of(spec).flow == "oauth2" else None)
    if not isinstance(access_token, str) or str(kind).lower() != "bearer":
        raise ProviderUnavailable("the token endpoint gave no bearer token")
    return Tokens(access_token=access_token, id_token=answer.get("id_token"))


class _Header(AuthBase):
    """Puts one value into ``Authorization``."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._value
        return request


def client_authentication(spec: ProviderSpec, *, supported: frozenset[str]) -> str:
    """Return the client authentication: the configured one, else one that is *supported*, Basic first."""
    if spec.client_secret is None:
        return "none"
    if spec.token_endpoint_auth_method is not None:
        return spec.token_endpoint_auth_method
    post = "client_secret_post"
    return post if post in supported and BASIC not in supported else BASIC


def _read_response(response: requests.Response) -> requests.Response:
    """Return the token endpoint's answer for Authlib, which would take tokens from an answer of any status.

    It is read here first, and passed on without unused members: Authlib's reading raises ``RecursionError`` and the
    errors of ``int`` for a lifetime that is not a number.

    Raises:
        ClientRefused: the status is 401 and there is no error object (RFC 9110, section 15.5.2).
        ProviderUnavailable: it is neither a success nor an error object, or an error of the server.
        ValueError: it is not a JSON object.
    """
    status = response.status_code
    try:
        answer = read_object(response.content)
    except ValueError:
        if status == requests.codes.ok:
            raise
        answer = {}
    if status != requests.codes.ok and ("error" not in answer or status >= requests.codes.server_error):
        text = f"the token endpoint answered with status {status}"
        raise ClientRefused(text) if status == requests.codes.unauthorized else ProviderUnavailable(text)
    read = {name: answer[name] for name in _READ if name in answer}
    response._content = json.dumps(read).encode("ascii")  # noqa: SLF001 - where requests stores a body
    return response


def _refusal(error: OAuthError) -> CallbackRejected | ProviderUnavailable:
    """Translate the error object of a token endpoint (RFC 6749, section 5.2), whatever its status."""
    text = f"the token endpoint answered {quoted(error.error)}: {quoted(error.description)}"
    if str(error.error) in _CLIENT:
        return ClientRefused(text)
    if str(error.error) in _CONFIGURATION:
        return ProviderMisconfigured(text)
    return ProviderUnavailable(text) if str(error.error) in _PASSING else CallbackRejected(text)
