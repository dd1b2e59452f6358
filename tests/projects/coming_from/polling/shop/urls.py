from django.urls import path

from shop.views import imports, status

urlpatterns = [
    path("", imports),
    path("status/<task_id>/", status, name="status"),
]
