"""What the tasks really do. Nothing in here knows of Celery, or of progress."""
