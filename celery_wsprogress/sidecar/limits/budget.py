"""A budget of processor time: a token bucket, in measured seconds.

Every client may use a share of one processor for its input, and a burst more at once. What it has
used beyond that, it waits for. Measured time bounds everything that a client can send, whatever it
costs: frames, pings, commands, errors, tokens.

Pure: ``now`` is seconds of the monotonic clock.
"""

from __future__ import annotations


class Budget:
    """The processor time that a connection or an address may use.

    Args:
        share: Seconds of processor time for each second, above 0.
        burst: Seconds of processor time that may be used at once.
    """

    __slots__ = ("_at", "_burst", "_share", "_used")

    def __init__(self, share: float, burst: float) -> None:
        self._share = share
        self._burst = burst
        self._used = 0.0
        self._at = 0.0

    def charge(self, seconds: float, now: float) -> None:
        """Use some of it."""
        self._used = self.used(now) + seconds
        self._at = now

    def used(self, now: float) -> float:
        """Return the seconds that were used and have not come back yet."""
        return max(0.0, self._used - (now - self._at) * self._share)

    def delay(self, now: float) -> float:
        """Return the seconds after which there is some left; 0 if there is."""
        return max(0.0, (self.used(now) - self._burst) / self._share)
