"""What is loaded with what: looked at in fresh interpreters, and by the import contracts."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "celery_wsprogress"
CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text())

#: The clients of the brokers and what comes with them.
CELERYS = {"celery", "kombu", "amqp", "billiard", "vine", "redis"}


@cache
def loaded(code):
    """The modules that are loaded once a fresh interpreter has run this."""
    code = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    )
    return frozenset(done.stdout.split())


def packages(code):
    """The packages beside Python's own that this loads."""
    found = {module.partition(".")[0] for module in loaded(code) - loaded("")}
    return found - sys.stdlib_module_names


def ours(code):
    return {module for module in loaded(code) if module.startswith("celery_wsprogress")}


def test_the_package_alone_loads_nothing():
    assert packages("import celery_wsprogress") == {"celery_wsprogress"}
    assert ours("import celery_wsprogress") == {"celery_wsprogress"}


CELERY = "from celery import Celery, Task, shared_task, signals; Celery, Task, shared_task, signals"


@pytest.mark.parametrize("name", ["StreamingTask", "install", "log", "update_progress"])
def test_a_worker_loads_no_websockets_and_no_loop(name):
    code = f"import celery_wsprogress; celery_wsprogress.{name}"
    assert not packages(code) & {"websockets", "jwt", "uvloop", "click"} - packages(CELERY)
    assert "asyncio" not in loaded(code) - loaded(CELERY)
    assert not {one for one in ours(code) if ".sidecar" in one or ".cli" in one}


def test_a_client_that_makes_tokens_loads_no_celery():
    code = "import celery_wsprogress; celery_wsprogress.create_token"
    # Some builds of cryptography load these two with it.
    own = {"_cffi_backend", "_openssl"}
    assert packages(code) - own <= {"celery_wsprogress", "jwt", "cryptography", "typing_extensions"}


def test_the_command_line_loads_only_click():
    # Every `celery …` command imports this, and so does every worker.
    code = "import celery_wsprogress.cli"
    assert packages(code) <= {"celery_wsprogress", "click", "colorama"}
    assert ours(code) == {"celery_wsprogress", "celery_wsprogress.cli"}
    assert "asyncio" not in loaded(code) - loaded("import click")


def test_help_needs_nothing_more():
    code = (
        "from celery_wsprogress.cli import main\n"
        "main(['--help'], prog_name='x', standalone_mode=False)"
    )
    assert ours(code) == {"celery_wsprogress", "celery_wsprogress.cli"}


def test_the_sidecar_loads_no_celery():
    code = "import celery_wsprogress.sidecar.server"
    assert "websockets" in packages(code)
    assert not packages(code) & CELERYS


def test_a_client_loads_no_celery_and_no_sidecar():
    code = "import celery_wsprogress.client"
    assert not packages(code) & {*CELERYS, "jwt", "click"}
    assert not {one for one in ours(code) if one.split(".")[1:2] in (["sidecar"], ["cli"])}


@pytest.mark.parametrize("name", ["watch", "monitor", "stats", "interactive"])
def test_a_command_that_watches_loads_no_celery_and_no_sidecar(name):
    code = f"import celery_wsprogress.cli.{name}"
    assert not packages(code) & {*CELERYS, "jwt"}
    assert not {one for one in ours(code) if ".sidecar" in one or ".worker" in one}


def test_the_options_of_serve_load_no_server():
    code = "import celery_wsprogress.cli.serve"
    assert not packages(code) & {*CELERYS, "websockets", "uvloop", "jwt"}


def test_the_import_contracts_hold():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


# The contract counts what the linter finds; this is the same for those who read the source.

PURITY = next(
    contract
    for contract in CONFIGURATION["tool"]["importlinter"]["contracts"]
    if contract["name"] == "Pure packages"
)
PURE = [one.rpartition(".")[2] for one in PURITY["source_modules"]]

#: Modules of the root and of pure packages that are edges, and why.
EDGES = {
    "__init__": "loads the public names when they are asked for",
    "__main__": "is a program",
    "fork": "asks the operating system in which process it runs",
    "started": "sends a task with Celery",
    "running_server": "reaches the server that runs in this process",
    "access/issue": "reads the clock, the environment and Celery's configuration",
    "protocol/bounded_copy": "looks at the clock while code of a user runs",
}


def _modules_of(name):
    folder = PACKAGE / name
    return sorted(folder.glob("*.py")) if folder.is_dir() else [PACKAGE / f"{name}.py"]


PURE_MODULES = {
    str(file.relative_to(PACKAGE).with_suffix("")): file
    for name in PURE
    for file in _modules_of(name)
}


def test_every_module_of_the_root_is_pure_or_a_known_edge():
    found = {one.stem for one in PACKAGE.glob("*.py")}
    assert found - set(EDGES) == {name for name in PURE if not (PACKAGE / name).is_dir()}


@pytest.mark.parametrize("name", sorted(set(PURE_MODULES) - set(EDGES)))
def test_a_pure_module_mentions_nothing_that_is_not(name):
    tree = ast.parse(PURE_MODULES[name].read_text())
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {f"{node.module}.{alias.name}" for alias in node.names}
    forbidden = PURITY["forbidden_modules"]
    mentioned = {
        one for one in imported if any(one == bad or one.startswith(f"{bad}.") for bad in forbidden)
    }
    assert mentioned == set()
