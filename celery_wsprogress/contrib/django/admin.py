"""A link to the dashboard on the pages of the admin, for everyone who may see these.

Django imports this module if ``django.contrib.admin`` is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin

from celery_wsprogress.contrib.django.conf import sidecar_url
from celery_wsprogress.contrib.html import served_at

if TYPE_CHECKING:
    from django.http import HttpRequest


def show_dashboard(site: Any) -> None:
    """Add the link to the list of apps of an ``AdminSite``.

    It is no model, so it has no permissions: Django shows the list to active staff only. The
    dashboard asks for a token itself where the sidecar has a key.
    """
    listed = site.get_app_list

    def get_app_list(request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps: list[Any] = listed(request, app_label)
        if app_label is None and site.has_permission(request):
            apps = [*apps, _entry(served_at(sidecar_url()))]
        return apps

    site.get_app_list = get_app_list


def _entry(address: str) -> dict[str, Any]:
    """Return an app of one page, as ``AdminSite.get_app_list`` does (Django 5.2)."""
    page = {
        "model": None,
        "name": "Tasks and their progress",
        "object_name": "Dashboard",
        "perms": {"add": False, "change": False, "delete": False, "view": True},
        "admin_url": address,
        "add_url": None,
        "view_only": True,
    }
    return {
        "name": "Live progress",
        "app_label": "wsprogress",
        "app_url": address,
        "has_module_perms": True,
        "models": [page],
    }


show_dashboard(admin.site)
