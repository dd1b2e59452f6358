"""Ingest: reading the log in a thread, and processing what was read in the event loop."""
