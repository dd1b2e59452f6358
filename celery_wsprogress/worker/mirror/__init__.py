"""The mirror of progress for Flower: Celery events beside our own (``wsprogress_flower``)."""
