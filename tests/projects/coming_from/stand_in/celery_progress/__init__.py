"""Stands in for celery-progress 0.5 where that is not installed: the parts that a page polls."""
