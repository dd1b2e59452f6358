"""Progress in Flower, for its configuration file (``flowerconfig.py``, which is Python).

::

    from celery_wsprogress.contrib.flower import show_progress

    show_progress(dashboard_url="http://localhost:8765")

Workers send the progress with the setting ``wsprogress_flower``. Runs in Flower's process.

Flower (2.2) has no place for extensions. It shows the fields that Celery's own record of a task
names (``celery.events.state.Task._fields``), and a column for each entry of ``TASK_COLUMNS`` that
its option ``tasks_columns`` names. So :func:`show_progress` adds to these.
"""

from __future__ import annotations

import html
import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.setting_parsers import page_address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

FIELD: Final = "progress"
"""The field of a task, the slug of the column, and the kind of the event."""

_ACTIONS: Final = b'<div class="detail-actions">'
"""The place of the buttons on the page of a task (flower 2.2, flower/templates/task.html)."""


def show_progress(*, dashboard_url: str | None = None) -> None:
    """Show the progress of tasks in Flower: in the table, on a task's page, and in the API.

    The state of a task is left as Celery's own events set it. Call it once, in Flower's
    configuration file. Where that file or the command line sets ``tasks_columns``, name
    ``progress`` there.

    Args:
        dashboard_url: The URL of a sidecar, such as ``http://localhost:8765``; the page of a task
            links to its dashboard.

    Raises:
        ConfigurationError: The URL is none of a page, or contains a password.
    """
    # Imported here: this package does not need Flower, and this module may be looked at without.
    from celery.events.state import Task  # noqa: PLC0415
    from flower.options import options  # noqa: PLC0415
    from flower.views import tasks as views  # noqa: PLC0415

    dashboard = None if dashboard_url is None else _dashboard(dashboard_url)
    keep_progress(Task)
    if hasattr(views, "TASK_COLUMNS"):
        views.TASK_COLUMNS[FIELD] = "Progress"
        options.tasks_columns = with_column(options.tasks_columns)
    else:
        logger.warning("This Flower has no column for progress: it takes Flower 2.2 or newer")
    if dashboard is not None:
        _link_to(dashboard, views.TaskView)


def _dashboard(url: str) -> str:
    try:
        return page_address(url)
    except (ValueError, TypeError, AttributeError):
        # The URL may contain a password.
        allowed = "the http or https address of a sidecar, without a password"
        raise ConfigurationError("dashboard_url", "(hidden)", allowed) from None


def with_column(columns: str) -> str:
    """Return Flower's option ``tasks_columns`` with the column of progress, behind the state."""
    names = [name.strip() for name in columns.split(",")]
    if FIELD not in names:
        names.insert(names.index("state") + 1 if "state" in names else len(names), FIELD)
    return ",".join(names)


def keep_progress(task_class: Any) -> None:
    """Add the field to Celery's record of a task, and take it from events of its kind.

    Celery (5.7, celery/events/state.py) takes an event of a kind that it does not know for a new
    state, also of a task that is over. Here such an event changes no state and no other field.

    Args:
        task_class: ``celery.events.state.Task``. Not a subclass of it: Flower pickles the records
            with ``--persistent``, and must read them without this module, too.
    """
    fields = task_class._fields
    if FIELD in fields:
        return
    place = fields.index("state") + 1
    task_class._fields = (*fields[:place], FIELD, *fields[place:])
    setattr(task_class, FIELD, None)
    celerys_own = task_class.event

    def event(
        self: Any,
        type_: str,
        timestamp: float | None = None,
        local_received: float | None = None,
        fields: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        if type_ == FIELD:
            _update(self, timestamp or 0.0, fields or {})
            return
        celerys_own(self, type_, timestamp, local_received, fields, **more)
        if type_ == "succeeded" and self.progress is not None:
            # The last report of a task need not have been sent.
            self.progress = "100%"

    task_class.event = event


def _update(task: Any, timestamp: float, fields: Mapping[str, Any]) -> None:
    """Take the progress of a task that runs; leave that of one that is over, or of its last run."""
    from celery import states  # noqa: PLC0415

    over = task.state in states.READY_STATES or task.state in {states.REJECTED, states.IGNORED}
    if over or timestamp < max(task.retried or 0.0, task.rejected or 0.0):
        return
    task.progress = fields.get(FIELD)
    if task.state == states.PENDING:
        # Flower was started after the task.
        clock = fields.get("clock") or 0
        task.__dict__.update(state=states.STARTED, timestamp=timestamp, clock=clock)


def _link_to(dashboard: str, view: Any) -> None:
    """Add a link to the pages of tasks. A Flower whose pages are built otherwise has none."""
    render: Callable[..., bytes] = view.render_string

    def render_string(self: Any, template_name: str, **values: Any) -> bytes:
        page = render(self, template_name, **values)
        if template_name != "task.html":
            return page
        return page.replace(_ACTIONS, _ACTIONS + _link(dashboard, values["task"].uuid), 1)

    view.render_string = render_string


def _link(dashboard: str, task_id: str) -> bytes:
    address = html.escape(f"{dashboard}/#/operation/{quote(task_id, safe='')}")
    attributes = 'class="btn btn-outline-secondary" target="_blank" rel="noopener noreferrer"'
    return f'<a href="{address}" {attributes}>Live progress</a>'.encode()
