"""Tokens: JWTs with odd headers, claims and signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from support.tokens import KEY, NOW

from fuzz.values import OPERATIONS, broken, mapping, number, some, text, value

if TYPE_CHECKING:
    from random import Random

HEADER = {
    "alg": lambda rng: some(rng, ["HS256"] * 6 + ["none", "None", "HS512", "RS256", ""]),
    "typ": lambda rng: some(rng, ["JWT", "jwt", "at+jwt", text(rng)]),
    "kid": text,
    "crit": lambda rng: ["exp"],
    "b64": lambda rng: False,
}
CLAIMS = {
    "ids": lambda rng: some(rng, [["*"], [some(rng, OPERATIONS)], [], [text(rng)]]),
    "ops": lambda rng: some(rng, [["id:op-1"], ["type:*"], ["tag:red"], ["*"], [text(rng)]]),
    "exp": lambda rng: some(rng, [NOW + 60, NOW - 60, int(NOW) + 60, number(rng)]),
    "nbf": lambda rng: some(rng, [NOW - 60, number(rng)]),
    "iat": lambda rng: some(rng, [int(NOW), number(rng)]),
    "can": lambda rng: some(rng, [["watch"], ["watch", "list"], ["stats"], [text(rng)]]),
    "view": lambda rng: some(rng, ["progress", "full", text(rng)]),
    "sub": text,
    "jti": text,
    "aud": text,
    "iss": text,
}


class Token(NamedTuple):
    """A token, and whether it may be valid: it is signed with the key, and was not changed."""

    text: str
    signed: bool


def token(rng: Random) -> Token:
    """One token."""
    if rng.random() < 0.05:
        return Token(text(rng) * some(rng, [1, 3]), signed=False)
    header = {"alg": "HS256", "typ": "JWT"} | mapping(rng, HEADER, 0.15)
    claims = mapping(rng, {"exp": CLAIMS["exp"], "ids": CLAIMS["ids"]}, 0.9)
    claims |= mapping(rng, CLAIMS, 0.3)
    body = _part(_json(rng, header)) + b"." + _part(_json(rng, claims))
    good = rng.random() < 0.7
    key = KEY if good else some(rng, ["", "x", "public", KEY[:-1]])
    signature = hmac.new(key.encode(), body, hashlib.sha256).digest()
    found = (body + b"." + _part(signature)).decode()
    if rng.random() < 0.15:
        changed = broken(rng, found)
        return Token(changed, signed=good and changed == found)
    return Token(found, signed=good)


def _json(rng: Random, found: Any) -> bytes:
    if rng.random() < 0.02:
        return b'{"exp":' + b"[" * some(rng, [10, 100_000]) + b"]}"
    if rng.random() < 0.03:
        found = value(rng)
    return json.dumps(found, ensure_ascii=rng.random() < 0.8).encode(errors="surrogatepass")


def _part(written: bytes) -> bytes:
    return base64.urlsafe_b64encode(written).rstrip(b"=")
