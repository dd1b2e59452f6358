"""A Django project as the documentation makes it, from ``startproject`` on.

Nothing here knows pytest. Django's settings hold for a whole process, so everything runs in one of
the project's own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).parents[2]
DJANGO_PAGE: Final = ROOT / "docs" / "howto" / "django.md"

_NAMED_BLOCK: Final = re.compile(
    r"^```(?:python|html)\n(?:# |<!-- )(\S+/\S+\.\w+)(?: -->)?\n(.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_LOOP: Final = """
import json, sys, traceback
import django
django.setup()
names = {}
for line in sys.stdin:
    names["result"] = None
    try:
        exec(json.loads(line), names)
        answer = {"result": names["result"]}
    except BaseException:
        answer = {"error": traceback.format_exc()}
    print("answer", json.dumps(answer), flush=True)
"""


def files_of(page: Path) -> dict[str, str]:
    """The files of a project that stand in a page: each block begins with a name."""
    return dict(_NAMED_BLOCK.findall(page.read_text()))


class DjangoProject:
    """A project in a folder, and a process of it that runs code.

    Args:
        folder: Where it is made; it must be empty.
        name: As for ``django-admin startproject``.
        copied: A folder to copy, in place of what ``startproject`` makes.
        path: A folder of more packages.
    """

    def __init__(
        self,
        folder: Path,
        name: str = "shop",
        *,
        copied: Path | None = None,
        path: Path | None = None,
    ) -> None:
        self.folder = folder
        self.environment = {
            **{key: value for key, value in os.environ.items() if "WSPROGRESS" not in key},
            "PYTHONPATH": os.pathsep.join(map(str, (folder, ROOT, *([path] if path else [])))),
            "DJANGO_SETTINGS_MODULE": f"{name}.settings",
        }
        self._process: subprocess.Popen[str] | None = None
        if copied is not None:
            shutil.copytree(copied, folder, dirs_exist_ok=True)
            return
        command = [sys.executable, "-m", "django", "startproject", name, str(folder)]
        subprocess.run(command, capture_output=True, check=True, timeout=600)

    def write(self, files: Mapping[str, str], **replaced: str) -> None:
        """Write files; settings are appended to those that there are."""
        for name, text in files.items():
            for old, new in replaced.items():
                text = text.replace(old, new)  # noqa: PLW2901 - the same text
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.name == "settings.py" and path.exists():
                text = path.read_text() + text  # noqa: PLW2901 - as above
            path.write_text(text)

    def apply(self, diff: str) -> None:
        """Change the files as ``git apply`` does; each part of the diff must fit."""
        # A folder that is in somebody's repository is treated as if it were not.
        environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(self.folder.parent)}
        command = ["git", "apply", "--whitespace=nowarn", "-"]
        subprocess.run(
            command,
            cwd=self.folder,
            input=diff,
            env=environment,
            text=True,
            check=True,
            timeout=600,
        )

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run ``manage.py`` with a command that ends by itself."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Run ``manage.py`` with a command that goes on."""
        with (self.folder / f"{arguments[0]}.log").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def run(self, code: str) -> Any:
        """Run code in the project's process; returns what it leaves in ``result``, as JSON.

        Names live on from one call to the next.
        """
        process = self._process or self._start_process()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(code) + "\n")
        process.stdin.flush()
        for line in process.stdout:
            if line.startswith("answer "):
                answer = json.loads(line.removeprefix("answer "))
                assert "error" not in answer, answer["error"]
                return answer["result"]
        raise AssertionError(f"the process has ended: {process.wait(60)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """End its process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=60)

    def _start_process(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LOOP],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self._process
