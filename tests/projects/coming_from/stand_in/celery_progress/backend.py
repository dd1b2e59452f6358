"""What celery_progress/backend.py of 0.5 has for tasks."""


class ProgressRecorder:
    def __init__(self, task):
        self.task = task

    def set_progress(self, current, total, description=""):
        percent = round(100 * current / total, 2) if total else 0
        meta = {
            "pending": False,
            "current": current,
            "total": total,
            "percent": percent,
            "description": description,
        }
        self.task.update_state(state="PROGRESS", meta=meta)
        return "PROGRESS", meta
