"""For tests of one's own tasks: what they report, recorded and checked.

With pytest, the fixture ``recorded_progress`` records; elsewhere :func:`record_progress` does. No
broker, no thread and no connection is needed for it. Importing this module loads no Celery.
"""

from celery_wsprogress.testing.assertions import assert_progress
from celery_wsprogress.testing.record import record_progress
from celery_wsprogress.testing.recorded import Recorded

__all__ = ["Recorded", "assert_progress", "record_progress"]
