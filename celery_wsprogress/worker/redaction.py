"""What the author of a task shows of its arguments, and hides of its values.

``expose_args`` of a task names the arguments that are shown as metadata of the operation; without
it none leaves the worker. ``redact`` of a task is applied to details, metadata and results before
they are published. Both are code or names of the user: what goes wrong in them shows nothing of the
value, and never fails the task.
"""

from __future__ import annotations

import inspect
import logging
from fnmatch import translate
from re import IGNORECASE, Pattern
from re import compile as compile_pattern
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.guard import call_safely, must_propagate
from celery_wsprogress.protocol import jsonable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

logger = logging.getLogger(__name__)

REDACTED: Final = "[redacted]"
"""The value that takes the place of a hidden one."""


class Redactor:
    """Hides values before they are published.

    Args:
        name: The name of the task, for the log.
        globs: The names in objects whose values are hidden, at any depth and in any case.
        function: Takes a value of plain builtins, and returns what may be shown; None for none.
    """

    def __init__(
        self, name: str, globs: Iterable[str] = (), function: Callable[[Any], Any] | None = None
    ) -> None:
        self._name = name
        parts = [translate(glob) for glob in globs]
        self._hidden: Pattern[str] | None = (
            compile_pattern("|".join(parts), IGNORECASE) if parts else None
        )
        self._function = function
        self._warned = False

    def to_object(self, value: Any) -> dict[str, Any]:
        """Convert ``details`` or ``metadata`` as :func:`.jsonable.to_object`, without the hidden.

        Empty if the task's function raises.
        """
        return {} if value is None else jsonable.to_object(self._apply(value, {}))

    def result(self, value: Any) -> Any:
        """Return what may be shown of a result; :data:`REDACTED` if the task's function raises."""
        return self._apply(value, REDACTED)

    def _apply(self, value: Any, otherwise: Any) -> Any:
        try:
            found = jsonable.to_builtins(value)
            if self._hidden is not None:
                found = _without(found, self._hidden)
            return found if self._function is None else self._function(found)
        except Exception as exc:
            if must_propagate(exc):
                raise
            self._warn_once(type(exc).__name__)
            return otherwise

    def _warn_once(self, kind: str) -> None:
        if not self._warned:
            self._warned = True
            # Without the exception's text, which may quote the value.
            logger.warning(
                "redact of the task %s raises %s: what it was to redact is not published",
                self._name,
                kind,
            )


def _without(value: Any, hidden: Pattern[str]) -> Any:
    """Return a copy of plain builtins with the values of hidden names replaced."""
    if isinstance(value, dict):
        return {
            name: REDACTED if hidden.match(name) else _without(one, hidden)
            for name, one in value.items()
        }
    return [_without(one, hidden) for one in value] if isinstance(value, list) else value


def find_redactor(task: Any, globs: Sequence[str]) -> Redactor | None:
    """Return the redactor of a task: its own ``redact``, besides the names of the settings.

    An own one that is neither a function nor a list of names hides everything, with a warning.
    """
    own = getattr(task, "redact", None)
    if own is None:
        return Redactor(task.name, globs) if globs else None
    if callable(own):
        return Redactor(task.name, globs, _function_of(own))
    names = [own] if isinstance(own, str) else own
    if isinstance(names, (list, tuple, set, frozenset)) and all(
        isinstance(one, str) for one in names
    ):
        return Redactor(task.name, [*globs, *names])
    logger.warning(
        "redact of the task %s must be a function or a list of names: no details, metadata and "
        "results of it are published",
        task.name,
    )
    return hide_everything(task.name)


def hide_everything(name: str) -> Redactor:
    """Return a redactor that shows nothing, for the task of this name."""
    return Redactor(name, (), _hide_all)


def _hide_all(value: Any) -> Any:
    return {} if isinstance(value, dict) else REDACTED


def _function_of(own: Any) -> Callable[[Any], Any]:
    """Return a function of one value.

    One that was passed as an attribute of the task is a method, but not meant as such unless its
    first parameter is named ``self``, as for the task itself.
    """
    if not inspect.ismethod(own) or isinstance(own.__self__, type):
        return own  # type: ignore[no-any-return]
    first = next(iter(inspect.signature(own.__func__).parameters), "")
    return own if first == "self" else own.__func__


def exposed_arguments(task: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """Return the arguments of a run that the task shows, by name, as plain builtins.

    Args:
        task: The task; ``expose_args`` is one name or several.
        args: The positional arguments of the run.
        kwargs: The others.
    """
    own = getattr(task, "expose_args", None)
    if not own:
        return {}
    names = (own,) if isinstance(own, str) else own
    found = call_safely(_select_arguments, task, names, args, kwargs) or {}
    return {name: jsonable.to_builtins(value) for name, value in found.items()}


def _select_arguments(task: Any, names: Iterable[str], args: Any, kwargs: Any) -> Mapping[str, Any]:
    signature = inspect.signature(task.run)
    bound = signature.bind_partial(*args, **kwargs).arguments
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            bound.update(bound.pop(name, {}))
    return {name: bound[name] for name in names if name in bound}
