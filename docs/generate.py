"""Tables and texts of the documentation that are generated from the code.

``conf.py`` writes them to ``_generated/``, and pages include them.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
from typing import TYPE_CHECKING

import click

from celery_wsprogress import setting_sources, settings
from celery_wsprogress.cli import main
from celery_wsprogress.operations.states import TRANSITIONS, State, Trigger, Verdict
from celery_wsprogress.sidecar.metrics import definitions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from celery_wsprogress.common_settings import Settings


def states_table() -> str:
    """Return the transitions of a run: states down, kinds of events across."""
    rows = [
        [state.value if state else "(new)", *(_cell(TRANSITIONS[state][step]) for step in Trigger)]
        for state in (None, *State)
    ]
    return _table(["", *(step.value for step in Trigger)], rows)


def _cell(outcome: State | Verdict) -> str:
    return f"**{outcome.value}**" if isinstance(outcome, State) else f"_{outcome.value}_"


def settings_tables() -> str:
    """Return all settings of both sides: name, default, allowed values, meaning."""
    sides = (("Of the tasks", settings.WorkerSettings), ("Of the sidecar", settings.ServeSettings))
    return "\n".join(f"## {title}\n\n{_settings_table(cls)}" for title, cls in sides)


def metrics_table() -> str:
    """Return all metrics of the sidecar, as Prometheus sees them."""
    rows = [
        [f"`{one.title.removeprefix(definitions.PREFIX)}`", one.kind, one.help]
        for one in definitions.METRICS
    ]
    return _table(["metric", "kind", ""], rows)


def cli_reference() -> str:
    """The help of each command, as a terminal of 98 columns shows it."""
    context = click.Context(main)
    names = [
        "celery-wsprogress",
        *(f"celery-wsprogress {name}" for name in main.list_commands(context)),
    ]
    return "\n".join(f"## `{name}`\n\n```text\n{_help(name)}\n```\n" for name in names)


def _help(name: str) -> str:
    _, _, command_name = name.partition(" ")
    context = click.Context(main)
    command = main.get_command(context, command_name) if command_name else main
    assert command is not None  # noqa: S101 - the group itself lists it
    return command.get_help(
        click.Context(command, info_name=name, terminal_width=98, max_content_width=98)
    )


def _settings_table(cls: type[Settings]) -> str:
    told = dict(one for base in cls.__mro__[-2::-1] for one in field_docs(base))
    rows = [
        [
            f"`{setting_sources.CONF_PREFIX}{field.name}`",
            _default(field.default),
            field.metadata["allowed"].replace("|", "\\|"),
            told.get(field.name, ""),
        ]
        for field in dataclasses.fields(cls)
    ]
    return _table(["setting", "default", "allowed", ""], rows)


def _default(value: object) -> str:
    return "not set" if value in (None, ()) else f"`{value}`"


def field_docs(cls: type) -> Iterator[tuple[str, str]]:
    """Yield the docstrings below the fields of a class, with the name of each field."""
    [definition] = ast.parse(inspect.getsource(cls)).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - it is the source of a class
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            yield field.target.id, " ".join(str(text.value.value).replace("``", "`").split())


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
