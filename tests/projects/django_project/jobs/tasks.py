import os

from celery import shared_task
from django.contrib.contenttypes.models import ContentType

from celery_wsprogress import StreamingTask

if os.environ.get("BROKEN_TASKS"):
    raise RuntimeError("\x1b[31mno such thing")


@shared_task(base=StreamingTask)
def count(self, rows):
    for row in range(rows):
        self.update_progress(current=row + 1, total=rows)
    return ContentType.objects.count()
