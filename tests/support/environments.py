"""Virtual environments with other versions than this one's, made of what pyproject.toml declares.

Nothing here knows pytest. The lowest versions are those that the declared floors allow, of what
this package depends on and of what Celery and kombu are made of.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]

#: What Celery and kombu are made of, which belongs to their lowest versions.
_BENEATH: Final = ("amqp", "billiard", "python-dateutil", "tzdata", "vine")

#: What the worker's part of the tests is run with, taken from the extra `test` as it stands there.
_TOOLS: Final = frozenset(
    {
        "gevent", "hypothesis", "jsonschema", "playwright", "psutil", "pytest", "pytest-timeout",
        "pytest-xdist", "django", "django-celery-results", "numpy", "pyro4", "rich", "tqdm",
    }
)  # fmt: skip

_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


class Column(NamedTuple):
    """One column of the table of versions."""

    python: str
    """As in ``3.11``."""
    lowest: bool
    """Whether everything is of the lowest version that is declared; else of the newest."""
    celery: str = ""
    """Of this line of Celery, as in ``5.5``; empty for what the others say."""

    @property
    def name(self) -> str:
        """How it is called in a table, and its folder."""
        versions = "lowest" if self.lowest else "newest"
        return f"{self.python}-{self.celery or versions}"


def declared(extra: str = "") -> list[str]:
    """The requirements of the package, or of one of its extras, as pyproject.toml has them."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    found: list[str] = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return found


def requirements(column: Column) -> list[str]:
    """What is installed beside the tools."""
    beneath = _BENEATH if column.lowest else ()
    only = (f"celery=={column.celery}.*",) if column.celery else ()
    return [*declared(), *beneath, *only]


def tools() -> list[str]:
    """What the tests need, of the versions they have everywhere."""
    wanted = [one for one in declared("test") if name_of(one) in _TOOLS]
    # FastAPI brings pydantic where the other tests run. Of kombu's extras `sqs` is left out: what
    # serves Amazon's queues here needs a newer click than the lowest one.
    return [*wanted, "pydantic>=2", "kombu[sqlalchemy]"]


def name_of(requirement: str) -> str:
    """The package of a requirement."""
    found = _NAME.match(requirement)
    assert found is not None, requirement
    return found[0].lower()


def find_python(version: str) -> str | None:
    """An interpreter of this version that really runs; None where there is none."""
    candidates = [f"python{version}"]
    candidates += map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for one in candidates:
        command = [one, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError:
            continue
        if done.stdout.strip() == version:
            return one
    return None


def make_environment(column: Column, python: str) -> Path:
    """Make the environment of a column, unless it is there; returns its interpreter.

    It lies in the environment that this runs in, and goes with it.

    Raises:
        RuntimeError: something cannot be installed; it says what.
    """
    folder = Path(sys.prefix) / "versions" / column.name
    interpreter = folder / "bin" / "python"
    wanted = repr((requirements(column), tools(), str(ROOT)))
    stamp = folder / f"made-{hashlib.sha256(wanted.encode()).hexdigest()[:16]}"
    if stamp.exists():
        return interpreter
    shutil.rmtree(folder, ignore_errors=True)
    _uv("venv", "--quiet", "--no-project", "--python", python, str(folder))
    into = ("pip", "install", "--quiet", "--python", str(interpreter))
    resolution = "lowest-direct" if column.lowest else "highest"
    _uv(*into, "--resolution", resolution, *requirements(column))
    pinned = folder / "pinned.txt"
    pinned.write_text(_uv("pip", "freeze", "--quiet", "--python", str(interpreter)))
    _uv(*into, "--constraint", str(pinned), *tools())
    _uv(*into, "--no-deps", "--editable", str(ROOT))
    stamp.touch()
    return interpreter


def versions_in(interpreter: Path) -> dict[str, str]:
    """The versions of what is installed in an environment, by package."""
    frozen = _uv("pip", "freeze", "--quiet", "--python", str(interpreter))
    pairs = (line.split("==") for line in frozen.splitlines() if "==" in line)
    return {name.lower(): version for name, version in pairs}


def version_of(interpreter: Path) -> str:
    """The version of Python itself."""
    command = [interpreter, "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _uv(*arguments: str) -> str:
    command = [sys.executable, "-m", "uv", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout
