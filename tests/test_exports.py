from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import celery_wsprogress


def test_what_is_public_is_what_is_loaded_when_asked_for():
    assert set(celery_wsprogress.__all__) == celery_wsprogress._HOMES.keys()
    assert len(celery_wsprogress.__all__) == len(set(celery_wsprogress.__all__))


def test_no_public_name_is_that_of_a_module():
    """Whoever imported the module would find it where the name should be."""
    package = Path(celery_wsprogress.__file__).parent
    modules = {entry.name.removesuffix(".py") for entry in package.iterdir()}
    assert not modules & set(celery_wsprogress.__all__)


@pytest.mark.parametrize("name", celery_wsprogress.__all__)
def test_every_public_name_is_there(name):
    value = getattr(celery_wsprogress, name)
    home = importlib.import_module(celery_wsprogress._HOMES[name])
    assert value is getattr(home, name)
    if not isinstance(value, str | bool):
        described = value if callable(value) else type(value)
        assert described.__module__.startswith("celery_wsprogress.")
        assert vars(described)["__doc__"] if isinstance(described, type) else described.__doc__
    assert name in dir(celery_wsprogress)


def test_a_name_is_looked_up_once():
    value = celery_wsprogress.create_token
    assert vars(celery_wsprogress)["create_token"] is value


def test_type_checkers_find_the_names_in_the_same_modules():
    tree = ast.parse(Path(celery_wsprogress.__file__).read_text())
    found = {
        alias.asname: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("celery_wsprogress.")
        for alias in node.names
    }
    assert found == celery_wsprogress._HOMES


@pytest.mark.parametrize("name", ["nothing", "streaming_task", "_HOME", "__wrapped__"])
def test_an_unknown_name_is_an_attribute_error_that_names_it(name):
    with pytest.raises(AttributeError, match=f"'celery_wsprogress' has no attribute '{name}'"):
        getattr(celery_wsprogress, name)


def test_an_unknown_name_cannot_be_imported():
    with pytest.raises(ImportError, match="nothing"):
        exec("from celery_wsprogress import nothing")


def test_everything_can_be_imported_at_once():
    names = {}
    exec("from celery_wsprogress import *", names)
    assert set(celery_wsprogress.__all__) <= names.keys()
