"""``python -m celery_wsprogress``: the same as ``celery-wsprogress``."""

from celery_wsprogress.cli import main

main()
