"""Runs that fell silent, and what the sidecar concludes of them."""
