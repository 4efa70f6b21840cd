"""Signing and reading compact JWS with Ed25519 (RFC 7515, RFC 8037, RFC 9864).

Only here does token text become claims: whatever joserfc raises on hostile input becomes a :class:`Rejected`.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Final

from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import Key, KeySet, OKPKey

from portal.contract.rejection import Rejected, Rejection

ALGORITHM: Final = "Ed25519"
MAX_TOKEN: Final = 9216
"""Longest token read, in characters: the longest path in it takes 4/3 of its length, the rest 3,700."""
# Python's decoders skip what is not base64url: one ticket could then be written in many ways.
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")
_HEADER_MEMBERS: Final = frozenset({"alg", "kid", "typ"})


def sign(claims: Mapping[str, object], *, token_type: str, key: OKPKey) -> str:
    """Return *claims* as a compact JWS of *token_type* under *key*."""
    header: dict[str, object] = {"alg": ALGORITHM, "kid": key.kid, "typ": token_type}
    payload = json.dumps(claims, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    return jws.serialize_compact(header, payload, key, algorithms=[ALGORITHM])


def read(token: object, *, token_type: str, keys: KeySet) -> dict[str, object]:
    """Return the claims of *token* if one of *keys* signed it as *token_type*.

    The header is read before any cryptography.  It may have only ``alg``, ``kid`` and ``typ``,
    so ``crit``, ``jwk``, ``jku``, ``x5c`` and compression never reach a library.

    Raises:
        Rejected: whatever is wrong with it.
    """
    text = _compact(token)
    key = _named_key(_json_object(text.partition(".")[0]), token_type=token_type, keys=keys)
    try:
        payload = jws.deserialize_compact(text, key, algorithms=[ALGORITHM]).payload
    except BadSignatureError as error:
        raise Rejected(Rejection.BAD_SIGNATURE) from error
    except Exception as error:  # hostile input raises more than JoseError: TypeError, UnicodeError, binascii.Error
        raise Rejected(Rejection.UNREADABLE) from error
    return _parsed_object(payload or b"")


def _compact(token: object) -> str:
    if type(token) is not str:
        raise Rejected(Rejection.UNREADABLE)
    if len(token) > MAX_TOKEN:
        raise Rejected(Rejection.TOO_LARGE)
    if not _COMPACT.fullmatch(token):
        raise Rejected(Rejection.UNREADABLE)
    return token


def _named_key(header: Mapping[str, object], *, token_type: str, keys: KeySet) -> Key:
    if header.get("alg") != ALGORITHM:
        raise Rejected(Rejection.BAD_SIGNATURE)
    if header.get("typ") != token_type:
        raise Rejected(Rejection.WRONG_TYPE)
    kid = header.get("kid")
    if type(kid) is not str or not header.keys() <= _HEADER_MEMBERS:
        raise Rejected(Rejection.BAD_SHAPE)
    key = next((key for key in keys.keys if key.kid == kid), None)
    if key is None:
        raise Rejected(Rejection.UNKNOWN_KEY)
    return key


def _json_object(segment: str) -> dict[str, object]:
    try:
        raw = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError as error:
        raise Rejected(Rejection.UNREADABLE) from error
    return _parsed_object(raw)


def _parsed_object(raw: bytes) -> dict[str, object]:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        members = dict(pairs)
        if len(members) != len(pairs):  # RFC 7519, section 4: duplicate names are rejected
            raise Rejected(Rejection.UNREADABLE)
        return members

    def refuse_constant(_: str) -> object:
        raise Rejected(Rejection.UNREADABLE)  # NaN and Infinity are not JSON

    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=unique, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Rejected(Rejection.UNREADABLE) from error
    if type(value) is not dict:
        raise Rejected(Rejection.BAD_SHAPE)
    return value
