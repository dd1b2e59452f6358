"""The limit on the lines of a run: a token bucket.

Each line takes a token. So many tokens come back each second, up to a burst. When there is none
left, the bucket stays closed until a second's worth of them is back. So a flood that goes on leaves
one gap a second, and not one after each line.

Pure: ``now`` is seconds of the monotonic clock.
"""

from __future__ import annotations


class TokenBucket:
    """A bucket of tokens, full at first.

    Threads may share it without a lock: the worst that comes of it is a line more or less.

    Args:
        rate: Tokens that come back each second, above 0.
        burst: The most tokens that it holds, at least 1.
        now: The current time.
    """

    __slots__ = ("_at", "_burst", "_closed", "_rate", "_reopens_with", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._reopens_with = min(burst, max(1.0, rate))
        self._tokens = burst
        self._at = now
        self._closed = False

    def take(self, now: float) -> bool:
        """Take a token; False if there is none, or the bucket is closed."""
        tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._closed:
            self._closed = tokens < self._reopens_with
        elif tokens < 1.0:
            self._closed = True
        self._tokens = tokens if self._closed else tokens - 1.0
        return not self._closed
