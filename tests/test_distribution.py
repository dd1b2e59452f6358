"""The wheel, built as it is for the world."""

from __future__ import annotations

import email
import re
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

from celery_wsprogress import __version__

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel):
    return email.message_from_string(_text(wheel, "METADATA"))


def _text(wheel, name):
    return wheel.read(f"celery_wsprogress-{__version__}.dist-info/{name}").decode()


def test_it_holds_the_package_and_nothing_else(wheel):
    folders = {name.partition("/")[0] for name in wheel.namelist()}
    assert folders == {"celery_wsprogress", f"celery_wsprogress-{__version__}.dist-info"}


def test_it_holds_every_module(wheel):
    modules = {str(one.relative_to(ROOT)) for one in (ROOT / "celery_wsprogress").rglob("*.py")}
    assert modules <= set(wheel.namelist())


def test_it_holds_the_browser_modules_where_collectstatic_and_the_sidecar_look(wheel):
    folder = ROOT / "celery_wsprogress" / "static" / "celery_wsprogress"
    there = {str(one.relative_to(ROOT)) for one in folder.rglob("*") if one.is_file()}
    assert f"{folder.relative_to(ROOT)}/client.js" in there
    assert f"{folder.relative_to(ROOT)}/index.html" in there
    assert f"{folder.relative_to(ROOT)}/dashboard/main.js" in there
    assert there <= set(wheel.namelist())


def test_it_is_typed_and_licensed(wheel):
    assert "celery_wsprogress/py.typed" in wheel.namelist()
    assert _text(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text()


def test_nothing_that_is_made_on_the_way_is_in_it(wheel):
    made = [name for name in wheel.namelist() if "__pycache__" in name or name.endswith(".pyc")]
    assert made == []


def test_its_name_version_and_python(metadata):
    assert metadata["Name"] == "celery-wsprogress"
    assert metadata["Version"] == __version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Summary"]


def test_its_entry_points(wheel):
    points = ConfigParser()
    points.optionxform = str
    points.read_string(_text(wheel, "entry_points.txt"))
    assert dict(points["console_scripts"]) == {"celery-wsprogress": "celery_wsprogress.cli:main"}
    assert dict(points["celery.commands"]) == {"wsprogress": "celery_wsprogress.cli:wsprogress"}
    plugin = {"celery_wsprogress": "celery_wsprogress.testing.plugin"}
    assert dict(points["pytest11"]) == plugin


def test_what_it_needs_and_what_it_offers(metadata):
    extras = {"speed", "crypto", "flower", "demo", "test", "docs"}
    assert set(metadata.get_all("Provides-Extra")) == extras
    needed = [one for one in metadata.get_all("Requires-Dist") if "extra ==" not in one]
    # Celery needs billiard anyway; it is named for the versions that do not run on Python 3.13.
    names = {re.match(r"[\w-]+", one)[0] for one in needed if not one.startswith("billiard")}
    assert names == {"celery", "click", "kombu", "msgspec", "pyjwt", "redis", "websockets"}
