"""What the port answers without a WebSocket."""
