from django.urls import include, path

from shop.views import imports

urlpatterns = [
    path("", imports),
    path("celery-progress/", include("celery_progress.urls")),
]
