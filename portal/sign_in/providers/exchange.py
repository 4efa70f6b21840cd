"""Gets tokens at the token endpoint, for a code or a refresh token (RFC 6749, sections 4.1.3 and 6).

Authlib speaks the protocol; its exceptions and those of ``requests`` are translated here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import requests
import urllib3
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from requests.auth import AuthBase

from portal.contract.call_errors import is_own_failure
from portal.contract.truncation import quoted
from portal.errors import (
    AnswerLost,
    CallbackRejected,
    ProviderMisconfigured,
    ProviderUnavailable,
    RefreshRefused,
)
from portal.settings import ProviderSpec
from portal.sign_in.attempts import Attempt
from portal.sign_in.provider_types import type_of
from portal.sign_in.provider_types.scopes import requested_scopes
from portal.sign_in.providers.client_credentials import BASIC, BasicCredentials
from portal.sign_in.providers.json_documents import read_object
from portal.sign_in.providers.transport import (
    TRANSPORT_ERRORS,
    AnswerTooLate,
    Budget,
    Transport,
    overflow_as_claims_too_large,
)

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
_FINAL: Final = frozenset(
    {
        "invalid_grant",
        "access_denied",  # a policy of the provider refuses
        "bad_refresh_token",  # GitHub
        # OpenID Connect Core, section 3.1.2.6; Entra ID, where a policy asks the person for more
        *("account_selection_required", "consent_required", "interaction_required", "login_required"),
    }
)
"""Errors after which the provider accepts a refresh token no more; only a new sign-in helps."""
_READ: Final = ("access_token", "error", "error_description", "id_token", "refresh_token", "token_type")
_PASSING: Final = frozenset({"server_error", "temporarily_unavailable"})
_OF_GATEWAY: Final = frozenset({requests.codes.bad_gateway, requests.codes.gateway_timeout})
"""A gateway did not get the endpoint's answer (RFC 9110, sections 15.6.3 and 15.6.5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The answer of the token endpoint."""

    access_token: str = field(repr=False)
    id_token: object = field(repr=False)
    """As sent; not verified yet."""
    refresh_token: str | None = field(repr=False)


class ClientRefused(ProviderMisconfigured):
    """The token endpoint does not accept the client or its authentication."""


class GrantRefused(CallbackRejected):
    """The token endpoint does not accept the code or the refresh token."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error = error
        """The error code of RFC 6749, section 5.2, or the provider's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEndpoint:
    """The token endpoint of one provider, for one request of a browser."""

    spec: ProviderSpec
    url: str
    method: str
    """The client authentication."""
    basic: BasicCredentials
    transport: Transport
    budget: Budget

    def exchange(self, code: str, attempt: Attempt) -> Tokens:
        """Return the tokens for *code* (RFC 6749, section 4.1.3).

        Raises:
            GrantRefused: the code is not accepted.
            ProviderMisconfigured: the client or its request is refused.
            ProviderUnavailable: there is no usable answer.
        """
        verifier = {"code_verifier": attempt.code_verifier} if type_of(self.spec).pkce else {}
        return self._ask(grant_type="authorization_code", code=code, redirect_uri=attempt.redirect_uri, **verifier)

    def refresh(self, refresh_token: str) -> Tokens:
        """Return new tokens for *refresh_token* (RFC 6749, section 6).

        Raises:
            RefreshRefused: the provider will not accept it again.
            ProviderMisconfigured: the client or its request is refused.
            ClaimsTooLarge: the answer is longer than is read.
            AnswerLost: the provider may have replaced it.
            ProviderUnavailable: there is no usable answer.
        """
        grant = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        refresh = type_of(self.spec).refresh
        if refresh.repeats_scope:
            # With the scope of the refresh token itself, or no new one comes.
            grant["scope"] = " ".join(dict.fromkeys((*requested_scopes(self.spec), *refresh.scopes)))
        try:
            with overflow_as_claims_too_large():
                return self._ask(**grant)
        except GrantRefused as error:
            if error.error in _FINAL:
                raise RefreshRefused(str(error)) from error
            raise ProviderUnavailable(str(error)) from error

    def _ask(self, **grant: str) -> Tokens:
        if self.method != BASIC:
            return self._request(grant, authorization=None)
        refusals: list[ClientRefused] = []
        for spelling in self.basic.spellings:
            try:
                tokens = self._request(grant, authorization=spelling)
            except ClientRefused as error:  # the grant was not used: it can be tried again
                refusals.append(error)
            except GrantRefused:
                self.basic.prefer(spelling)
                if not refusals:
                    raise
                break  # the first attempt used up the grant: report its refusal
            else:
                self.basic.prefer(spelling)
                return tokens
        raise refusals[0]

    def _request(self, grant: Mapping[str, str], *, authorization: str | None) -> Tokens:
        spec = self.spec
        secret = spec.client_secret
        with OAuth2Session(
            spec.client_id, None if secret is None else secret.reveal(), token_endpoint_auth_method=self.method
        ) as session:
            self.transport.bind(session, budget=self.budget)
            session.register_compliance_hook("access_token_response", _read_response)
            try:
                answer: Mapping[str, object] = session.fetch_token(
                    self.url,
                    # Authlib's own Basic does not encode, and writes Latin-1.
                    auth=None if authorization is None else _Header(authorization),
                    allow_redirects=False,
                    **grant,
                )
            except OAuthError as error:
                raise _refusal(error) from error
            except AnswerTooLate as error:
                raise AnswerLost(f"POST {self.url}: {error}") from error
            except TRANSPORT_ERRORS as error:
                failure = self.transport.failed(f"POST {self.url}", error, url=self.url)
                # The other kinds are about the connection, or the proxy before it.
                was_sent = type(failure) is ProviderUnavailable and not was_not_sent(error)
                raise (AnswerLost(str(failure)) if was_sent else failure) from error
        return _tokens_in(answer, is_plain=type_of(spec).flow == "oauth2")


def was_not_sent(error: Exception) -> bool:
    """Return whether *error* came before the request was sent, so that the provider cannot have acted on it."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    is_early = isinstance(error, requests.ConnectTimeout) or is_own_failure(error)
    return is_early or isinstance(reason, urllib3.exceptions.NewConnectionError)


def _tokens_in(answer: Mapping[str, object], *, is_plain: bool) -> Tokens:
    access_token, refresh_token = answer.get("access_token"), answer.get("refresh_token")
    # RFC 6749, section 5.1, requires the type; older plain OAuth 2.0 providers omit it.
    kind = answer.get("token_type", "bearer" if is_plain else None)
    if not isinstance(access_token, str) or str(kind).lower() != "bearer":
        raise AnswerLost("the token endpoint gave no bearer token")
    return Tokens(
        access_token=access_token,
        id_token=answer.get("id_token"),
        refresh_token=refresh_token if isinstance(refresh_token, str) and refresh_token else None,
    )


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
        AnswerLost: a gateway did not get the answer.
        ProviderUnavailable: it is neither a success nor an error object, an error of the server, or throttled.
        ValueError: it is not a JSON object.
    """
    status = response.status_code
    try:
        answer = read_object(response.content)
    except ValueError:
        if status == requests.codes.ok:
            raise
        answer = {}
    is_passing = status >= requests.codes.server_error or status == requests.codes.too_many_requests
    if status != requests.codes.ok and ("error" not in answer or is_passing):
        text = f"the token endpoint answered with status {status}"
        if status in _OF_GATEWAY:
            raise AnswerLost(text)
        raise ClientRefused(text) if status == requests.codes.unauthorized else ProviderUnavailable(text)
    read = {name: answer[name] for name in _READ if name in answer}
    response._content = json.dumps(read).encode("ascii")  # noqa: SLF001 - where requests stores a body
    return response


def _refusal(error: OAuthError) -> GrantRefused | ProviderUnavailable:
    """Translate the error object of a token endpoint (RFC 6749, section 5.2), whatever its status."""
    text = f"the token endpoint answered {quoted(error.error)}: {quoted(error.description)}"
    if str(error.error) in _CLIENT:
        return ClientRefused(text)
    if str(error.error) in _CONFIGURATION:
        return ProviderMisconfigured(text)
    return ProviderUnavailable(text) if str(error.error) in _PASSING else GrantRefused(str(error.error), text)
