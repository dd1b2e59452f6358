"""A client of server-sent events, for tests."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator


class EventSource:
    """The events of a response, as a page's ``EventSource`` reads them.

    Args:
        address: ``host:port``.
        path: The path.
        last_event_id: That of the last event that the page has seen.
        headers: More headers.
    """

    def __init__(
        self, address: str, path: str, last_event_id: str | None = None, **headers: str
    ) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=60)
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        self._connection.request("GET", path, headers=headers)
        self.response = self._connection.getresponse()
        self.status = self.response.status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, as a page that is left."""
        self.response.close()
        self._connection.close()

    def __iter__(self) -> Iterator[tuple[str | None, str]]:
        """The id and the data of each event, until the response ends."""
        fields: dict[str, str] = {}
        while line := self.response.readline().decode():
            name, colon, value = line.rstrip("\n").partition(":")
            if name and colon:
                fields[name] = value.strip()
            elif not line.strip():
                if "data" in fields:
                    yield fields.get("id"), fields["data"]
                fields = {}
