"""``manage.py wsprogress``, and the whole way from a page of a project to a full bar."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from support.conditions import eventually
from support.django_projects import DJANGO_PAGE
from support.ports import free_port
from support.workers import Worker


def test_the_command_line_knows_the_key_of_the_project(shop):
    token = shop.manage("wsprogress", "token", "abc").stdout.strip()
    assert shop.run(f"result = claims({token!r})")["ops"] == ["abc"]


def test_options_of_django_are_djangos(shop):
    shown = shop.manage("wsprogress", "--settings=shop.settings", "--help").stdout
    assert "manage.py wsprogress [OPTIONS] COMMAND" in shown
    assert "serve" in shown
    assert "celery-wsprogress" in shop.manage("help", "wsprogress").stdout


def test_a_mistake_is_a_line_and_a_code(shop):
    done = shop.manage("wsprogress", "token", check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_commands_that_watch_take_the_address_of_the_project(shop, sidecar_port):
    done = shop.manage("wsprogress", "stats", check=False)
    assert done.returncode != 0
    assert f"localhost:{sidecar_port}" in done.stderr


def test_code_can_call_it(shop):
    token = shop.run(
        "said = io.StringIO()\n"
        "with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):\n"
        "    call_command('wsprogress', 'token', 'abc')\n"
        "result = claims(said.getvalue().strip())"
    )
    assert token["ops"] == ["abc"]


def test_without_the_command_of_django_the_settings_are_the_same(shop):
    command = [sys.executable, "-m", "celery_wsprogress", "token", "-A", "shop", "abc"]
    done = subprocess.run(
        command, cwd=shop.folder, env=shop.environment, capture_output=True, text=True, check=True
    )
    assert shop.run(f"result = claims({done.stdout.strip()!r})")["ops"] == ["abc"]


def renewal():
    """The script of the documentation that asks the project for a token."""
    text = DJANGO_PAGE.read_text()
    return re.search(r'<script type="module">\n(.*?)</script>', text, re.DOTALL)[1]


def answers(url):
    """Whether something answers there at all."""
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return response.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


@pytest.fixture
def running(shop, redis_server, sidecar_port):
    """Web server, sidecar and worker of the project; gives the address of its pages."""
    redis_server.clear()
    port = free_port()
    processes = [
        shop.start("wsprogress", "serve", "--port", str(sidecar_port)),
        shop.start("runserver", "--noreload", f"localhost:{port}"),
    ]
    environment = {
        name: shop.environment[name] for name in ("PYTHONPATH", "DJANGO_SETTINGS_MODULE")
    }
    try:
        with Worker("shop", broker=redis_server.url, pool="solo", environment=environment):
            eventually(lambda: answers(f"http://localhost:{sidecar_port}/readyz"), timeout=180)
            eventually(lambda: answers(f"http://localhost:{port}/admin/login/"), timeout=180)
            yield f"http://localhost:{port}"
    finally:
        for one in processes:
            one.kill()
            one.wait(60)


@pytest.mark.browser
def test_a_user_starts_a_task_and_sees_its_bar(shop, running, browser):
    context = browser.new_context()
    # Milliseconds; for machines that are busy.
    context.set_default_timeout(180_000)
    page = context.new_page()
    page.goto(f"{running}/admin/login/?next=/imports/")
    page.fill("[name=username]", "otto")
    page.fill("[name=password]", "otto")
    page.click("[type=submit]")
    page.wait_for_selector("button")
    assert page.query_selector("celery-progress") is None
    page.click("button")
    page.wait_for_selector("celery-progress[state=completed]")
    bar = page.get_by_role("progressbar", name="Import")
    assert bar.get_attribute("aria-valuenow") == "100"

    # As the page of the documentation renews a token.
    with page.expect_response("**/progress/token?operation=*") as answered:
        page.add_script_tag(content=renewal(), type="module")
    assert answered.value.status == 200
    page.wait_for_selector("celery-progress[state=completed]")
    context.close()
    assert "is no setting" not in (shop.folder / "wsprogress.log").read_text()
