"""The two proofs of who has signed in: a signed ID token, or the answer of the provider's API.

Nothing is signed at a plain OAuth 2.0 provider.  There state, PKCE, the attempt's own cookie and the redirect URI tie
the code to this browser and provider.  The access token comes straight from the token endpoint and is used at once, so
it cannot be another person's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeVar

from portal.errors import (
    CallbackRejected,
    ClaimsTooLarge,
    LogoutTokenRejected,
    ProviderMisconfigured,
    ProviderUnavailable,
)
from portal.rules.identity import VerifiedClaims
from portal.settings import ProviderSpec
from portal.sign_in.claims.merging import merge_userinfo
from portal.sign_in.provider_types import names_provider, type_of
from portal.sign_in.providers.document_cache import DocumentCache, DocumentCacheByIssuer, Purpose
from portal.sign_in.providers.exchange import Tokens
from portal.sign_in.providers.id_token import (
    MAX_ID_TOKEN,
    IdTokenProblem,
    IdTokenRejected,
    is_signed_with_one_of,
    read_claims,
    verify_id_token,
)
from portal.sign_in.providers.keys import SHARED, VerificationKey, read_keys, shared_key
from portal.sign_in.providers.logout_token import ProviderLogout, verify_logout_token
from portal.sign_in.providers.metadata import Metadata, discovery_url, is_safe_endpoint, metadata_of, read_metadata
from portal.sign_in.providers.transport import Budget, Transport, overflow_as_claims_too_large

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofResult:
    """What a proof shows before the provider's API is called."""

    spec: ProviderSpec
    """The provider, with the issuer that the proof names."""
    claims: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    id_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What the tokens must agree with."""

    nonce: str = field(repr=False)
    """That of the attempt; at a refresh that of the former ID token, if it is known."""
    refreshed: bool = False
    former: str | None = field(default=None, repr=False)
    """At a refresh, the ID token before it, as it was verified then."""


class ApiProof:
    """The provider's API names the person (RFC 6749); an ID token is not read."""

    discovery: Final = None

    def __init__(self, spec: ProviderSpec) -> None:
        self._spec = spec

    def metadata(self, *, budget: Budget) -> Metadata:
        """Return the configured endpoints.

        Raises:
            ProviderMisconfigured: one is missing, or not safe.
        """
        del budget
        if self._spec.endpoints is None:
            raise ProviderMisconfigured("it has no endpoints")
        return metadata_of(self._spec.endpoints, issuer=self._spec.issuer, needs="userinfo_endpoint")

    def keys(self, *, budget: Budget) -> tuple[VerificationKey, ...]:
        """Return no key."""
        del budget
        return ()

    def publishes_key_of(self, id_token: str, *, budget: Budget) -> bool:
        """Return ``True``: there are no keys."""
        del id_token, budget
        return True

    def verify(
        self, tokens: Tokens, expected: Expectation, *, metadata: Metadata, spec: ProviderSpec, now: int, budget: Budget
    ) -> ProofResult:
        """Return no claims: the calls of the provider type, with the access token, are the proof."""
        del tokens, expected, metadata, now, budget
        return ProofResult(spec=spec)


class IdTokenProof:
    """A signed ID token (OpenID Connect Core, section 3.1.3.7), and userinfo about the same ``sub``."""

    def __init__(self, spec: ProviderSpec, *, transport: Transport, monotonic: Callable[[], float]) -> None:
        self._spec = spec
        self._provider_type = type_of(spec)
        self._transport = transport
        self._metadata = DocumentCache(self._load_metadata, monotonic=monotonic)
        self._keys = DocumentCacheByIssuer(self._load_keys, monotonic=monotonic)

    @property
    def discovery(self) -> str | None:
        """Where the metadata is fetched; ``None``: it is configured."""
        return None if self._spec.endpoints is not None else self._spec.discovery or discovery_url(self._spec.issuer)

    def metadata(self, *, budget: Budget) -> Metadata:
        """Return the provider's metadata.

        Raises:
            ProviderUnavailable: there is none, or none that can be used.
        """
        return self._metadata.get(budget=budget)

    def keys(self, *, budget: Budget) -> tuple[VerificationKey, ...]:
        """Return the provider's keys; none where only an ID token shows whose they are.

        Raises:
            ProviderUnavailable: there is none that can be used.
        """
        if self._spec.issuer_of_token:
            return ()
        return self._keys.of(self._with_own_issuer(budget)).get(budget=budget)

    def verify(
        self, tokens: Tokens, expected: Expectation, *, metadata: Metadata, spec: ProviderSpec, now: int, budget: Budget
    ) -> ProofResult:
        """Return the claims of the ID token over those of the userinfo endpoint.

        Where a refresh brings no ID token, those of the former one stand in for it.

        Raises:
            CallbackRejected: there is no ID token, it proves nothing, or userinfo is about another person.
            ClaimsTooLarge: the ID token or the answer is longer than is read.
            ProviderUnavailable: keys or userinfo cannot be fetched.
        """
        is_fresh = isinstance(tokens.id_token, str)
        id_token = tokens.id_token if is_fresh else expected.former
        if not isinstance(id_token, str):  # nothing else says whose access token it is
            raise CallbackRejected("the token endpoint gave no ID token")
        spec = self._with_issuer_of(id_token, spec)
        claims = (
            self._claims_of(id_token, expected, spec=spec, access_token=tokens.access_token, now=now, budget=budget)
            if is_fresh
            else VerifiedClaims(read_claims(id_token))
        )
        if metadata.endpoints.userinfo is not None and self._provider_type.asks_userinfo:
            userinfo = self._userinfo(metadata.endpoints.userinfo, access_token=tokens.access_token, budget=budget)
            older, newer = (userinfo, claims) if is_fresh else (claims, userinfo)
            claims = VerifiedClaims(merge_userinfo(older, newer))
        return ProofResult(spec=spec, claims=claims, id_token=id_token)

    def _with_own_issuer(self, budget: Budget) -> ProviderSpec:
        """Return the spec with the issuer that the metadata names."""
        return self._spec.with_issuer(self.metadata(budget=budget).issuer)

    def _with_issuer_of(self, id_token: str, spec: ProviderSpec) -> ProviderSpec:
        """Return *spec*; where only ID tokens show the issuer, with the one that *id_token* must be of."""
        if not spec.issuer_of_token:
            return spec
        of_token = self._provider_type.of_token
        named = None if of_token is None else of_token(spec, read_claims(id_token).get("iss"))
        if named is None:
            raise IdTokenRejected(IdTokenProblem.WRONG_ISSUER)
        return named

    def _claims_of(
        self, id_token: str, expected: Expectation, *, spec: ProviderSpec, access_token: str, now: int, budget: Budget
    ) -> VerifiedClaims:
        def verified(keys: tuple[VerificationKey, ...]) -> VerifiedClaims:
            return verify_id_token(
                id_token,
                keys=keys,
                issuer=lambda named, claims: names_provider(named, claims, spec),
                key_issuer=self._provider_type.is_key_issuer,
                client_id=spec.client_id,
                algorithms=spec.algorithms,
                nonce=expected.nonce,
                now=now,
                access_token=access_token,
                refreshed=expected.refreshed,
            )

        try:
            return self._with_keys(spec, verified, purpose="sign-in", budget=budget)
        except IdTokenRejected as error:
            if error.problem is IdTokenProblem.TOO_LONG:
                raise ClaimsTooLarge(f"{error}, more than {MAX_ID_TOKEN} characters") from error
            raise

    def publishes_key_of(self, id_token: str, *, budget: Budget) -> bool:
        """Return whether the provider could still verify an *id_token* of its own, as far as its keys show."""
        if self._spec.issuer_of_token:
            return True
        try:
            cache = self._keys.of(self._with_own_issuer(budget))
            keys = cache.get(budget=budget)
            keys = cache.get_newer(keys, purpose="sign-out", budget=budget) or keys
        except ProviderUnavailable:
            return True
        return is_signed_with_one_of(keys, id_token)

    def verify_logout(self, token: str, *, now: int, budget: Budget) -> ProviderLogout:
        """Return what the logout *token* ends.

        Raises:
            LogoutTokenRejected: it ends nothing.
            ProviderUnavailable: the provider's keys cannot be fetched, or not again yet.
        """

        def verified(keys: tuple[VerificationKey, ...]) -> ProviderLogout:
            return verify_logout_token(
                token,
                keys=keys,
                issuer=lambda named, claims: names_provider(named, claims, spec),
                key_issuer=self._provider_type.is_key_issuer,
                client_id=spec.client_id,
                algorithms=spec.algorithms,
                now=now,
            )

        if self._spec.issuer_of_token:  # a stranger would choose the issuer whose keys are fetched
            raise LogoutTokenRejected(IdTokenProblem.WRONG_ISSUER)
        spec = self._with_own_issuer(budget)
        return self._with_keys(spec, verified, purpose="logout", budget=budget)

    def _with_keys(
        self,
        spec: ProviderSpec,
        verified: Callable[[tuple[VerificationKey, ...]], T],
        *,
        purpose: Purpose,
        budget: Budget,
    ) -> T:
        """Return what *verified* returns with the provider's keys, fetched again if they lack the token's."""
        cache = self._keys.of(spec)
        keys = cache.get(budget=budget)
        try:
            return verified(keys)
        except (IdTokenRejected, LogoutTokenRejected) as error:
            if error.problem != IdTokenProblem.UNKNOWN_KEY:
                raise
            newer = cache.get_newer(keys, purpose=purpose, budget=budget)
            if newer is None and purpose == "logout":  # the key may be new: the provider can send the token again
                raise ProviderUnavailable("its keys lack the token's, and were fetched a moment ago") from error
            if newer is None:
                raise
        return verified(newer)

    def _userinfo(self, url: str, *, access_token: str, budget: Budget) -> dict[str, object]:
        with overflow_as_claims_too_large():
            return self._transport.get_object(url, budget=budget, headers={"Authorization": f"Bearer {access_token}"})

    def _load_metadata(self, budget: Budget) -> Metadata:
        spec = self._spec
        if spec.endpoints is not None:
            needs = None if spec.issuer_of_token else "jwks_uri"
            return metadata_of(spec.endpoints, issuer=spec.issuer, needs=needs)
        document = self._transport.get_object(str(self.discovery), budget=budget)
        return read_metadata(document, issuer=spec.with_issuer(document.get("issuer")).issuer)

    def _load_keys(self, spec: ProviderSpec, budget: Budget) -> tuple[VerificationKey, ...]:
        secret = spec.client_secret
        if secret is not None and SHARED.issuperset(spec.algorithms) and not self._spec.issuer_of_token:
            return (shared_key(secret.reveal()),)
        jwks = (spec.endpoints or self.metadata(budget=budget).endpoints).jwks
        if jwks is None or not is_safe_endpoint(jwks, issuer=spec.issuer):
            raise ProviderMisconfigured("it is not known where the keys of its ID tokens are")
        return read_keys(self._transport.get_object(jwks, budget=budget))
