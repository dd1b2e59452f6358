"""One operation: its states, its runs, and the history of its events. Pure."""
