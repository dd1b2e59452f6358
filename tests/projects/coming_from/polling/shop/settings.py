SECRET_KEY = "only for this example"
DEBUG = True
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = [
    "shop",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

CELERY_BROKER_URL = "redis://localhost:6379/0"
CELERY_RESULT_BACKEND = "redis://localhost:6379/0"
