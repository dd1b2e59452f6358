"""A Django project whose results are in its own database, as Celery's guide sets one up."""

from .celery import app

__all__ = ["app"]
