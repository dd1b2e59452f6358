"""Liveness: finding silent runs, and writing what follows from that to the log."""
