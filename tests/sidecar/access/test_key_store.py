"""Keys from files and from a real server of keys."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from support import asyncio_runner
from support.sidecars import SidecarThread
from support.wire_document import connect

from celery_wsprogress.access.tokens import TokenVerifier
from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.settings import ServeSettings
from celery_wsprogress.sidecar.access.key_store import (
    MAX_DOCUMENT_BYTES,
    MIN_REFRESH_INTERVAL,
    KeyStore,
)

SECRET = "a secret that is long enough for HS256"


def jwks(*kids):
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    entry = json.loads(jwt.get_algorithm_by_name("EdDSA").to_jwk(key))
    return json.dumps({"keys": [{**entry, "kid": kid} for kid in kids]})


class Issuer:
    """A server of keys, which counts how often it was asked."""

    def __init__(self):
        self.document = jwks("first")
        self.asked = 0
        self.redirect = None
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked += 1
                self.send_response(302 if issuer.redirect else 200)
                if issuer.redirect:
                    self.send_header("Location", issuer.redirect)
                self.end_headers()
                self.wfile.write(issuer.document.encode())

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/keys"
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def issuer():
    issuer = Issuer()
    yield issuer
    issuer.server.shutdown()
    issuer.server.server_close()


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@asynccontextmanager
async def store(clock=None, **settings):
    """A store that was read once, and its verifier."""
    verifier = TokenVerifier()
    one = KeyStore(ServeSettings.load(settings), verifier, clock or Clock())
    one.start()
    await one.refresh()
    try:
        yield one, verifier
    finally:
        await one.stop()


def test_secrets_have_names_or_none():
    async def run():
        async with store(key=SECRET, keys={"new": SECRET[::-1]}) as (_, verifier):
            named = [one.kid for one in verifier.keys.candidates("HS256", None)]
            assert named == ["new", None]

    asyncio_runner.run(run())


def test_keys_are_fetched_and_new_ones_when_they_are_asked_for(issuer):
    async def run():
        clock = Clock()
        async with store(clock, public_keys=issuer.url) as (one, verifier):
            assert verifier.keys.knows("first")
            issuer.document = jwks("second")
            # A client may name any number of keys that do not exist.
            for _ in range(50):
                await one.refresh()
            assert issuer.asked == 1
            clock.now += MIN_REFRESH_INTERVAL
            await asyncio.gather(*(one.refresh() for _ in range(50)))
            assert issuer.asked == 2
            assert verifier.keys.knows("second")
            assert not verifier.keys.knows("first")

    asyncio_runner.run(run())


@pytest.mark.parametrize("document", ["nonsense", " " * (MAX_DOCUMENT_BYTES + 1), jwks(*"ab" * 20)])
def test_what_cannot_be_used_leaves_the_keys_as_they_were(issuer, document, caplog):
    async def run():
        clock = Clock()
        async with store(clock, public_keys=issuer.url) as (one, verifier):
            issuer.document = document
            clock.now += MIN_REFRESH_INTERVAL
            await one.refresh()
            assert issuer.asked == 2
            assert verifier.keys.knows("first")

    asyncio_runner.run(run())
    assert "keys" in caplog.text


def test_no_redirect_is_followed(issuer, caplog):
    async def run():
        other = Issuer()
        issuer.redirect = other.url
        async with store(public_keys=issuer.url) as (_, verifier):
            assert len(verifier.keys) == 0
        assert other.asked == 0
        other.server.shutdown()
        other.server.server_close()

    asyncio_runner.run(run())
    assert "302" in caplog.text


def test_a_file_is_read_at_once_and_read_again(tmp_path):
    async def run():
        file = tmp_path / "keys.json"
        file.write_text(jwks("first"))
        clock = Clock()
        async with store(clock, public_keys=str(file)) as (one, verifier):
            file.write_text(jwks("second"))
            clock.now += MIN_REFRESH_INTERVAL
            await one.refresh()
            assert verifier.keys.knows("second")
            file.unlink()
            clock.now += MIN_REFRESH_INTERVAL
            await one.refresh()
            assert verifier.keys.knows("second")
            file.write_text(jwks("third"))
            assert await one.read_again(), "at once"
            assert verifier.keys.knows("third")
            assert not await one.read_again()

    asyncio_runner.run(run())


@pytest.mark.parametrize("content", [None, "nonsense"])
def test_a_file_that_cannot_be_used_is_named_at_the_start(tmp_path, content):
    file = tmp_path / "keys.pem"
    if content is not None:
        file.write_text(content)
    settings = ServeSettings.load({"public_keys": ["http://127.0.0.1:1/keys", str(file)]})
    with pytest.raises(ConfigurationError, match="wsprogress_public_keys is"):
        KeyStore(settings, TokenVerifier())


def test_a_sidecar_takes_tokens_of_new_keys_and_is_not_made_to_fetch(issuer, redis_url):
    """Over real sockets; a client that names keys at random makes it fetch once at the most."""
    keys = {kid: ed25519.Ed25519PrivateKey.generate() for kid in ("first", "second")}

    def publish(*kids):
        to_jwk = jwt.get_algorithm_by_name("EdDSA").to_jwk
        entries = [{**json.loads(to_jwk(keys[kid].public_key())), "kid": kid} for kid in kids]
        issuer.document = json.dumps({"keys": entries})

    def token(kid, named=None):
        claims, headers = {"ids": ["op"], "exp": 4e9}, {"kid": named or kid}
        return jwt.encode(claims, keys[kid], "EdDSA", headers=headers)

    publish("first")
    serving = SidecarThread(BrokerAddress(redis_url), public_keys=issuer.url)
    with serving as sidecar, connect(sidecar.url, compression=None) as websocket:
        websocket.recv(timeout=30)

        def code(one):
            websocket.send(json.dumps({"command": "authenticate", "token": one}))
            return json.loads(websocket.recv(timeout=30)).get("code")

        assert code(token("first")) is None
        publish("first", "second")
        assert code(token("second")) is None
        assert code(token("first")) is None
        asked = issuer.asked
        for number in range(50):
            assert code(token("first", f"random-{number}")) == "unauthorized"
        assert issuer.asked == asked <= 2
