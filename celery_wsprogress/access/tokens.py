"""Tokens: JSON Web Tokens (RFC 7519), how they are signed and how they are verified.

A token is sent in a command, an ``Authorization`` header or a cookie, never in a URL. Its claims:

``exp``
    Its end, in epoch seconds. Required.
``ops``
    The operations that it grants: ids, or patterns such as ``group:<id>``; see :mod:`.grants`.
    ``ids`` is a list of ids alone. One of the two is required.
``can``
    What it grants: ``watch``, ``list``, ``cancel``, ``stats``; by default all but ``cancel``.
``view``
    ``full`` (the default) or ``progress``.
``sub``, ``jti``, ``nbf``, ``iss``, ``aud``
    As in RFC 7519, section 4.1.

Pure: the time is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import jwt

from celery_wsprogress.access.grants import (
    DEFAULT_RIGHTS,
    Grant,
    Pattern,
    PatternKind,
    Right,
    View,
    parse_pattern,
)
from celery_wsprogress.access.keys import HS256, KeySet, VerificationKey
from celery_wsprogress.access.revocations import NOTHING_REVOKED, Revocations
from celery_wsprogress.errors import TokenError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_TOKEN_LENGTH: Final = 256_000
"""Maximum characters of a token."""

MAX_HEADER_LENGTH: Final = 2_000
"""Maximum characters of the header of a token."""

MAX_NAME_LENGTH: Final = 255
"""Maximum characters of ``sub`` and ``jti``."""

NOT_BEFORE_LEEWAY: Final = 10.0
"""Seconds by which the clock of the one who signs may be ahead of ours."""

TOKEN_TYPES: Final = frozenset({"jwt", "application/jwt", "at+jwt", "application/at+jwt"})
"""The values of ``typ``, in lower case: a plain token, and an access token (RFC 9068). Others are
tokens for another purpose (RFC 8725, section 3.11)."""

_LATEST_END: Final = 1e11
"""Maximum of ``exp``, in epoch seconds: a larger number does not count seconds."""


def sign(key: str, claims: Mapping[str, Any], *, kid: str | None = None) -> str:
    """Create a token with HS256."""
    headers = None if kid is None else {"kid": kid}
    return jwt.encode(dict(claims), key, algorithm=HS256, headers=headers)


@dataclass(slots=True)
class TokenVerifier:
    """Verifies the tokens of all clients."""

    keys: KeySet = field(default_factory=KeySet)
    """Replaced as a whole when public keys are fetched again."""
    issuers: Sequence[str] = ()
    """The values of ``iss`` that are accepted; all if it is empty."""
    audiences: Sequence[str] = ()
    """The values of ``aud`` that this sidecar goes by. One without any is nobody's audience."""
    revocations: Revocations = NOTHING_REVOKED
    """Replaced as a whole when the file of them has changed."""

    def read(self, token: object, *, timestamp: float) -> Grant:
        """Verify a token; ``timestamp`` is epoch seconds now.

        Raises:
            TokenError: it is malformed, signed with another key, expired, or for somebody else.
        """
        if not isinstance(token, str) or not token:
            raise TokenError("The token is not a string")
        claims = self._claims(token)
        self._check_parties(claims)
        grant = read_claims(claims, timestamp=timestamp)
        if self.revocations.cover(grant):
            raise TokenError("The token is revoked")
        return grant

    def needs_new_key(self, token: object) -> bool:
        """Return whether a token names a key that is not known."""
        try:
            kid = _header(token).get("kid") if isinstance(token, str) else None
        except TokenError:
            return False
        return kid is not None and not self.keys.knows(kid)

    def _claims(self, token: str) -> Mapping[str, Any]:
        header = _header(token)
        kid = header.get("kid")
        for key in self.keys.candidates(header.get("alg"), kid):
            try:
                return _decode(token, key)
            except jwt.InvalidSignatureError:
                continue
        if kid is not None and not self.keys.knows(kid):
            raise TokenError("The token is signed with a key that is not known here")
        raise TokenError(_NOT_VALID)

    def _check_parties(self, claims: Mapping[str, Any]) -> None:
        if self.issuers and claims.get("iss") not in self.issuers:
            raise TokenError("The token is of another issuer (`iss`)")
        audience = claims.get("aud")
        named = [audience] if isinstance(audience, str) else audience
        if named is None and not self.audiences:
            return
        # RFC 7519, section 4.1.3: who is not named as the audience must refuse the token.
        if not isinstance(named, list) or not any(one in named for one in self.audiences):
            raise TokenError("The token is for another audience (`aud`)")


_NOT_VALID: Final = "The token is not valid"
_ANOTHER_PURPOSE: Final = "The token is for another purpose (`typ`)"

_CLAIMS_CHECKED_HERE: Final[Any] = {
    f"verify_{name}": False for name in ("exp", "iat", "nbf", "aud", "iss", "sub", "jti")
}


def _header(token: str) -> dict[str, Any]:
    if len(token) > MAX_TOKEN_LENGTH or token.find(".") > MAX_HEADER_LENGTH:
        raise TokenError("The token is too long")
    try:
        header = jwt.get_unverified_header(token)
    # Besides its own errors, PyJWT lets those of a text that is not ASCII, or nests too deep, pass.
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise TokenError(_NOT_VALID) from None
    # PyJWT has checked that `kid` is a string. Versions before 2.12 pass over `crit`.
    kind = header.get("typ", "JWT")
    if "crit" in header or not isinstance(kind, str) or kind.lower() not in TOKEN_TYPES:
        raise TokenError(_NOT_VALID if "crit" in header else _ANOTHER_PURPOSE)
    return header


def _decode(token: str, key: VerificationKey) -> Mapping[str, Any]:
    """Verify the signature, and return the claims.

    Raises:
        jwt.InvalidSignatureError: another key has signed it.
        TokenError: it is malformed.
    """
    try:
        # PyJWT reads the clock itself. Here the time is passed in, so it is checked below.
        return jwt.decode(token, key.key, algorithms=[key.algorithm], options=_CLAIMS_CHECKED_HERE)
    except jwt.InvalidSignatureError:
        raise
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise TokenError(_NOT_VALID) from None


def read_claims(claims: Mapping[str, Any], *, timestamp: float) -> Grant:
    """Return the grant of verified claims; ``timestamp`` is epoch seconds now.

    Raises:
        TokenError: a claim is not valid, or the time for it has not come or is over.
    """
    patterns = _patterns(claims)
    expires_at = _time(claims, "exp")
    if claims.get("nbf") is not None and _time(claims, "nbf") > timestamp + NOT_BEFORE_LEEWAY:
        raise TokenError("The token is not valid yet")
    if expires_at <= timestamp:
        raise TokenError("The token has expired")
    return Grant(
        patterns,
        expires_at,
        _rights(claims),
        _view(claims),
        subject=_name(claims, "sub"),
        token_id=_name(claims, "jti"),
    )


def _patterns(claims: Mapping[str, Any]) -> frozenset[Pattern]:
    ids, ops = _texts(claims, "ids"), _texts(claims, "ops")
    if ids is None and ops is None:
        raise TokenError("The token has no valid claim `ops` or `ids`")
    try:
        patterns = [parse_pattern(one) for one in ops or ()]
    except ValueError:
        raise TokenError("The token has no valid claim `ops`") from None
    return frozenset([*(Pattern(PatternKind.ID, one) for one in ids or ()), *patterns])


def _rights(claims: Mapping[str, Any]) -> frozenset[Right]:
    words = _texts(claims, "can")
    if words is None:
        return DEFAULT_RIGHTS
    # What a later version adds may be granted as well. Here it grants nothing.
    return frozenset(one for one in Right if one in words)


def _view(claims: Mapping[str, Any]) -> View:
    word = claims.get("view", View.FULL)
    if not isinstance(word, str) or word not in tuple(View):
        raise TokenError("The token has no valid claim `view`")
    return View(word)


def _texts(claims: Mapping[str, Any], name: str) -> list[str] | None:
    texts = claims.get(name)
    if texts is None:
        return None
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise TokenError(f"The token has no valid claim `{name}`")
    return texts


def _name(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_LENGTH:
        raise TokenError(f"The token has no valid claim `{name}`")
    return value


def _time(claims: Mapping[str, Any], name: str) -> float:
    value: Any = claims.get(name)
    # `json.loads` accepts NaN, for which `value <= timestamp` would never be true.
    if type(value) not in {int, float} or not value < _LATEST_END:
        raise TokenError(f"The token has no valid claim `{name}`")
    # An int of 400 digits has no float.
    return float(max(value, 0))
