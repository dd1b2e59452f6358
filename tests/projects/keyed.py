"""A Celery project whose configuration names its sidecar, and the key of that."""

import os

from celery import Celery

app = Celery("keyed", broker=os.environ.get("BROKER_URL", "redis://localhost:1/0"))
app.conf.update(
    wsprogress_port=int(os.environ.get("KEYED_PORT", "0")),
    wsprogress_key=os.environ.get("KEYED_KEY"),
)
