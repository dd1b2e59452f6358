"""Tokens, rights of connections, and checks of hosts and origins. Pure, but for :mod:`.issue`."""
