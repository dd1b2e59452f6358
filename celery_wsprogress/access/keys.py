"""The keys that verify tokens: secrets for HS256, public keys for RS256, ES256 and EdDSA.

The algorithm belongs to the key: a token says by its header which one it was signed with, and is
verified by keys of that algorithm only. So a public key never serves as a secret (RFC 8725,
section 2.1). Public keys need the package ``cryptography``.

Pure.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import jwt
from jwt.algorithms import has_crypto

if TYPE_CHECKING:
    from collections.abc import Iterable

HS256: Final = "HS256"

MAX_KEYS: Final = 32
"""Maximum number of keys: a token without ``kid`` is tried with all of its algorithm."""

MIN_RSA_BITS: Final = 2048
"""RFC 7518, section 3.3."""

CRYPTOGRAPHY_MISSING: Final = (
    "public keys need the package cryptography: pip install 'celery-wsprogress[crypto]'"
)

JWK: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key, and the only algorithm that it is used with."""

    algorithm: str
    key: Any = field(repr=False)
    """A secret as text, or a public key of ``cryptography``."""
    kid: str | None = None
    """Name of the key, as in the header of the tokens."""


class KeySet:
    """The keys of a sidecar.

    Raises:
        ValueError: there are more than :data:`MAX_KEYS`.
    """

    def __init__(self, keys: Iterable[VerificationKey] = ()) -> None:
        self._keys = tuple(keys)
        self._names = frozenset(one.kid for one in self._keys)
        if len(self._keys) > MAX_KEYS:
            raise ValueError(f"there are more than {MAX_KEYS} keys")

    def __len__(self) -> int:
        return len(self._keys)

    def knows(self, kid: str) -> bool:
        """Return whether a key has this name."""
        return kid in self._names

    def candidates(self, algorithm: object, kid: str | None) -> list[VerificationKey]:
        """Return the keys that may have signed a token with this ``alg`` and ``kid``.

        A key without a name, such as one from a PEM file, may have any.
        """
        return [
            one
            for one in self._keys
            if one.algorithm == algorithm and (kid is None or one.kid in {None, kid})
        ]


def read_public_keys(text: str) -> list[VerificationKey]:
    """Read public keys from the text of a PEM file or of a JWKS (RFC 7517, section 5).

    Keys of a JWKS that are for other purposes or algorithms are left out.

    Raises:
        ValueError: it holds no public key for RS256, ES256 or EdDSA, or a private one.
    """
    if not has_crypto:
        raise ValueError(CRYPTOGRAPHY_MISSING)
    keys = _read_jwks(text) if text.lstrip().startswith("{") else _read_pem(text)
    if not keys:
        raise ValueError("it holds no public key for RS256, ES256 or EdDSA")
    return keys


def _read_pem(text: str) -> list[VerificationKey]:
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - it is optional
        load_pem_public_key,
    )

    if "PRIVATE KEY-----" in text:
        raise ValueError(_PRIVATE)
    found = []
    for block in _PEM_BLOCK.findall(text):
        key = _verification_key(_made(load_pem_public_key, block.encode()), None)
        if key is None:
            raise ValueError("it holds a key that is not for RS256, ES256 or EdDSA")
        found.append(key)
    return found


def _read_jwks(text: str) -> list[VerificationKey]:
    try:
        entries = json.loads(text)["keys"]
    except (ValueError, KeyError, RecursionError):
        entries = None
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise ValueError("it is not a JWKS: a JSON object with a list `keys`")
    return [key for entry in entries if (key := _read_jwk(entry)) is not None]


def _read_jwk(entry: JWK) -> VerificationKey | None:
    algorithm, kid = _ALGORITHM_OF_TYPE.get(str(entry.get("kty"))), entry.get("kid")
    operations = entry.get("key_ops", ["verify"])
    if algorithm is None or entry.get("use", "sig") != "sig":
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    if "d" in entry:
        raise ValueError(_PRIVATE)
    if kid is not None and not isinstance(kid, str):
        raise ValueError("a `kid` of it is not a string")
    # An entry for another curve is left out, as one for another algorithm.
    if entry.get("alg", algorithm) != algorithm or entry.get("crv", "") not in _CURVES:
        return None
    key = _made(jwt.get_algorithm_by_name(algorithm).from_jwk, entry)
    return _verification_key(key, kid)


_ALGORITHM_OF_TYPE: Final = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}
_CURVES: Final = frozenset({"", "P-256", "Ed25519"})
_PEM_BLOCK: Final = re.compile(r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", re.DOTALL)
_PRIVATE: Final = "it holds a private key; only public ones belong here"


def _made(make: Any, source: Any) -> Any:
    try:
        return make(source)
    # Besides its own errors, PyJWT lets those of wrong types and of `cryptography` pass.
    except Exception:  # noqa: BLE001 - whatever they raise, the key is not usable
        raise ValueError("it holds a key that cannot be read") from None


def _verification_key(key: Any, kid: str | None) -> VerificationKey | None:
    """Return a key with its algorithm; None if it is for none of ours."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415 - as above

    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < MIN_RSA_BITS:
            raise ValueError(f"it holds an RSA key of less than {MIN_RSA_BITS} bits")
        return VerificationKey("RS256", key, kid)
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return VerificationKey("ES256", key, kid)
    return VerificationKey("EdDSA", key, kid) if isinstance(key, ed25519.Ed25519PublicKey) else None
