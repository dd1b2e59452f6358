"""The figures of a sidecar."""
