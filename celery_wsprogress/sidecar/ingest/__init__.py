"""From the log to the hub."""
