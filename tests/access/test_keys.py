from __future__ import annotations

import base64
import json

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from hypothesis import given
from support.json_values import values
from support.tokens import KEY, NOW

from celery_wsprogress.access import keys as keys_module
from celery_wsprogress.access.keys import (
    HS256,
    MAX_KEYS,
    KeySet,
    VerificationKey,
    read_public_keys,
)
from celery_wsprogress.access.tokens import TokenVerifier
from celery_wsprogress.errors import TokenError

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
PRIVATE = {"RS256": RSA, "ES256": EC, "EdDSA": ED}
CLAIMS = {"ids": ["op"], "exp": NOW + 60}


def pem(private):
    """The public key of a private one."""
    return private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()  # fmt: skip


def private_pem(private):
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def jwk(algorithm, **more):
    """The public key of an algorithm as an entry of a JWKS."""
    made = jwt.get_algorithm_by_name(algorithm).to_jwk(PRIVATE[algorithm].public_key())
    return {**json.loads(made), "key_ops": ["verify"], "kid": algorithm.lower(), **more}


def jwks(*entries):
    return json.dumps({"keys": entries})


def read(token, *keys):
    return TokenVerifier(KeySet(keys)).read(token, timestamp=NOW)


@pytest.mark.parametrize("algorithm", PRIVATE)
@pytest.mark.parametrize("form", ["pem", "jwks"])
def test_tokens_are_verified_with_public_keys(algorithm, form):
    text = pem(PRIVATE[algorithm]) if form == "pem" else jwks(jwk(algorithm))
    headers = {"kid": algorithm.lower()}
    signed = jwt.encode(CLAIMS, PRIVATE[algorithm], algorithm=algorithm, headers=headers)
    assert read(signed, *read_public_keys(text)).expires_at == NOW + 60
    for other, private in PRIVATE.items():
        if other != algorithm:
            with pytest.raises(TokenError):
                read(signed, *read_public_keys(pem(private)))


def test_a_file_may_hold_several_keys():
    found = read_public_keys("".join(pem(one) for one in PRIVATE.values()) + "\n")
    assert [one.algorithm for one in found] == list(PRIVATE)
    found = read_public_keys(jwks(*(jwk(one) for one in PRIVATE)))
    assert [(one.algorithm, one.kid) for one in found] == [(a, a.lower()) for a in PRIVATE]


def hmac_token(secret, **headers):
    """A token that is signed with HS256 by bytes that PyJWT itself would not take as a secret."""
    encode = jwt.utils.base64url_encode
    header = json.dumps({"alg": "HS256", "typ": "JWT", **headers}).encode()
    message = encode(header) + b"." + encode(json.dumps(CLAIMS).encode())
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return (message + b"." + encode(algorithm.sign(message, secret))).decode()


@pytest.mark.parametrize("algorithm", PRIVATE)
def test_a_public_key_is_no_secret(algorithm):
    """The attack of RFC 8725, section 2.1: signed with what everybody has."""
    text = pem(PRIVATE[algorithm])
    named = read_public_keys(jwks(jwk(algorithm)))
    for secret in (text.encode(), text.strip().encode(), jwks(jwk(algorithm)).encode()):
        for headers in ({}, {"kid": algorithm.lower()}):
            forged = hmac_token(secret, **headers)
            with pytest.raises(TokenError):
                read(forged, *read_public_keys(text))
            with pytest.raises(TokenError):
                read(forged, *named, VerificationKey(HS256, KEY))


@pytest.mark.parametrize("algorithm", PRIVATE)
def test_a_secret_verifies_nothing_but_its_own_algorithm(algorithm):
    signed = jwt.encode(CLAIMS, PRIVATE[algorithm], algorithm=algorithm)
    with pytest.raises(TokenError):
        read(signed, VerificationKey(HS256, KEY))


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_other_algorithms_of_a_key_are_refused(algorithm):
    signed = jwt.encode(CLAIMS, RSA, algorithm=algorithm)
    with pytest.raises(TokenError):
        read(signed, *read_public_keys(pem(RSA)))


def test_a_key_that_a_token_brings_along_is_not_used():
    other = rsa.generate_private_key(65537, 2048)
    entry = json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(other.public_key()))
    for headers in ({"jwk": entry}, {"jku": "http://localhost:1/keys"}, {"x5u": "http://x"}):
        signed = jwt.encode(CLAIMS, other, algorithm="RS256", headers=headers)
        with pytest.raises(TokenError):
            read(signed, *read_public_keys(pem(RSA)))


def test_keys_for_other_purposes_are_left_out():
    secret = {"kty": "oct", "k": base64.urlsafe_b64encode(KEY.encode()).decode(), "alg": "HS256"}
    others = [
        secret,
        jwk("RS256", use="enc"),
        jwk("RS256", alg="RS512"),
        jwk("RS256", key_ops=["encrypt"]),
        jwk("RS256", key_ops="verify"),
        jwk("ES256", crv="P-384"),
        jwk("EdDSA", crv="Ed448"),
        {},
    ]
    [key] = read_public_keys(jwks(*others, jwk("RS256", use="sig", alg="RS256")))
    assert (key.algorithm, key.kid) == ("RS256", "rs256")
    with pytest.raises(ValueError, match="no public key"):
        read_public_keys(jwks(*others))


SMALL = rsa.generate_private_key(65537, 1024)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no public key"),
        ("nothing", "no public key"),
        ("{", "not a JWKS"),
        ("{}", "not a JWKS"),
        ('{"keys": {}}', "not a JWKS"),
        ('{"keys": [1]}', "not a JWKS"),
        (private_pem(RSA), "private"),
        (jwks(jwk("RS256", d="x")), "private"),
        (jwks(jwk("RS256", kid=7)), "kid"),
        (jwks(jwk("RS256", n=7)), "cannot be read"),
        (pem(RSA)[:100] + pem(RSA)[200:], "cannot be read"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "not for RS256"),
        (pem(ed448.Ed448PrivateKey.generate()), "not for RS256"),
        (pem(SMALL), "2048 bits"),
    ],
)
def test_what_cannot_be_used_is_named(text, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        read_public_keys(text)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@given(values)
def test_any_document_is_keys_or_refused(document):
    for text in (json.dumps(document), json.dumps({"keys": document}), jwks(document)):
        with pytest.raises(ValueError, match="it"):
            read_public_keys(text)


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(keys_module, "has_crypto", False)
    with pytest.raises(ValueError, match=r"celery-wsprogress\[crypto\]"):
        read_public_keys(pem(RSA))


def test_the_number_of_keys_is_bounded():
    key = VerificationKey(HS256, KEY)
    assert len(KeySet([key] * MAX_KEYS)) == MAX_KEYS
    with pytest.raises(ValueError, match="more than"):
        KeySet([key] * (MAX_KEYS + 1))


def test_a_key_is_in_no_text():
    key = VerificationKey(HS256, KEY)
    assert KEY not in repr(key) + repr(KeySet([key])) + repr(TokenVerifier(KeySet([key])))
