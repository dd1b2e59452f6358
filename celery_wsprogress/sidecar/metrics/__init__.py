"""Metrics: their definitions, the collector of one process, and the latency histogram."""
