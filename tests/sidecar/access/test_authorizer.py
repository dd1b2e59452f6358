"""Tokens of requests and connections, over real sockets."""

from __future__ import annotations

import contextlib
import json
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import ClassVar

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from support.conditions import eventually
from support.event_log import log_writer
from support.sample_events import log, queued
from support.sidecars import SidecarThread
from support.wire_document import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from celery_wsprogress import create_token
from celery_wsprogress.brokers import BrokerAddress

KEY = "a key that is long enough for HS256"
OTHER_KEY = "another key that is long enough too"


@pytest.fixture
def address(redis_url):
    return BrokerAddress(redis_url)


@contextmanager
def client(sidecar, **headers):
    with connect(sidecar.url, compression=None, additional_headers=headers) as websocket:
        websocket.recv(timeout=30)

        def ask(command, **fields):
            websocket.send(json.dumps({"command": command, **fields}))
            return json.loads(websocket.recv(timeout=30))

        ask.websocket = websocket
        yield ask


def status(sidecar, path, **headers):
    request = urllib.request.Request(sidecar.http + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status
    except urllib.error.HTTPError as exc:
        return exc.code


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def token():
    return create_token("op", key=KEY)


def test_a_header_of_the_handshake_grants_what_its_token_does(address, token):
    with SidecarThread(address, key=KEY) as sidecar:
        with client(sidecar, **bearer(token)) as ask:
            assert ask("subscribe", operation_id="op")["status"] == "subscribed"
            assert ask("subscribe", operation_id="other")["code"] == "forbidden"
        with client(sidecar) as ask:
            assert ask("subscribe", operation_id="op")["code"] == "unauthorized"


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer nonsense", "Basic dTpw", "Token {}", "{}"]
)
def test_a_header_that_is_no_token_is_refused(address, token, authorization):
    header = {"Authorization": authorization.format(token)}
    with SidecarThread(address, key=KEY) as sidecar:
        with pytest.raises(InvalidStatus) as refused, client(sidecar, **header):
            pass
        assert refused.value.response.status_code == 401
        assert status(sidecar, "/status", **header) == 401
        assert status(sidecar, "/healthz", **header) == 200


def test_http_takes_the_same_header(address, token):
    with SidecarThread(address, key=KEY) as sidecar:
        assert status(sidecar, "/status", **bearer(token)) == 200
        assert status(sidecar, "/operations", **bearer(token)) == 403
        assert status(sidecar, "/status", Authorization=f"bearer  {token}") == 200
        assert status(sidecar, "/status") == 401


def test_a_token_in_a_url_is_no_token(address, token):
    with SidecarThread(address, key=KEY) as sidecar:
        assert status(sidecar, f"/status?token={token}&access_token={token}") == 401


def test_a_cookie_counts_where_the_settings_name_it(address, token):
    cookie = {"Cookie": f"other=1; progress={token}"}
    with SidecarThread(address, key=KEY, token_cookie="progress") as sidecar:
        with client(sidecar, **cookie) as ask:
            assert ask("subscribe", operation_id="op")["status"] == "subscribed"
        assert status(sidecar, "/status", **cookie) == 200
        for origin in ("null", "http://localhost:3000"):
            with client(sidecar, Origin=origin, **cookie) as ask:
                assert ask("subscribe", operation_id="op")["code"] == "unauthorized"
        with client(sidecar, Origin=f"http://localhost:{sidecar.port}", **cookie) as ask:
            assert ask("subscribe", operation_id="op")["status"] == "subscribed"
        with client(sidecar, Cookie="progress=nonsense") as ask:
            assert ask("subscribe", operation_id="op", token=token)["status"] == "subscribed"
        assert status(sidecar, "/status", Cookie="progress=nonsense") == 401
        assert status(sidecar, "/status", Cookie='progress="\\; @@=[') == 401
        assert status(sidecar, "/status", Cookie="other=1") == 401
    with SidecarThread(address, key=KEY) as sidecar:
        assert status(sidecar, "/status", **cookie) == 401


def test_keys_are_changed_one_after_the_other(address):
    keys = {"new": OTHER_KEY, "old": KEY}
    with SidecarThread(address, keys=keys) as sidecar, client(sidecar) as ask:
        for kid, key in keys.items():
            one = jwt.encode({"ids": [kid], "exp": 4e9}, key, headers={"kid": kid})
            assert ask("subscribe", operation_id=kid, token=one)["status"] == "subscribed"
        wrong = jwt.encode({"ids": ["x"], "exp": 4e9}, KEY, headers={"kid": "new"})
        assert ask("subscribe", operation_id="x", token=wrong)["code"] == "unauthorized"


def test_a_token_of_a_new_public_key_is_taken_at_once(address, tmp_path):
    def publish(private, kid):
        entry = json.loads(jwt.get_algorithm_by_name("ES256").to_jwk(private.public_key()))
        file.write_text(json.dumps({"keys": [{**entry, "kid": kid}]}))
        return jwt.encode({"ids": ["op"], "exp": 4e9}, private, "ES256", headers={"kid": kid})

    file = tmp_path / "jwks.json"
    first = publish(ec.generate_private_key(ec.SECP256R1()), "first")
    with SidecarThread(address, public_keys=str(file)) as sidecar, client(sidecar) as ask:
        assert ask("authenticate", token=first)["status"] == "authenticated"
        second = publish(ec.generate_private_key(ec.SECP256R1()), "second")
        assert ask("authenticate", token=second)["status"] == "authenticated"
        assert ask("authenticate", token="nonsense")["code"] == "unauthorized"


@pytest.mark.parametrize("line", ["jti:t1", "sub:user"])
def test_a_token_that_is_revoked_ends_its_connection_and_no_other(address, tmp_path, line):
    file = tmp_path / "revoked"
    file.write_text("# nothing yet\n")
    claims = {"ids": ["op"], "exp": 4e9}
    one = jwt.encode({**claims, "jti": "t1", "sub": "user"}, KEY)
    other = jwt.encode({**claims, "jti": "t2", "sub": "other"}, KEY)
    settings = {"key": KEY, "revoked_tokens": str(file)}
    with SidecarThread(address, **settings) as sidecar, client(sidecar, **bearer(other)) as stays:
        with client(sidecar) as ask:
            assert ask("subscribe", operation_id="op", token=one)["status"] == "subscribed"
            file.write_text(f"{line}\n")
            with pytest.raises(ConnectionClosed) as closed:
                ask.websocket.recv(timeout=30)
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (
                4001,
                "the token is revoked",
            )
        assert stays("subscribe", operation_id="op")["status"] == "subscribed"
        assert stays("authenticate", token=one)["error"] == "The token is revoked"
        eventually(lambda: stays("get_stats")["stats"]["connected_clients"] == 1)


class Decider:
    """A function of an application, as ``serve --permit`` finds it."""

    seen: ClassVar[list] = []

    @classmethod
    async def decide(cls, headers, cookies):
        cls.seen.append((headers, cookies))
        user = cookies.get("session") or headers.get("x-user")
        return {"ops": [f"id:of-{user}"], "sub": user} if user else None


@pytest.fixture
def permit(monkeypatch):
    monkeypatch.setitem(sys.modules, "decider", SimpleNamespace(decide=Decider.decide))
    Decider.seen.clear()
    return "decider:decide"


def test_a_function_decides_in_the_place_of_tokens(address, permit):
    with SidecarThread(address, permit=permit) as sidecar:
        with client(sidecar, Cookie="session=anna") as ask:
            assert ask("subscribe", operation_id="of-anna")["status"] == "subscribed"
            assert ask("subscribe", operation_id="of-eva")["code"] == "forbidden"
        assert status(sidecar, "/operations/of-eva", **{"X-User": "eva"}) == 404
        assert status(sidecar, "/operations/of-eva", **{"X-User": "anna"}) == 403
        assert status(sidecar, "/operations/of-eva") == 401
        with pytest.raises(InvalidStatus) as refused, client(sidecar):
            pass
        assert refused.value.response.status_code == 401


def test_the_function_sees_no_cookie_that_a_foreign_page_made_the_browser_send(address, permit):
    with SidecarThread(address, permit=permit) as sidecar:
        for origin in ("null", "http://localhost:3000"):
            with (
                pytest.raises(InvalidStatus),
                client(sidecar, Origin=origin, Cookie="session=anna"),
            ):
                pass
    assert [("cookie" in headers, cookies) for headers, cookies in Decider.seen] == [
        (False, {}),
        (False, {}),
    ]


def test_a_holder_who_is_revoked_is_refused_by_the_function_as_well(address, permit, tmp_path):
    file = tmp_path / "revoked"
    file.write_text("sub:anna\n")
    with SidecarThread(address, permit=permit, revoked_tokens=str(file)) as sidecar:
        assert status(sidecar, "/status", **{"X-User": "anna"}) == 401
        with client(sidecar, **{"X-User": "eva"}) as ask:
            assert ask("subscribe", operation_id="of-eva")["status"] == "subscribed"
            file.write_text("sub:anna\nsub:eva\n")
            with pytest.raises(ConnectionClosed) as closed:
                ask.websocket.recv(timeout=30)
            assert closed.value.rcvd.code == 4001


def test_beside_keys_who_is_refused_may_bring_a_token(address, permit, token):
    with SidecarThread(address, permit=permit, key=KEY) as sidecar, client(sidecar) as ask:
        assert ask("subscribe", operation_id="op")["code"] == "unauthorized"
        assert ask("subscribe", operation_id="op", token=token)["status"] == "subscribed"


def until_closed(websocket):
    """The codes of the errors, and of nothing else, that come before it is closed."""
    found = []
    with suppress(ConnectionClosed):
        found += (json.loads(one)["code"] for one in websocket)
    return found


def test_one_holder_may_have_so_many_connections_however_the_token_comes(address):
    def of(subject):
        return create_token("op", key=KEY, sub=subject)

    settings = {"key": KEY, "subject_connections": 1, "token_cookie": "t"}
    with SidecarThread(address, **settings) as sidecar, client(sidecar, **bearer(of("eva"))):
        with client(sidecar) as first:
            assert first("subscribe", operation_id="op", token=of("anna"))["status"] == "subscribed"
            # Another token of hers, or of somebody else, on the same connection.
            assert first("authenticate", token=of("anna"))["status"] == "authenticated"
            for headers in (bearer(of("anna")), {"Cookie": f"t={of('anna')}"}):
                with pytest.raises(InvalidStatus) as refused, client(sidecar, **headers):
                    pass
                assert refused.value.response.status_code == 503
                assert refused.value.response.headers["Retry-After"]
            for command in ("authenticate", "subscribe"):
                with client(sidecar) as second:
                    ask = {"command": command, "operation_id": "op", "token": of("anna")}
                    # What comes behind it is not answered with what the token grants.
                    second.websocket.send(json.dumps(ask))
                    with contextlib.suppress(ConnectionClosed):
                        second.websocket.send(json.dumps({**ask, "command": "get_operation"}))
                    assert until_closed(second.websocket) in ([], ["unauthorized"])
                    assert second.websocket.close_code == 1013
        metrics = urllib.request.Request(f"{sidecar.http}/metrics", headers=bearer(of("eva")))
        with urllib.request.urlopen(metrics, timeout=30) as response:
            assert b'refused_connections_total{limit="subject"} 4' in response.read()

        def may_connect():
            with contextlib.suppress(InvalidStatus), client(sidecar, **bearer(of("anna"))) as ask:
                return ask("subscribe", operation_id="op")["status"] == "subscribed"
            return False

        # Until the other connection of hers is gone.
        eventually(may_connect)


def test_whom_a_function_names_may_have_so_many_connections(address, permit):
    with (
        SidecarThread(address, permit=permit, subject_connections=1) as sidecar,
        client(sidecar, **{"X-User": "anna"}),
        client(sidecar, **{"X-User": "eva"}),
    ):
        with pytest.raises(InvalidStatus) as refused, client(sidecar, Cookie="session=anna"):
            pass
        assert refused.value.response.status_code == 503


def test_a_holder_counts_again_from_none_when_the_token_has_ended(address):
    token = create_token("op", key=KEY, sub="anna", expires_in=1)
    later = create_token("op", key=KEY, sub="anna")
    with (
        SidecarThread(address, key=KEY, subject_connections=1) as sidecar,
        client(sidecar, **bearer(token)),
    ):

        def connects():
            try:
                with client(sidecar, **bearer(later)) as ask:
                    return ask("subscribe", operation_id="op")["status"] == "subscribed"
            except InvalidStatus:
                return False

        eventually(connects)


def test_a_page_of_another_origin_sees_the_group_of_its_token_and_nothing_else(address, redis_url):
    token = create_token(ops="group:g", can=["watch", "list"], key=KEY)
    page = {"Origin": "https://shop.example"}
    settings = {"key": KEY, "origins": "https://shop.example"}
    with log_writer(redis_url) as write, SidecarThread(address, **settings) as sidecar:
        write(queued(operation_id="member", publication="p1", group_id="g"))
        write(queued(operation_id="other", publication="p2", group_id="h"))
        eventually(lambda: sidecar.sidecar.hub.get("other"))
        with client(sidecar, **page) as ask:
            assert ask("subscribe", group_id="g", token=token)["status"] == "subscribed"
            assert json.loads(ask.websocket.recv(timeout=30))["operation_id"] == "member"
            write(log("unseen", operation_id="other"), log("seen", operation_id="member"))
            assert json.loads(ask.websocket.recv(timeout=30))["data"]["message"] == "seen"
            [listed] = ask("list_operations", group_id="g")["operations"]
            assert listed["operation_id"] == "member"
            for fields in ({"group_id": "h"}, {"operation_id": "*"}, {"operation_id": "other"}):
                assert ask("subscribe", **fields)["code"] == "forbidden"
            assert ask("list_operations")["code"] == "forbidden"
            assert ask("get_history", operation_id="other")["code"] == "forbidden"
            assert ask("get_stats")["code"] == "forbidden"
        with pytest.raises(InvalidStatus), client(sidecar, Origin="https://evil.example"):
            pass
