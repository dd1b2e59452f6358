"""A WebSocket of the ASGI application: the protocol of the sidecar, as texts.

Runs in: the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from celery_wsprogress.protocol.close_codes import UNSUPPORTED
from celery_wsprogress.protocol.messages import MAX_MESSAGE_BYTES, command_size
from celery_wsprogress.sidecar.streams.sent_connection import SentConnection

if TYPE_CHECKING:
    from celery_wsprogress.sidecar.streams.sent_connection import Closing

_TOO_BIG: Final = 1009
_NO_CODE: Final = 1005


class AsgiWebSocket(SentConnection):
    """A WebSocket that was accepted."""

    async def send_payload(self, payload: bytes) -> None:
        """Send a text."""
        await self._send({"type": "websocket.send", "text": payload.decode()})

    async def send_close(self, closing: Closing) -> None:
        """Send the close frame."""
        await self._send(
            {"type": "websocket.close", "code": closing.code, "reason": closing.reason}
        )

    async def read_all(self) -> None:
        """Receive until the client is gone."""
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self.their_code = message.get("code") or _NO_CODE
                return
            text = message.get("text")
            if text is None:
                self.schedule_close(UNSUPPORTED, "frames are JSON text")
            elif command_size(text) > MAX_MESSAGE_BYTES:
                self.schedule_close(_TOO_BIG, f"over {MAX_MESSAGE_BYTES} bytes")
            elif self._closing is None:
                await self.execute(text)
