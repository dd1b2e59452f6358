"""The addresses of the app, for ``include("celery_wsprogress.contrib.django.urls")``."""

from __future__ import annotations

from django.urls import path

from celery_wsprogress.contrib.django.views import wsprogress_token

urlpatterns = [path("token", wsprogress_token, name="wsprogress_token")]
