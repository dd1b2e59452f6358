"""The log on Redis."""
