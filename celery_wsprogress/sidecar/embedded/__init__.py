"""A sidecar in a thread of another program's process."""
