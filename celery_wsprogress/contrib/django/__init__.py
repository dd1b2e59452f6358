"""A Django app: the element in templates, tokens for users, checks, the command line, the admin.

``INSTALLED_APPS = [..., "celery_wsprogress.contrib.django"]``. Runs in a Django project.
"""
