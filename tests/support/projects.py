"""The Celery projects of the tests, for callers in the tests' own process."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

PROJECTS = Path(__file__).parents[1] / "projects"


def load_project(name: str, broker: str, backend: str, **environment: Any) -> ModuleType:
    """Load a project as a module of its own: others may have loaded it with another broker.

    Args:
        name: A module in ``tests/projects``.
        broker: The URL of its broker.
        backend: The URL of its result backend.
        environment: More variables of the environment while it is loaded.
    """
    spec = importlib.util.spec_from_file_location(name, PROJECTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        given = {"BROKER_URL": broker, "RESULT_BACKEND": backend, **environment}
        for variable, value in given.items():
            patch.setenv(variable, value)
        spec.loader.exec_module(module)
    return module
