"""Progress from your own ASGI server: FastAPI, Starlette, Django, Quart, Litestar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery_wsprogress.asgi.application import ProgressApplication

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.asgi.messages import ASGIApplication, Scope


def wsprogress_asgi(
    app: ASGIApplication | None = None,
    *,
    prefix: str | None = None,
    permit: Callable[[Scope], Any] | None = None,
    **settings: Any,
) -> ASGIApplication:
    """Return an ASGI application that serves progress, as ``celery-wsprogress serve`` does.

    It has WebSockets (``/ws``, ``/ws/<id>``), server-sent events (``/operations/<id>/events``), the
    browser modules, the dashboard, and the other routes of the sidecar. Each process reads the
    log in a thread, from the start of the server on, or else from the first request on.

    Args:
        app: Your application, which gets everything else. Without it mount the result, or serve
            it by itself.
        prefix: The path below which it answers. By default ``/wsprogress`` around your application,
            else the root.
        permit: Decides for each request what a client may do. It is called with the ``scope`` of
            ASGI, in which your middleware may have put a session or a user, and returns the claims
            of a token (``{"ops": […]}``), or None to refuse. It may be a coroutine function; any
            other runs in a thread. It has five seconds. Only pages of the same host and of
            ``origins`` may connect then.
        settings: Settings of ``serve``, such as ``origins`` or ``max_subscriptions``, which win
            over those of the environment and of Celery's configuration.

    Raises:
        TypeError: there is no such setting.
        ConfigurationError: a setting is bad.
    """
    if prefix is None:
        prefix = "" if app is None else "/wsprogress"
    return ProgressApplication(app, prefix, permit, settings)
