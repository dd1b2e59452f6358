"""Who may connect, and what a connection may watch. Pure, but for :mod:`.issue`."""
