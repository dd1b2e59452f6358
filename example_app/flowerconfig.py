"""The configuration of Flower: ``celery … flower --conf=example_app/flowerconfig.py``."""

import os

from celery_wsprogress.contrib.flower import show_progress

# The page of a task links to the sidecar's dashboard.
show_progress(dashboard_url=os.environ.get("EXAMPLE_DASHBOARD_URL"))
