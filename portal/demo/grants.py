"""The protocol, by Authlib's server, with everything optional made strict.

Every request needs PKCE with S256 (RFC 9700, 2.1.1), the callback names its issuer (RFC 9207), and sign-out redirects
only to loopback URLs.
"""

from collections.abc import Mapping
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9207 import IssuerParameter
from authlib.oidc.core.grants import OpenIDCode
from authlib.oidc.rpinitiated import EndSessionEndpoint
from joserfc.jwk import KeySet, RSAKey

from portal.clock import Clock
from portal.contract import is_loopback_url
from portal.demo.memory import SCOPES, TOKEN_LIFETIME, Code, DemoClient, Memory
from portal.demo.people import SamplePerson, claims_of, find_person

ALGORITHM = "RS256"


def new_signing_key() -> RSAKey:
    """Return a new signing key, for the lifetime of the process."""
    key = RSAKey.generate_key(2048, parameters={"use": "sig", "alg": ALGORITHM})
    key.ensure_kid()
    return key


class _OnlyS256(CodeChallenge):  # type: ignore[misc]  # Authlib ships no types
    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        # Authlib accepts a request without a challenge, and treats a missing method as "plain".
        data = grant.request.payload.data
        if not data.get("code_challenge") or data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE with S256 is required.")
        super().validate_code_challenge(grant, redirect_uri)


class _NamesIssuer(IssuerParameter):  # type: ignore[misc]  # Authlib ships no types
    def __init__(self, issuer: str) -> None:
        self._issuer = issuer

    def get_issuer(self) -> str:
        return self._issuer


class _IdTokens(OpenIDCode):  # type: ignore[misc]  # Authlib ships no types
    def __init__(self, *, issuer: str, key: RSAKey, clock: Clock) -> None:
        super().__init__()
        self._issuer = issuer
        self._key = key
        self._clock = clock

    def exists_nonce(self, nonce: str, request: Any) -> bool:
        # The client checks the nonce; refusing a repeated one here would only break the browser's back button.
        del nonce, request
        return False

    def resolve_client_private_key(self, client: DemoClient) -> RSAKey:
        del client
        return self._key

    def get_client_algorithm(self, client: DemoClient) -> str:
        del client
        return ALGORITHM

    def get_encode_header(self, client: DemoClient) -> dict[str, object]:
        return {"alg": self.get_client_algorithm(client), "kid": self._key.kid}

    def get_client_claims(self, client: DemoClient) -> dict[str, object]:
        now = self._clock()
        return {"iss": self._issuer, "aud": client.client_id, "iat": now, "exp": now + TOKEN_LIFETIME}

    def generate_user_info(self, user: SamplePerson, scope: str) -> Mapping[str, object]:
        return claims_of(user, scopes=scope.split())


def _code_grant(memory: Memory, clock: Clock) -> type:
    class _CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]  # Authlib ships no types
        def save_authorization_code(self, code: str, request: Any) -> None:
            data = request.payload.data
            memory.add_code(
                Code(
                    code=code,
                    subject=request.user.subject,
                    redirect_uri=request.payload.redirect_uri,
                    scope=request.scope,
                    nonce=data.get("nonce"),
                    code_challenge=data["code_challenge"],
                    code_challenge_method=data["code_challenge_method"],
                    issued_at=clock(),
                )
            )

        def query_authorization_code(self, code: str, client: DemoClient) -> Code | None:
            del client  # there is only one
            return memory.take_code(code)

        def delete_authorization_code(self, authorization_code: Code) -> None:
            """Do nothing: the code was removed when it was presented."""

        def authenticate_user(self, authorization_code: Code) -> SamplePerson | None:
            return find_person(authorization_code.subject)

    return _CodeGrant


class _EndSession(EndSessionEndpoint):  # type: ignore[misc]  # Authlib ships no types
    keys: KeySet

    def get_server_jwks(self) -> KeySet:
        return self.keys

    def get_algorithms(self) -> list[str]:
        return [ALGORITHM]

    def _is_valid_post_logout_redirect_uri(self, client: DemoClient, post_logout_redirect_uri: str) -> bool:
        del client
        return is_loopback_url(post_logout_redirect_uri)

    def is_post_logout_redirect_uri_legitimate(self, *args: Any) -> bool:
        # Without an ID token too: there is no session here that a foreign request could end.
        del args
        return True

    def end_session(self, end_session_request: Any) -> None:
        """Do nothing: this provider has no sessions."""


def build_server(*, issuer: str, client: DemoClient, key: RSAKey, memory: Memory, clock: Clock) -> AuthorizationServer:
    """Return the authorization server for *client*."""

    def query_client(client_id: str) -> DemoClient | None:
        return client if client_id == client.client_id else None

    def save_token(token: Mapping[str, str], request: Any) -> None:
        memory.add_token(token["access_token"], code=request.authorization_code)

    server = AuthorizationServer(query_client=query_client, save_token=save_token)
    server.load_config(
        {
            "OAUTH2_SCOPES_SUPPORTED": list(SCOPES),
            "OAUTH2_TOKEN_EXPIRES_IN": {"authorization_code": TOKEN_LIFETIME},
        }
    )
    server.register_grant(_code_grant(memory, clock), [_OnlyS256(), _IdTokens(issuer=issuer, key=key, clock=clock)])
    server.register_extension(_NamesIssuer(issuer))
    end_session = _EndSession(server)
    end_session.keys = KeySet([key])
    server.register_endpoint(end_session)
    return server


def name_issuer(response: Any, *, issuer: str) -> None:
    """Add ``iss`` to the redirect in *response*, for answers that Authlib builds without it."""
    _NamesIssuer(issuer).add_issuer_parameter(None, response)
