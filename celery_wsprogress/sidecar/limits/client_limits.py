"""The limits of all clients of one sidecar, which their connections share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from celery_wsprogress.sidecar.full_collections import FullCollections
from celery_wsprogress.sidecar.limits.admission import Admission, ConnectionLimits
from celery_wsprogress.sidecar.limits.budget import Budget
from celery_wsprogress.sidecar.limits.input_memory import InputMemory
from celery_wsprogress.sidecar.limits.turn_queue import TurnQueue
from celery_wsprogress.sidecar.refusal_log import RefusalLog

if TYPE_CHECKING:
    from typing import Self

    from celery_wsprogress.settings import ServeSettings
    from celery_wsprogress.sidecar.limits.open_files import FileShares

READ_BYTES: Final = 16_384
"""Bytes that are read from a socket at once."""

BURST_FACTOR: Final = 8.0
"""Seconds of a share that may be used at once."""

FAILED_TOKEN_COST: Final = 0.05
"""Seconds of processor time that a token which is not valid is charged as, to its connection."""

UNTRUSTED_SHARE: Final = 0.1
"""The part of the share that a page of an unknown origin gets."""


class ClientLimits:
    """The limits of all clients.

    Args:
        connections: How many connections may be open.
        client_share: The share of one processor that the input of a connection may take.
        address_share: The same, for all connections of an address.
    """

    def __init__(
        self,
        connections: ConnectionLimits,
        *,
        client_share: float = 0.25,
        address_share: float = 0.5,
    ) -> None:
        self.admission = Admission(connections)
        self.turns = TurnQueue(lambda: Budget(address_share, BURST_FACTOR * address_share))
        self.memory = InputMemory()
        self.log = RefusalLog()
        self.collections = FullCollections()
        self.read_buffer = memoryview(bytearray(READ_BYTES))
        """The sockets are read into it, one after the other."""
        self._client_share = client_share

    @classmethod
    def of(cls, settings: ServeSettings, shares: FileShares | None = None) -> Self:
        """Return the limits that the settings name.

        Args:
            settings: How the clients are served.
            shares: As far as there are files for them; None where another server opens those.
        """
        total = settings.max_connections if shares is None else shares.connections
        limits = ConnectionLimits(
            total,
            per_address=min(total, settings.address_connections),
            per_subject=settings.subject_connections,
        )
        return cls(
            limits if shares is None else replace(limits, unfinished=shares.unfinished),
            client_share=settings.client_share,
            address_share=settings.address_share,
        )

    def new_budget(self, *, trusted: bool = True) -> Budget:
        """Return the budget of a new connection."""
        share = self._client_share if trusted else self._client_share * UNTRUSTED_SHARE
        return Budget(share, BURST_FACTOR * share)
