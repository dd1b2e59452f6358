"""Settings in Django's are settings of Celery's configuration."""

from __future__ import annotations


def test_a_setting_of_the_package_is_passed_on_to_celery(shop):
    code = (
        "from celery import Celery\n"
        "from django.apps import apps\n"
        "held, one = current_app._get_current_object(), Celery('one')\n"
        "told = {'CELERY_WSPROGRESS_PORT': 2, 'CELERY_WSPROGRESS_DRAIN': 3}\n"
        "one.config_from_object(told, namespace='CELERY')\n"
        "one.set_current()\n"
        "with override_settings(WSPROGRESS_PORT=1, WSPROGRESS_HOST='::1'):\n"
        "    apps.get_app_config('wsprogress').ready()\n"
        "    result = [one.conf.get(f'wsprogress_{name}') for name in ('port', 'host', 'drain')]\n"
        "held.set_current()"
    )
    assert shop.run(code) == [1, "::1", 3]
