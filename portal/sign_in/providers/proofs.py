"""The two proofs of who has signed in: a signed ID token, or the answer of the provider's API.

Nothing is signed at a plain OAuth 2.0 provider.  There state, PKCE, the attempt's own cookie and the redirect URI tie
the code to this browser and provider.  The access token comes straight from the token endpoint and is used at once, so
it cannot be another person's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from portal.errors import CallbackRejected, ClaimsTooLarge, ProviderMisconfigured
from portal.rules.identity import VerifiedClaims
from portal.settings import ProviderSpec
from portal.sign_in.attempts import Attempt
from portal.sign_in.claims.merging import merge_userinfo
from portal.sign_in.provider_types import names_provider, type_of
from portal.sign_in.providers.document_cache import DocumentCache, DocumentCacheByIssuer
from portal.sign_in.providers.exchange import Tokens
from portal.sign_in.providers.id_token import (
    MAX_ID_TOKEN,
    IdTokenProblem,
    IdTokenRejected,
    issuer_claimed,
    verify_id_token,
)
from portal.sign_in.providers.keys import SHARED, VerificationKey, read_keys, shared_key
from portal.sign_in.providers.metadata import Metadata, discovery_url, is_safe_endpoint, metadata_of, read_metadata
from portal.sign_in.providers.transport import Budget, Transport, overflow_as_claims_too_large


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofResult:
    """What a proof shows before the provider's API is called."""

    spec: ProviderSpec
    """The provider, with the issuer that the proof names."""
    claims: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    id_token: str | None = field(default=None, repr=False)


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

    def verify(
        self, tokens: Tokens, attempt: Attempt, *, metadata: Metadata, spec: ProviderSpec, now: int, budget: Budget
    ) -> ProofResult:
        """Return no claims: the calls of the provider type, with the access token, are the proof."""
        del tokens, attempt, metadata, now, budget
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
        return self._keys.of(self._spec.with_issuer(self.metadata(budget=budget).issuer)).get(budget=budget)

    def verify(
        self, tokens: Tokens, attempt: Attempt, *, metadata: Metadata, spec: ProviderSpec, now: int, budget: Budget
    ) -> ProofResult:
        """Return the claims of the ID token over those of the userinfo endpoint.

        Raises:
            CallbackRejected: there is no ID token, it proves nothing, or userinfo is about another person.
            ClaimsTooLarge: the ID token or the answer is longer than is read.
            ProviderUnavailable: keys or userinfo cannot be fetched.
        """
        id_token = tokens.id_token
        if not isinstance(id_token, str):  # nothing else says whose access token it is
            raise CallbackRejected("the token endpoint gave no ID token")
        spec = self._with_issuer_of(id_token, spec)
        claims = self._claims_of(id_token, attempt, spec=spec, access_token=tokens.access_token, now=now, budget=budget)
        if metadata.endpoints.userinfo is not None and self._provider_type.asks_userinfo:
            claims = self._with_userinfo(
                claims, url=metadata.endpoints.userinfo, access_token=tokens.access_token, budget=budget
            )
        return ProofResult(spec=spec, claims=claims, id_token=id_token)

    def _with_issuer_of(self, id_token: str, spec: ProviderSpec) -> ProviderSpec:
        """Return *spec*; where only ID tokens show the issuer, with the one that *id_token* must be of."""
        if not spec.issuer_of_token:
            return spec
        of_token = self._provider_type.of_token
        named = None if of_token is None else of_token(spec, issuer_claimed(id_token))
        if named is None:
            raise IdTokenRejected(IdTokenProblem.WRONG_ISSUER)
        return named

    def _claims_of(
        self, id_token: str, attempt: Attempt, *, spec: ProviderSpec, access_token: str, now: int, budget: Budget
    ) -> VerifiedClaims:
        def verified(keys: tuple[VerificationKey, ...]) -> VerifiedClaims:
            return verify_id_token(
                id_token,
                keys=keys,
                issuer=lambda named, claims: names_provider(named, claims, spec),
                key_issuer=self._provider_type.is_key_issuer,
                client_id=spec.client_id,
                algorithms=spec.algorithms,
                nonce=attempt.nonce,
                now=now,
                access_token=access_token,
            )

        cache = self._keys.of(spec)
        keys = cache.get(budget=budget)
        try:
            return verified(keys)
        except IdTokenRejected as error:
            if error.problem is IdTokenProblem.TOO_LONG:
                raise ClaimsTooLarge(f"{error}, more than {MAX_ID_TOKEN} characters") from error
            if error.problem is not IdTokenProblem.UNKNOWN_KEY:
                raise
            newer = cache.get_newer(keys, budget=budget)
            if newer is None:
                raise
        return verified(newer)

    def _with_userinfo(self, claims: VerifiedClaims, *, url: str, access_token: str, budget: Budget) -> VerifiedClaims:
        headers = {"Authorization": f"Bearer {access_token}"}
        with overflow_as_claims_too_large():
            userinfo = self._transport.get_object(url, budget=budget, headers=headers)
        return VerifiedClaims(merge_userinfo(userinfo, claims))

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
