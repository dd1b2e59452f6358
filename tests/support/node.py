"""Node, and what npm has to give to the tests of the browser modules.

``make test`` installs it, as ``tests/static/package.json`` says, beside that file. A test that
lacks it on this machine is skipped, or fails where nothing may be skipped.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from conftest import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Mapping

STATIC = Path(__file__).parents[1] / "static"
MODULES = STATIC.parents[1] / "celery_wsprogress" / "static" / "celery_wsprogress"
NODE_MODULES = STATIC / "node_modules"


def require_node() -> None:
    """Go on only where Node is."""
    if shutil.which("node") is None:
        skip_or_fail("node is not on this machine")


def require_packages() -> None:
    """Go on only where the packages are."""
    require_node()
    if not (NODE_MODULES / "typescript").is_dir():
        skip_or_fail("npm packages are missing: `make test`, or `npm install` in tests/static")


def run_node(*arguments: str, stdin: str = "") -> str:
    """Run a script to its end; returns what it printed.

    Raises:
        AssertionError: it failed; what it said is in the message.
    """
    done = subprocess.run(
        ["node", *arguments],
        cwd=STATIC,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def bundle(
    source: str,
    *external: str,
    define: Mapping[str, str] | None = None,
    options: tuple[str, ...] = (),
) -> str:
    """A module and what it imports in one, as small as it gets.

    Args:
        source: The text of a module, which may import by relative paths from the modules'
            folder, and packages by name.
        external: Imports that are left as they are.
        define: Names that are replaced by values.
        options: More of esbuild's.
    """
    more = [f"--external:{one}" for one in external]
    more += [f"--define:{name}={value}" for name, value in (define or {}).items()]
    command = [
        str(NODE_MODULES / ".bin" / "esbuild"),
        *("--bundle", "--minify", "--format=esm", "--target=es2022", "--log-level=error"),
        *more,
        *options,
    ]
    # What is bundled stands beside the modules; packages are found where they were installed.
    done = subprocess.run(
        command,
        cwd=MODULES,
        env={"NODE_PATH": str(NODE_MODULES), "PATH": "/usr/bin:/bin:/usr/local/bin"},
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
