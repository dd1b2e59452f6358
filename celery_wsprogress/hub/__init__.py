"""All operations of a sidecar, and who is subscribed to them. Pure."""
