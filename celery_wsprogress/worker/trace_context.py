"""The trace that a run belongs to: the ``traceparent`` of W3C Trace Context, for its metadata.

It is that of the current span of OpenTelemetry, where the program has imported that: it is no
dependency, and is never imported here. Else it is the header ``traceparent`` of the message, which
instrumentations of callers add.

https://www.w3.org/TR/trace-context/#traceparent-header
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from celery_wsprogress.worker.error_log import log_internal_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery_wsprogress.worker.run_info import RunInfo

logger = logging.getLogger(__name__)

TRACEPARENT: Final = "traceparent"
"""The header, and the name of the value in the metadata."""

_MODULE: Final = "opentelemetry.trace"
_WELL_FORMED: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)


def with_trace(run: RunInfo, request: Any) -> RunInfo:
    """Return the run with the trace of its task in its metadata, if there is one.

    Runs in: the thread that runs the task, before the task.

    Args:
        run: The run.
        request: A dict or Celery's ``Context``.
    """
    headers = request if isinstance(request, dict) else vars(request)
    found = _of_current_span() or _of_headers(headers)
    if not found:
        return run
    return structs.replace(run, metadata={**run.metadata, TRACEPARENT: found})


def _of_current_span() -> str:
    trace = sys.modules.get(_MODULE)
    if trace is None:
        return ""
    try:
        span = trace.get_current_span().get_span_context()
        found = f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
    except Exception as exc:  # noqa: BLE001 - whatever another library raises
        log_internal_error(logger, logging.WARNING, "Task events: the trace is not known", exc)
        return ""
    # The ids of a span that is none are zeros.
    return found if _WELL_FORMED.fullmatch(found) else ""


def _of_headers(headers: Mapping[str, Any]) -> str:
    value = headers.get(TRACEPARENT)
    return value if isinstance(value, str) and _WELL_FORMED.fullmatch(value) else ""
