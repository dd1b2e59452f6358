"""The projects ``life`` and ``ends`` with more tasks that are tried again."""

from ends import app

from celery_wsprogress import StreamingTask


@app.task(
    base=StreamingTask,
    autoretry_for=(OSError,),
    max_retries=3,
    retry_backoff=True,
    retry_backoff_max=1,
    retry_jitter=False,
)
def backs_off(self):
    """Fails twice, after half of its work, and is tried again by Celery."""
    self.update_progress(0.5, f"attempt {self.request.retries + 1}")
    if self.request.retries < 2:
        raise ConnectionError("no route")
    return "third"


@app.task(base=StreamingTask)
def asks_for_more(self):
    """Asks for more attempts than the default, once."""
    if not self.request.retries:
        raise self.retry(countdown=0.1, max_retries=7)
    return "second"
