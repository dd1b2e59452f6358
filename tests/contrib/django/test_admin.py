"""The link to the dashboard in the admin."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("path", ["/admin/", "/admin/auth/user/"])
def test_staff_finds_the_dashboard(shop, sidecar_port, path):
    shop.run("client = Client(); client.force_login(otto)")
    text = shop.run(f"result = client.get({path!r}).content.decode()")
    assert f'href="http://localhost:{sidecar_port}/"' in text
    assert "Tasks and their progress" in text


def test_the_page_of_another_app_lists_that_one_only(shop):
    shop.run("client = Client(); client.force_login(otto)")
    found = shop.run(
        "from django.contrib import admin\n"
        "request = RequestFactory().get('/')\n"
        "request.user = otto\n"
        "result = [one['app_label'] for one in admin.site.get_app_list(request, 'auth')]"
    )
    assert found == ["auth"]


def test_nobody_else_does(shop):
    found = shop.run(
        "from django.contrib import admin\n"
        "request = RequestFactory().get('/')\n"
        "request.user = anna\n"
        "result = admin.site.get_app_list(request)"
    )
    assert found == []
