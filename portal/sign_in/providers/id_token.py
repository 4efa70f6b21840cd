"""Verifies an ID token (OpenID Connect Core 1.0, section 3.1.3.7).  Pure.

The libraries do not check enough: Authlib 1.9 accepts another audience if ``azp`` is the client, and any algorithm
that discovery lists; joserfc accepts ``exp == now`` and a missing ``exp``.
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Final, TypeAlias

from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jws import JWSRegistry

from portal.contract import Rejected, claim_values
from portal.errors import CallbackRejected
from portal.rules.identity import VerifiedClaims
from portal.settings import OLDER_NAMES, algorithm_named
from portal.sign_in.claims.values import MAX_SUBJECT
from portal.sign_in.providers.json_documents import read_object
from portal.sign_in.providers.keys import FAMILY_OF, SHARED, VerificationKey

MAX_ID_TOKEN: Final = 1 << 20
"""Longest ID token read, in characters."""
_MAX_HEADER: Final = 16 * 1024
"""Longest header of one, in characters: some hold a certificate chain."""
_MAX_SIGNATURE: Final = 2048
"""Longest signature, in characters: the longest accepted RSA key makes 1366."""
SKEW: Final = 60
"""Seconds that the provider's clock may be off."""
MAX_AGE: Final = 600
"""Longest time since the token was issued, in seconds; it comes straight from the token endpoint."""

_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
"""RFC 7515, section 7.1, exactly: decoders differ in which other characters they skip.  A JWE does not match."""
_LATEST: Final = 1 << 40
_REFUSED_HEADERS: Final = frozenset({"b64", "crit", "jwk", "zip", "enc"})
"""Headers that would change how the token is read, or bring a key of the sender's choice.  Addresses of keys (``jku``,
``x5u``) are in every token of some providers; they are never followed."""
PLAIN_TYPES: Final = frozenset({"jwt", "application/jwt"})
"""``typ`` of a token that names no type of its own."""
_KNOWN: Final = FAMILY_OF.keys() | SHARED
_ALGORITHMS: Final = {
    **JWSRegistry.algorithms,
    **{older: JWSRegistry.algorithms[name] for older, name in OLDER_NAMES.items()},
}
"""With the older names for the same algorithms: joserfc's own ``EdDSA`` accepts a key on another curve."""

IssuerTest: TypeAlias = Callable[[object, Mapping[str, object]], bool]


class IdTokenProblem(StrEnum):
    """Why an ID token was refused.  Values are logged and documented; keep alphabetized."""

    ACCESS_TOKEN_MISMATCH = "access-token-mismatch"  # noqa: S105 - a reason, not a secret
    """``at_hash`` is of another access token."""
    BAD_SHAPE = "bad-shape"
    BAD_SIGNATURE = "bad-signature"
    EXPIRED = "expired"
    NO_EXPIRY = "no-expiry"
    NOT_YET_VALID = "not-yet-valid"
    TOO_LONG = "too-long"
    TOO_OLD = "too-old"
    UNKNOWN_KEY = "unknown-key"
    """The header names no key of the provider; the only problem that newer keys may fix."""
    UNREADABLE = "unreadable"
    WRONG_ALGORITHM = "wrong-algorithm"
    WRONG_AUDIENCE = "wrong-audience"
    WRONG_ISSUER = "wrong-issuer"
    WRONG_NONCE = "wrong-nonce"
    WRONG_PARTY = "wrong-party"
    """``azp`` is another client, or missing although there are several audiences."""
    WRONG_TYPE = "wrong-type"


class IdTokenRejected(CallbackRejected):
    """The ID token proves nothing."""

    def __init__(self, problem: IdTokenProblem) -> None:
        super().__init__(f"ID token: {problem}")
        self.problem = problem


def verify_id_token(
    token: object,
    *,
    keys: Sequence[VerificationKey],
    issuer: str | IssuerTest,
    key_issuer: IssuerTest | None = None,
    client_id: str,
    algorithms: Collection[str],
    nonce: str,
    now: int,
    access_token: str | None = None,
    refreshed: bool = False,
) -> VerifiedClaims:
    """Return the claims of *token*.

    *issuer* is the accepted issuer, or tests an ``iss`` with the other claims; *key_issuer* tests the ``issuer`` beside
    the key, if the provider type has a meaning for it.
    *algorithms* are those of the configuration.  Symmetric ones verify only if *keys* are a client secret, which
    no published key is; ``none`` is always refused.  A *refreshed* token may lack the nonce (section 12.2); one that it
    has must be *nonce*, if that is known.

    Raises:
        IdTokenRejected: with the first problem found, and only ever this.
    """
    claims, algorithm = verify_provider_token(
        token,
        types=PLAIN_TYPES,
        keys=keys,
        issuer=issuer,
        key_issuer=key_issuer,
        client_id=client_id,
        algorithms=algorithms,
        now=now,
        needs_party=True,
    )
    if not refreshed or (nonce and "nonce" in claims):
        _check_nonce(claims, nonce=nonce)
    _check_access_token(claims, algorithm=algorithm, access_token=access_token)
    try:
        claim_values.text(claims, "sub", longest=MAX_SUBJECT)
    except Rejected as error:
        raise IdTokenRejected(IdTokenProblem.BAD_SHAPE) from error
    if "events" in claims:  # a logout token, which the same key signs (Back-Channel Logout 1.0, section 2.4)
        raise IdTokenRejected(IdTokenProblem.WRONG_TYPE)
    return VerifiedClaims(claims)


def verify_provider_token(
    token: object,
    *,
    types: Collection[str],
    keys: Sequence[VerificationKey],
    issuer: str | IssuerTest,
    key_issuer: IssuerTest | None,
    client_id: str,
    algorithms: Collection[str],
    now: int,
    needs_party: bool,
) -> tuple[dict[str, object], str]:
    """Return the claims and the algorithm of a token of the provider, after what all its tokens have in common.

    *types* are the accepted ``typ`` in lower case; a token may lack it.  *needs_party*: whether a token for several
    audiences must have ``azp``.  The others are as for :func:`verify_id_token`.

    Raises:
        IdTokenRejected: with the first problem found, and only ever this.
    """
    text = _compact(token)
    header = _segment(text.partition(".")[0])
    algorithm = _algorithm(header, types=types, allowed=algorithms)
    key = _key(header, algorithm=algorithm, keys=keys)
    claims = _signed_claims(text, key=key, written=str(header["alg"]))
    if not (issuer(claims.get("iss"), claims) if callable(issuer) else claims.get("iss") == issuer):
        raise IdTokenRejected(IdTokenProblem.WRONG_ISSUER)
    if key_issuer is not None and key.issuer is not None and not key_issuer(key.issuer, claims):
        raise IdTokenRejected(IdTokenProblem.WRONG_ISSUER)
    _check_audience(claims, client_id=client_id, needs_party=needs_party)
    _check_times(claims, now=now)
    return claims, algorithm


def is_signed_with_one_of(keys: Sequence[VerificationKey], token: str) -> bool:
    """Return whether the header of *token*, which was verified once, names one of *keys*."""
    try:
        header = _segment(_compact(token).partition(".")[0])
        _key(header, algorithm=algorithm_named(str(header.get("alg"))), keys=keys)
    except IdTokenRejected:
        return False
    return True


def read_claims(token: object) -> dict[str, object]:
    """Return the claims of *token*, which is not verified here.

    Raises:
        IdTokenRejected: it cannot be read.
    """
    return _segment(_compact(token).split(".")[1])


def _compact(token: object) -> str:
    if type(token) is str and len(token) > MAX_ID_TOKEN:
        raise IdTokenRejected(IdTokenProblem.TOO_LONG)
    if type(token) is not str or not _COMPACT.fullmatch(token):
        raise IdTokenRejected(IdTokenProblem.UNREADABLE)
    return token


def _segment(segment: str) -> dict[str, object]:
    try:
        return read_object(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except ValueError as error:
        raise IdTokenRejected(IdTokenProblem.UNREADABLE) from error


def _algorithm(header: Mapping[str, object], *, types: Collection[str], allowed: Collection[str]) -> str:
    if not _REFUSED_HEADERS.isdisjoint(header):
        raise IdTokenRejected(IdTokenProblem.BAD_SHAPE)
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in types:
        raise IdTokenRejected(IdTokenProblem.WRONG_TYPE)
    written = header.get("alg")
    algorithm = algorithm_named(written) if isinstance(written, str) else ""
    if algorithm not in allowed or algorithm not in _KNOWN:
        raise IdTokenRejected(IdTokenProblem.WRONG_ALGORITHM)
    return algorithm


def _key(header: Mapping[str, object], *, algorithm: str, keys: Sequence[VerificationKey]) -> VerificationKey:
    kid = header.get("kid")
    if not isinstance(kid, str | None):
        raise IdTokenRejected(IdTokenProblem.BAD_SHAPE)
    # A shared secret has no key id, whatever the header says.
    named = [key for key in keys if kid in {None, key.kid} or algorithm in SHARED]
    fitting = [key for key in named if algorithm in key.algorithms]
    # Without a kid only one key may fit (section 10.1); a kid of another family is not an unknown key.
    if named and not fitting:
        raise IdTokenRejected(IdTokenProblem.WRONG_ALGORITHM)
    if len(fitting) != 1:
        raise IdTokenRejected(IdTokenProblem.UNKNOWN_KEY)
    return fitting[0]


def _signed_claims(text: str, *, key: VerificationKey, written: str) -> dict[str, object]:
    registry = JWSRegistry(algorithms=[written], strict_check_header=False)
    registry.algorithms = _ALGORITHMS
    registry.max_header_length, registry.max_payload_length = _MAX_HEADER, MAX_ID_TOKEN
    registry.max_signature_length = _MAX_SIGNATURE
    try:
        payload = jws.deserialize_compact(text, key.key, algorithms=[written], registry=registry).payload
    except BadSignatureError as error:
        raise IdTokenRejected(IdTokenProblem.BAD_SIGNATURE) from error
    except Exception as error:  # hostile input raises more than JoseError: TypeError, UnicodeError, binascii.Error
        raise IdTokenRejected(IdTokenProblem.UNREADABLE) from error
    try:
        return read_object(payload or b"")
    except ValueError as error:
        raise IdTokenRejected(IdTokenProblem.UNREADABLE) from error


def _check_audience(claims: Mapping[str, object], *, client_id: str, needs_party: bool) -> None:
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or not all(isinstance(one, str) for one in audiences):
        raise IdTokenRejected(IdTokenProblem.BAD_SHAPE)
    if client_id not in audiences:
        raise IdTokenRejected(IdTokenProblem.WRONG_AUDIENCE)
    if claims.get("azp", client_id) != client_id or (needs_party and len(audiences) > 1 and "azp" not in claims):
        raise IdTokenRejected(IdTokenProblem.WRONG_PARTY)


def _check_times(claims: Mapping[str, object], *, now: int) -> None:
    if "exp" not in claims:
        raise IdTokenRejected(IdTokenProblem.NO_EXPIRY)
    if now >= _moment(claims, "exp") + SKEW:  # RFC 7519, section 4.1.4: "on or after" is too late
        raise IdTokenRejected(IdTokenProblem.EXPIRED)
    issued_at = _moment(claims, "iat")
    if issued_at > now + SKEW or ("nbf" in claims and _moment(claims, "nbf") > now + SKEW):
        raise IdTokenRejected(IdTokenProblem.NOT_YET_VALID)
    if now >= issued_at + MAX_AGE + SKEW:
        raise IdTokenRejected(IdTokenProblem.TOO_OLD)


def _moment(claims: Mapping[str, object], name: str) -> float:
    value = claims.get(name)
    # NumericDate may carry a fraction; True is an int to Python, but not a time.
    if type(value) not in {int, float} or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        raise IdTokenRejected(IdTokenProblem.BAD_SHAPE)
    return value


def _check_nonce(claims: Mapping[str, object], *, nonce: str) -> None:
    presented = claims.get("nonce")
    if not isinstance(presented, str) or not nonce or not _same(presented, nonce):
        raise IdTokenRejected(IdTokenProblem.WRONG_NONCE)


def _check_access_token(claims: Mapping[str, object], *, algorithm: str, access_token: str | None) -> None:
    """Compare ``at_hash``, if there is one (section 3.1.3.6)."""
    if "at_hash" not in claims:
        return
    presented = claims["at_hash"]
    name = "sha512" if algorithm == "Ed25519" else f"sha{algorithm[2:]}"
    digest = hashlib.new(name, (access_token or "").encode("utf-8", "surrogatepass")).digest()
    expected = urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode("ascii")
    if access_token is None or not isinstance(presented, str) or not _same(presented.rstrip("="), expected):
        raise IdTokenRejected(IdTokenProblem.ACCESS_TOKEN_MISMATCH)


def _same(presented: str, expected: str) -> bool:
    return hmac.compare_digest(presented.encode("utf-8", "surrogatepass"), expected.encode())
