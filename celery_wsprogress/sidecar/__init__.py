"""The sidecar: it reads the log of events, and serves WebSocket clients and HTTP on one port."""
