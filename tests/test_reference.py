"""The reference pages and the code say the same."""

from __future__ import annotations

import dataclasses
import importlib
import re
from pathlib import Path

import pytest

import celery_wsprogress
from celery_wsprogress import setting_sources, settings
from celery_wsprogress.cli import client_options, main
from celery_wsprogress.protocol import close_codes
from celery_wsprogress.protocol.close_codes import KNOWN

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "celery_wsprogress"
STATIC = PACKAGE / "static"
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if "/_" not in str(page) and page.name != "CHANGELOG.md"
)
#: Decisions name what there was when they were made.
CURRENT = [page for page in PAGES if page.parent.name != "decisions"]
#: What the broker keeps, under names that look like modules.
ON_THE_BROKER = {"celery_wsprogress.epoch", "celery_wsprogress.epochs", "celery_wsprogress.log"}
WORDS = [
    "operation", "run", "attempt", "publication", "workflow", "log", "epoch", "writer", "position",
    "batch", "event", "sidecar", "session", "subscription", "snapshot", "replay", "cursor",
    "heartbeat", "delivery", "frame", "store", "record",
]  # fmt: skip


def read(name):
    return (REFERENCE / name).read_text()


def resolved(name):
    """What a dotted name stands for; raises where there is no such thing."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[length:]:
            found = getattr(found, attribute)
        return found
    raise AssertionError(name)


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_module_that_a_page_names_exists(page):
    names = set(re.findall(r"\bcelery_wsprogress(?:\.\w+)+", page.read_text())) - ON_THE_BROKER
    for name in names:
        assert resolved(name) is not None


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_a_page_names_exists(page):
    folders = r"(?:celery_wsprogress|docs|tests|benchmarks|example_app)"
    for path in re.findall(rf"(?<![\w/.]){folders}/[\w/.-]*[\w/]", page.read_text()):
        # `collectstatic` and packages know the browser modules without the folders above them.
        assert (ROOT / path).exists() or (STATIC / path).exists(), path
    packages = "|".join(one.name for one in PACKAGE.iterdir() if (one / "__init__.py").exists())
    for path in re.findall(rf"`((?:{packages})/[\w/]+)(?:\.py)?`", page.read_text()):
        assert (PACKAGE / path).exists() or (PACKAGE / f"{path}.py").exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_prose_wraps_at_100_characters(page):
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in prose.splitlines() if not line.startswith(("|", "![", "#"))]
    # A link that is longer than a line is one word.
    assert [line for line in lines if len(line) > 100 and " " in line.strip()] == []


def test_the_close_codes_are_those_that_clients_obey():
    rows = re.findall(r"^\| (\d{4}) \| .* \| ([^|]*) \|$", read("close-codes.md"), re.MULTILINE)
    final = {int(code) for code, back in rows if back == "no"}
    assert final == {int(code) for code, _ in rows if close_codes.is_final(int(code))}
    # 1002 and 1005 are protocol errors of a peer: `websockets` counts them, nobody sends them.
    assert KNOWN - {1002, 1005} <= {int(code) for code, _ in rows}


def test_the_exit_codes_are_those_of_the_commands():
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", read("exit-codes.md"), re.MULTILINE)
    assert {name: int(code) for code, name in rows} == {
        name: getattr(client_options, name)
        for name in ("COMPLETED", "ERROR", "USAGE", "NOT_ENDED", "INTERRUPTED")
    }


def test_the_glossary_defines_each_word_and_says_where_it_appears():
    entries = dict(re.findall(r"^(\w+)\n((?:  .+\n)+)", read("glossary.md"), re.MULTILINE))
    assert set(WORDS) <= set(entries)
    assert all("`celery_wsprogress." in text or "ield" in text for text in entries.values())


def test_every_public_name_has_its_place_in_the_api_page():
    named = set(re.findall(r"\b\w+\b", read("python-api.md")))
    assert set(celery_wsprogress.__all__) - {"__version__"} <= named


def test_everything_that_the_api_page_generates_exists():
    for name in re.findall(r"^\.\. auto\w+:: ([\w.]+)$", read("python-api.md"), re.MULTILINE):
        full = name if name.startswith("celery_wsprogress.") else f"celery_wsprogress.{name}"
        assert resolved(full).__doc__


def test_the_generated_parts_hold_every_setting_and_every_command(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    generate = importlib.import_module("generate")
    tables = generate.settings_tables()
    for side in (settings.WorkerSettings, settings.ServeSettings):
        for field in dataclasses.fields(side):
            assert f"`{setting_sources.CONF_PREFIX}{field.name}`" in tables
    assert all(
        f"## `celery-wsprogress {name}`" in generate.cli_reference()
        for name in main.list_commands(None)
    )
