from celery import shared_task
from celery_progress.backend import ProgressRecorder


@shared_task(bind=True)
def import_rows(self, rows):
    recorder = ProgressRecorder(self)
    for row in range(rows):
        recorder.set_progress(row + 1, rows, description=f"row {row + 1}")
    return f"{rows} rows"
