"""The HTML of ``<celery-progress>`` for templates: Jinja, Flask, Django, or any other.

Runs in a web application, where the page of a task is made. It loads no websockets.
"""

from __future__ import annotations

import html
import os
import re
from typing import Any, Final, Self
from urllib.parse import urlsplit

from celery.result import AsyncResult, GroupResult

from celery_wsprogress.access.grants import Right
from celery_wsprogress.access.issue import DEFAULT_EXPIRES_IN, create_token, has_key
from celery_wsprogress.protocol.workflow_ids import workflow_id_of, workflow_operation_id
from celery_wsprogress.started import Started
from celery_wsprogress.urls import DEFAULT_URL, URL_VARIABLE

_ATTRIBUTE: Final = re.compile(r"[a-z][a-z0-9-]*")
_HTTP: Final = {"ws": "http", "wss": "https"}


class SafeHtml(str):
    """HTML that templates insert as it is: Jinja and Django ask for ``__html__``."""

    __slots__ = ()

    def __html__(self) -> Self:
        return self


def progress_element(
    result: Any,
    *,
    url: str | None = None,
    key: str | None = None,
    token: str | None = None,
    expires_in: float = DEFAULT_EXPIRES_IN,
    sub: str | None = None,
    module: str | None = None,
    nonce: str | None = None,
    **attributes: Any,
) -> SafeHtml:
    """Return a bar for a task or a workflow, with its module and a token for it and nothing else.

    .. code-block:: python

        progress_element(import_rows.delay(rows), label="Import")

    The token lets its holder watch; with ``cancellable=True`` it may cancel, too. Where no key is
    set there is none. Everything is escaped.

    Args:
        result: An ``AsyncResult``, a ``GroupResult``, what :func:`celery_wsprogress.start` has
            returned, or an id; ``workflow:<id>`` is a workflow. For None and an empty id, as of
            a page whose task was not started, nothing is returned.
        url: The address of the sidecar for browsers: ``wss://…``, or a path on the page's own host,
            such as ``/progress/``. By default that in ``WSPROGRESS_WS_URL``, else
            ``ws://localhost:8765``.
        key: The sidecar's key, as for :func:`celery_wsprogress.create_token`.
        token: A token that there is already.
        expires_in: Seconds until the token expires.
        sub: Who holds the token, such as ``user-17``.
        module: The address of ``element.js``, by default at the sidecar.
        nonce: The nonce of a Content-Security-Policy, for the script.
        attributes: Attributes of the element (``label``, ``cancellable`` …). ``_`` is written as
            ``-``; True is an attribute without a value; of False and None there is none.

    Raises:
        ConfigurationError: the key is too short, or ``expires_in`` is not above 0 or too long.
        ValueError: an attribute has a name that is not one of lower-case letters.
    """
    operation_id, is_workflow = _operation(result)
    if not operation_id:
        return SafeHtml()
    url = url or os.environ.get(URL_VARIABLE) or DEFAULT_URL
    if token is None and (key is not None or has_key()):
        rights = [Right.WATCH, *([Right.CANCEL] if attributes.get("cancellable") else [])]
        token = operation_token(
            workflow_operation_id(operation_id) if is_workflow else operation_id,
            expires_in,
            can=[str(one) for one in rights],
            sub=sub,
            key=key,
        )
    script = {
        "type": "module",
        "src": module or f"{served_at(url)}element.js",
        "nonce": nonce or None,
    }
    element = {
        "workflow-id" if is_workflow else "task-id": operation_id,
        "url": url,
        "token": token or None,
        **{_attribute(name): value for name, value in attributes.items()},
    }
    return SafeHtml(
        f"<script{_written(script)}></script>\n<celery-progress{_written(element)}>"
        "</celery-progress>"
    )


def operation_token(operation_id: str, expires_in: float, **claims: Any) -> str:
    """Create a token for one operation; of ``workflow:<id>`` also for its tasks.

    Other words that begin like a pattern, and ``*``, are the id of a task here, and nothing else.
    ``claims`` are further arguments of :func:`celery_wsprogress.create_token`.

    Raises:
        ConfigurationError: as ``create_token``.
    """
    workflow_id = workflow_id_of(operation_id)
    one = f"id:{operation_id if workflow_id is None else workflow_id}"
    ops = [one] if workflow_id is None else [one, operation_id]
    return create_token(ops=ops, expires_in=expires_in, **claims)


def served_at(url: str) -> str:
    """Return the address of the pages and modules of a sidecar, with a slash at its end."""
    parts = urlsplit(url)
    scheme = _HTTP.get(parts.scheme, parts.scheme)
    path = f"{parts.path.rstrip('/')}/"
    return parts._replace(scheme=scheme, path=path, query="", fragment="").geturl()


def _operation(result: Any) -> tuple[str, bool]:
    """Return the id that the caller holds, and whether it is that of a workflow."""
    if isinstance(result, Started):
        return result.id, result.is_workflow
    if isinstance(result, GroupResult):
        return str(result.id), True
    if isinstance(result, AsyncResult):
        # What a chain or a chord returns has a parent.
        return str(result.id), result.parent is not None
    text = "" if result is None else str(result)
    workflow_id = workflow_id_of(text)
    return (text, False) if workflow_id is None else (workflow_id, True)


def _attribute(name: str) -> str:
    """Return a keyword as the name of an attribute; ``class_`` is ``class``."""
    written = name.rstrip("_").replace("_", "-")
    if not _ATTRIBUTE.fullmatch(written):
        raise ValueError(f"{name!r} is not the name of an attribute")
    return written


def _written(attributes: dict[str, Any]) -> str:
    return "".join(
        f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None and value is not False
    )
