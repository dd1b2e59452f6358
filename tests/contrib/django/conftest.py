"""The project of the page about Django, as a reader makes it, with a key and two users."""

from __future__ import annotations

import pytest
from support.django_projects import DJANGO_PAGE, DjangoProject, files_of
from support.ports import free_port

KEY = "only for these tests: 32 bytes and more"
SETTINGS = f"""
WSPROGRESS_KEY = {KEY!r}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ALLOWED_HOSTS = ["*"]
"""
#: What the tests use in the project's process.
NAMES = """
import contextlib, io, json
import jwt
from celery import current_app
from celery.result import AsyncResult, GroupResult
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.core.management import call_command
from django.template import Context, RequestContext, Template
from django.test import Client, RequestFactory, override_settings
from celery_wsprogress.contrib.django.conf import token_permit

users = get_user_model().objects
anna = users.create_user("anna", password="anna")
otto = users.create_superuser("otto", password="otto")

def claims(token):
    return jwt.decode(token, %r, algorithms=["HS256"])
"""


@pytest.fixture(scope="session")
def sidecar_port():
    """A port that a sidecar may take; the project names it."""
    return free_port()


@pytest.fixture(scope="session")
def shop(redis_server, tmp_path_factory, sidecar_port):
    with DjangoProject(tmp_path_factory.mktemp("shop")) as project:
        told = {"8765": str(sidecar_port), "redis://localhost:6379/0": redis_server.url}
        project.write(files_of(DJANGO_PAGE), **told)
        project.write({"shop/settings.py": SETTINGS})
        project.manage("migrate")
        project.run(NAMES % KEY)
        yield project
