"""Each file for a deployment stands on a page, and the page about deploying names it."""

from __future__ import annotations

import re

import pytest
import yaml
from support.deployments import FOLDER, unit

from celery_wsprogress.settings import ServeSettings

PAGES = {page: page.read_text() for page in FOLDER.parent.glob("howto/*.md")}


def test_each_file_stands_on_a_page():
    shown = {
        one
        for text in PAGES.values()
        for one in re.findall(r"^```{literalinclude} \.\./deploy/(\S+)$", text, re.MULTILINE)
    }
    assert shown == {file.name for file in FOLDER.iterdir()}


def test_the_page_about_deploying_names_each_file():
    text = PAGES[FOLDER.parent / "howto" / "deploy.md"]
    assert {file.name for file in FOLDER.iterdir() if f"`{file.name}`" not in text} == set()


@pytest.mark.parametrize("name", ["Caddyfile", "traefik.yaml", "haproxy.cfg"])
def test_a_proxy_that_is_not_run_here_asks_for_what_there_is(name):
    text = (FOLDER / name).read_text()
    assert "/readyz" in text
    sockets = unit("wsprogress@.socket")["ListenStream"][0]
    assert sockets.replace("%i", "1") in text or f"127.0.0.1:{ServeSettings().port}" in text


def test_the_file_for_traefik_hangs_together():
    http = yaml.safe_load((FOLDER / "traefik.yaml").read_text())["http"]
    [router] = http["routers"].values()
    assert [router["service"]] == [*http["services"]]
    assert router["middlewares"] == [*http["middlewares"]]
