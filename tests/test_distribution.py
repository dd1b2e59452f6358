"""The wheel and the source distribution, built as they are for the world."""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

from celery_wsprogress import __version__

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with both."""
    folder = tmp_path_factory.mktemp("built")
    command = (sys.executable, "-m", "hatchling", "build", "-d", str(folder))
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    [file] = built.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        yield archive


@pytest.fixture(scope="module")
def source(built):
    """The names in the source distribution, below its folder."""
    [file] = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


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


def test_the_source_can_be_tested_and_built_again(source):
    beside = {"pyproject.toml", "hatch_build.py", "Makefile", ".ci/run", "tests/conftest.py"}
    assert beside | {"README.md", "LICENSE", "docs/conf.py", "docs/images/page.png"} <= source
    modules = {str(one.relative_to(ROOT)) for one in (ROOT / "celery_wsprogress").rglob("*.py")}
    assert modules <= source


def test_nothing_that_is_made_on_the_way_is_in_the_source(source):
    made = re.compile(r"(^|/)(__pycache__|node_modules|_build|_generated|screenshots|results)/")
    assert [name for name in source if made.search(name)] == []


def test_every_python_that_is_declared_is_one_that_is_tested(metadata):
    kinds = metadata.get_all("Classifier")
    declared = {one.rpartition(" ")[2] for one in kinds if re.search(r":: 3\.\d+$", one)}
    [environments] = re.findall(r"^env_list = (.*)$", (ROOT / "tox.ini").read_text(), re.MULTILINE)
    assert {f"3.{one}" for one in re.findall(r"py3(\d+)", environments)} == declared
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    [matrix] = re.findall(r"^ +python: \[(.*)\]$", workflow, re.MULTILINE)
    assert declared <= set(re.findall(r"3\.\d+", matrix))


def test_its_addresses_are_the_indexs_own(metadata):
    addresses = [one.partition(", ")[2] for one in metadata.get_all("Project-URL")]
    assert addresses
    assert all(one.startswith("https://pypi.org/project/celery-wsprogress/") for one in addresses)


def test_its_description_leads_nowhere_that_the_index_does_not_have(metadata):
    assert metadata["Description-Content-Type"] == "text/markdown"
    text = metadata.get_payload()
    assert "# celery-wsprogress" in text
    assert "how it compares" in text
    assert [one for one in _TARGETS.findall(text) if not one.startswith(("https://", "#"))] == []
    assert "[how it compares](" in (ROOT / "README.md").read_text()


_TARGETS = re.compile(r"\]\(([^)]*)\)")
