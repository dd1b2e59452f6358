"""``stream``: a method of tasks and operations, and a function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery_wsprogress.worker.context import tracker_in_context
from celery_wsprogress.worker.streams.stream import Stream, open_stream

if TYPE_CHECKING:
    from celery_wsprogress.worker.tracker import Tracker


class StreamMethods:
    """The method, for a class that has a tracker."""

    def _reporting_tracker(self) -> Tracker | None:
        raise NotImplementedError

    def stream(self, name: Any) -> Stream:
        """Return a stream: pieces of a partial result that watchers get as they are written.

        .. code-block:: python

            with self.stream("answer") as out:
                for word in model.answer(question):
                    out.write(word)

        ``write(text)`` sends a piece of text, ``send(value)`` any other value, ``close()`` or the
        end of the block closes it, and so does the end of the run. A run may have several streams;
        those of one name are the same one.

        Args:
            name: Its name, cut to 100 bytes.
        """
        return open_stream(self._reporting_tracker(), name)


def stream(name: Any) -> Stream:
    """Return a stream of the current task or operation; outside of one it sends nothing.

    See :meth:`celery_wsprogress.StreamingTask.stream`.
    """
    return open_stream(tracker_in_context("stream"), name)
