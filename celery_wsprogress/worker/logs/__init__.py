"""Log records and printed lines of a task as its ``log`` events (``stream_logs``)."""
