"""The way of events from a tracker to the broker: encoded, queued, put into batches and written."""
