from celery import shared_task


@shared_task(bind=True)
def import_rows(self, rows):
    for row in range(rows):
        self.update_state(state="PROGRESS", meta={"current": row + 1, "total": rows})
    return f"{rows} rows"
