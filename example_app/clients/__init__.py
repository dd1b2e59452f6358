"""Clients in one file each, to be copied: one for a terminal, one for a browser."""
