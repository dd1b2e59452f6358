"""The address that a page polls, with what it answers while a task goes on and at its end."""

from celery.result import AsyncResult
from django.http import JsonResponse
from django.urls import path


def get_progress(request, task_id):
    result = AsyncResult(task_id)
    if result.ready():
        done = {"complete": True, "success": result.successful(), "progress": {"percent": 100}}
        return JsonResponse({"state": result.state, **done, "result": str(result.result)})
    return JsonResponse({"state": result.state, "complete": False, "progress": result.info})


app_name = "celery_progress"
urlpatterns = [path("<task_id>/", get_progress, name="task_status")]
