from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack, contextmanager

import pytest
from support.ports import free_port

from celery_wsprogress.sidecar import sockets
from celery_wsprogress.sidecar.sockets import display_address, listen, reserve_port


@contextmanager
def listening_on(host, port):
    """The places that are listened on, while they are."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(one) for one in listen(host, port)]
        yield [one.getsockname()[:2] for one in sockets]


@contextmanager
def taken(address):
    """A port of this address that somebody else listens on."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    port = free_port()
    with socket.create_server((address, port), family=family):
        yield port


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


@needs_ipv6
def test_localhost_is_both_loopback_addresses_on_one_port():
    with listening_on("localhost", 0) as places:
        assert [address for address, _ in places] == ["127.0.0.1", "::1"]
        assert len({port for _, port in places}) == 1
        for place in places:
            socket.create_connection(place, timeout=30).close()


def test_the_port_that_was_asked_for():
    port = free_port()
    with listening_on("127.0.0.1", port) as places:
        assert places == [("127.0.0.1", port)]


def test_any_free_port_is_a_new_one_each_time():
    with listening_on("localhost", 0) as one, listening_on("localhost", 0) as other:
        assert one[0][1] != other[0][1]


@needs_ipv6
@pytest.mark.parametrize("host", ["::1", "::"])
def test_an_ipv6_address_is_only_that(host):
    port = free_port()
    with listening_on(host, port) as places:
        assert places == [(host, port)]
        # The same port of the other family is free.
        with listening_on("127.0.0.1", port):
            pass


@pytest.mark.parametrize("address", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])
@pytest.mark.parametrize("host", ["localhost", None])
def test_a_port_in_use_is_refused(address, host):
    with taken(address) as port, pytest.raises(OSError, match="in use") as caught:
        listen(host or address, port)
    assert caught.value.errno == errno.EADDRINUSE


@needs_ipv6
def test_nothing_is_left_open_when_the_second_address_is_taken():
    with taken("::1") as port:
        with pytest.raises(OSError, match="in use"):
            listen("localhost", port)
        with listening_on("127.0.0.1", port):
            pass


@needs_ipv6
def test_another_free_port_is_drawn_when_the_second_address_has_it_taken(monkeypatch):
    draws = []
    with taken("::1") as port:

        def draw(family, place, bind, *, required):
            draws.append(place)
            # The first time, what is free on the first address is the port taken above.
            place = (place[0], port) if len(draws) == 1 else place
            return open_one(family, place, bind, required=required)

        open_one = sockets._bind_one
        monkeypatch.setattr(sockets, "_bind_one", draw)
        with listening_on("localhost", 0) as places:
            assert places[0][1] == places[1][1] != port
    assert [place[0] for place in draws] == ["127.0.0.1", "::1", "127.0.0.1", "::1"]


#: As the kernel answers for IPv6 where that is switched off.
UNKNOWN_FAMILY = (socket.AF_X25, "::1")
FOREIGN_ADDRESS = (socket.AF_INET, "192.0.2.1")


@pytest.mark.parametrize("second", [UNKNOWN_FAMILY, FOREIGN_ADDRESS])
def test_a_second_address_this_machine_does_not_have_is_left_out(monkeypatch, second):
    monkeypatch.setattr(sockets, "_LOOPBACK", [(socket.AF_INET, "127.0.0.1"), second])
    with listening_on("localhost", 0) as places:
        assert [address for address, _ in places] == ["127.0.0.1"]


@pytest.mark.parametrize("only", [UNKNOWN_FAMILY, FOREIGN_ADDRESS])
def test_a_first_one_is_required(monkeypatch, only):
    monkeypatch.setattr(sockets, "_LOOPBACK", [only])
    with pytest.raises(OSError, match=r"not supported|[Cc]annot assign"):
        listen("localhost", 0)


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".example", "\ud800"])
def test_what_is_no_host_name_is_an_oserror_like_the_rest(host):
    with pytest.raises(OSError, match=r"host name|not known") as caught:
        listen(host, 0)
    assert os.strerror(errno.EADDRINUSE) not in str(caught.value)


# With other processes.


@contextmanager
def reserved(host, port):
    with ExitStack() as stack:
        sockets = [stack.enter_context(one) for one in reserve_port(host, port)]
        yield sockets[0].getsockname()[1]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_many_listen_on_a_reserved_port_and_each_gets_some_of_the_connections(host):
    with reserved(host, 0) as port, ExitStack() as stack:
        listeners = [
            [stack.enter_context(one) for one in listen(host, port, shared=True)] for _ in range(2)
        ]
        places = [[one.getsockname()[:2] for one in sockets] for sockets in listeners]
        assert places[0] == places[1]
        for place in places[0]:
            for _ in range(64):
                stack.enter_context(socket.create_connection(place, timeout=30))
        for one in (one for sockets in listeners for one in sockets):
            one.settimeout(30)
            stack.enter_context(one.accept()[0])


def test_a_reserved_port_is_listened_on_by_nobody():
    with reserved("localhost", 0) as port, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=30)


@pytest.mark.parametrize("take", [listen, reserve_port])
def test_a_port_that_processes_share_is_in_use_for_all_others(take):
    with reserved("localhost", 0) as port, ExitStack() as stack:
        for one in listen("localhost", port, shared=True):
            stack.enter_context(one)
        with pytest.raises(OSError, match="in use") as caught:
            take("localhost", port)
        assert caught.value.errno == errno.EADDRINUSE


def test_a_port_in_use_cannot_be_reserved():
    with taken("127.0.0.1") as port, pytest.raises(OSError, match="in use"):
        reserve_port("localhost", port)


def test_a_system_on_which_ports_cannot_be_shared_is_named(monkeypatch):
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    with pytest.raises(OSError, match="cannot share a port on this system"):
        reserve_port("localhost", 0)


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("localhost", "localhost:8765"),
        ("0.0.0.0", "localhost:8765"),
        ("::", "localhost:8765"),
        ("::1", "[::1]:8765"),
        ("192.0.2.1", "192.0.2.1:8765"),
    ],
)
def test_where_clients_on_this_machine_find_it(host, place):
    assert display_address(host, 8765) == place
