"""Streams of a task: pieces of a partial result, sent as ``chunk`` events."""
