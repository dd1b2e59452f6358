"""Ports: the usual ones where they are free, and whether something answers on one."""

from __future__ import annotations

import http.client
import socket


class Ports:
    """Hands out ports of the loopback addresses, no port twice."""

    def __init__(self) -> None:
        self._given: set[int] = set()

    def pick(self, wanted: int | None, usual: int) -> int:
        """Return the port that was asked for, else the usual one, else any free one.

        Args:
            wanted: A port of the user's choice, which is not looked at; 0 is any free
                one; None is the usual one, or any free one where that is taken.
            usual: 0 where there is no usual one.
        """
        if wanted:
            return wanted
        if wanted is None and usual and is_free(usual):
            return usual
        return self._any()

    def _any(self) -> int:
        while True:
            with socket.socket() as one:
                one.bind(("127.0.0.1", 0))
                port: int = one.getsockname()[1]
            if port not in self._given and is_free(port):
                self._given.add(port)
                return port


def is_free(port: int) -> bool:
    """Say whether nobody listens on the port, on either loopback address."""
    places = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
    return all(_can_bind(family, address, port) for family, address in places)


def _can_bind(family: int, address: str, port: int) -> bool:
    try:
        with socket.socket(family) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((address, port))
    except OSError:
        # A machine without IPv6 has no such address: nobody listens there.
        return family == socket.AF_INET6 and not _has_ipv6()
    return True


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


def accepts(port: int) -> bool:
    """Say whether something on this machine accepts a connection."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def answers(port: int, path: str) -> bool:
    """Say whether a GET is answered with 200."""
    connection = http.client.HTTPConnection("localhost", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
