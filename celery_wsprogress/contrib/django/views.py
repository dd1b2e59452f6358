"""The view that gives a page a token, and who may have one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from celery_wsprogress.access.grants import Right
from celery_wsprogress.access.issue import has_key
from celery_wsprogress.contrib.django.conf import holder, token_permit, token_seconds
from celery_wsprogress.contrib.html import operation_token
from celery_wsprogress.protocol.events import MAX_ID_LENGTH
from celery_wsprogress.protocol.workflow_ids import WORKFLOW_PREFIX

if TYPE_CHECKING:
    from django.http import HttpRequest


def permit_staff(request: HttpRequest, operation_id: str) -> bool:
    """Permit any operation to active staff, and none to others.

    The app does not know whose a task is, so this is the default of ``WSPROGRESS_TOKEN_PERMIT``.
    """
    del operation_id
    user = getattr(request, "user", None)
    return bool(user and user.is_active and user.is_staff)


@never_cache
@require_http_methods(["GET", "POST"])
def wsprogress_token(request: HttpRequest) -> Any:
    """Answer ``?operation=<id>`` with ``{"token": …, "expires_in": …}``.

    ``operation`` is the id of a task, or ``workflow:<id>``; it may come in the body of a POST. The
    token lets its holder watch this operation and nothing else. It is null where no key is set.
    400 without an id, 403 where the hook returns something false.
    """
    operation_id = request.POST.get("operation") or request.GET.get("operation") or ""
    if not 0 < len(operation_id) <= MAX_ID_LENGTH or operation_id == WORKFLOW_PREFIX:
        return JsonResponse({"error": "`operation` must be the id of one operation"}, status=400)
    if not token_permit()(request, operation_id):
        return JsonResponse({"error": "You may not watch this operation"}, status=403)
    seconds = token_seconds()
    token = None
    if has_key():
        sub = holder(getattr(request, "user", None))
        token = operation_token(operation_id, seconds, can=[str(Right.WATCH)], sub=sub)
    return JsonResponse({"token": token, "expires_in": seconds})
