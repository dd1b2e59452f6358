"""Celery's signals, and what each process publishes on them: the caller, the worker, the task."""
