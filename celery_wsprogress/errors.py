"""Everything this package raises on purpose, sorted by whose fault it is.

.. code-block:: text

    WSProgressError
    ├── ConfigurationError(ValueError)   the operator's: a setting, an option or a token request
    ├── ServerNotStarted(RuntimeError)   the machine's: the in-process server cannot listen
    ├── MalformedBatch                   a writer's: bytes on the broker that are no batch of ours
    ├── BatchVersionUnknown              a newer writer's: a batch format this reader does not know
    ├── CommandError                     a client's: answered on the socket, never fatal
    ├── TokenError                       a client's: a token that does not hold
    └── NoConnection                     a client's: no sidecar there, or it is over for good

What else a network does (a broker that is away, a socket that breaks) is never in this
tree: it is retried where it happens and shown in the log and in ``/readyz``.
"""

from __future__ import annotations


class WSProgressError(Exception):
    """Base of every exception this package raises on purpose."""


class ConfigurationError(WSProgressError, ValueError):
    """A setting holds a value it cannot have.

    The sentence names the setting, the value and what is allowed. It is raised at
    start (``serve``, ``install``), never in the middle of a task.
    """

    def __init__(self, setting: str, value: object, allowed: str) -> None:
        self.setting = setting
        self.value = value
        self.allowed = allowed
        super().__init__(setting, value, allowed)

    def __str__(self) -> str:
        return f"{self.setting} is {self.value!r}, but must be {self.allowed}"


class ServerNotStarted(WSProgressError, RuntimeError):
    """The in-process server could not be started; the sentence says why and what to do."""


class MalformedBatch(WSProgressError):
    """Bytes from the broker that are not a batch of events; counted and dropped."""


class BatchVersionUnknown(WSProgressError):
    """A batch written by another version of this package; counted, logged once, dropped."""

    def __init__(self, version: object) -> None:
        self.version = version
        super().__init__(version)

    def __str__(self) -> str:
        return f"batch format {self.version!r} is not known to this version"


class CommandError(WSProgressError):
    """A client's command that cannot be taken; the connection stays open.

    Args:
        code: One word from the protocol (``invalid_json``, ``forbidden``, …).
        sentence: What a person should read.
    """

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        self.sentence = sentence
        super().__init__(code, sentence)

    def __str__(self) -> str:
        return self.sentence


class TokenError(WSProgressError):
    """A token that is malformed, expired or signed with another key.

    The sentence never contains the token.
    """


class NoConnection(WSProgressError):
    """A client has no connection to a sidecar and will not get one by waiting.

    Args:
        url: The URL of the sidecar, without a password.
        reason: Why, in words for a person.
        code: The close code, where a connection was ended for good.
        retry_in: Seconds after which the sidecar is there, where it said so itself.
    """

    def __init__(
        self, url: str, reason: str, code: int | None = None, retry_in: float | None = None
    ) -> None:
        self.url = url
        self.reason = reason
        self.code = code
        self.retry_in = retry_in
        super().__init__(url, reason, code, retry_in)

    def __str__(self) -> str:
        if self.code is None:
            return f"Cannot connect to {self.url}: {self.reason}"
        return f"{self.url} closed the connection for good ({self.code}): {self.reason}"
