"""From what a task says to the log: events are encoded, queued, joined and written."""
