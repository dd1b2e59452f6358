from celery.result import AsyncResult
from django.http import JsonResponse
from django.shortcuts import render

from shop.tasks import import_rows


def imports(request):
    result = import_rows.delay(100) if request.method == "POST" else None
    return render(request, "imports.html", {"result": result})


def status(request, task_id):
    result = AsyncResult(task_id)
    info = result.info if isinstance(result.info, dict) else {}
    return JsonResponse({"state": result.state, **info})
