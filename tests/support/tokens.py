"""Tokens and permits as tests need them: one key, one moment."""

from __future__ import annotations

from celery_wsprogress.access.keys import HS256, KeySet, VerificationKey
from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.access.tokens import TokenVerifier, sign

KEY = "a key that is long enough for HS256"
OTHER_KEY = "another key that is long enough too"
NOW = 1_700_000_000.0


def verifier(*keys: str, **more) -> TokenVerifier:
    """What verifies tokens of these keys, which have no names."""
    return TokenVerifier(KeySet([VerificationKey(HS256, key) for key in keys or (KEY,)]), **more)


def guarded(**more) -> Permit:
    """The permit of a connection that needs tokens of the key."""
    return Permit(verifier(), **more)


def token(*ids: str, key: str = KEY, lasting: float = 60.0, **claims: object) -> str:
    """A token for these ids, or with claims of any kind."""
    return sign(key, {"ids": [*ids], "exp": NOW + lasting, **claims})
