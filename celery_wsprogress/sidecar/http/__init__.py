"""The HTTP side of the port: what is decided and answered before a WebSocket handshake."""
