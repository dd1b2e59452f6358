"""The exceptions of this package, and who can correct each of them.

.. code-block:: text

    WSProgressError
    ├── ConfigurationError(ValueError)   the operator's: a setting, an option or a token request
    ├── ServerNotStarted(RuntimeError)   the machine's: the in-process server cannot listen
    ├── MalformedBatch                   a writer's: bytes on the broker that are no batch of ours
    ├── BatchVersionUnknown              a newer writer's: a batch format this reader does not know
    ├── CommandError                     a client's: answered on the socket, never fatal
    ├── TokenError                       a client's: a token that is not valid
    │   └── TooManyTokens                … that adds more than a connection may hold
    └── NoConnection                     a client's: no sidecar, or one that refuses it for good

Failures of the network are not in this tree: they are retried where they happen, and shown in the
log and in ``/readyz``.
"""

from __future__ import annotations


class WSProgressError(Exception):
    """Base class of all exceptions of this package."""


class ConfigurationError(WSProgressError, ValueError):
    """A setting has a value that is not allowed.

    The message names the setting, the value and what is allowed. Raised at start (``serve``,
    ``install``), never while a task runs.
    """

    def __init__(self, setting: str, value: object, allowed: str) -> None:
        self.setting = setting
        self.value = value
        self.allowed = allowed
        super().__init__(setting, value, allowed)

    def __str__(self) -> str:
        return f"{self.setting} is {self.value!r}, but must be {self.allowed}"


class ServerNotStarted(WSProgressError, RuntimeError):
    """The in-process server could not be started. The message says why, and what to do."""


class MalformedBatch(WSProgressError):
    """A message on the broker is not a batch of events. Counted and dropped."""


class BatchVersionUnknown(WSProgressError):
    """A batch has an unknown format version. Counted, logged once, and dropped."""

    def __init__(self, version: object) -> None:
        self.version = version
        super().__init__(version)

    def __str__(self) -> str:
        return f"batch format {repr(self.version)[:40]} is not known to this version"


class CommandError(WSProgressError):
    """A client's command is refused. The connection stays open.

    Args:
        code: One of the protocol's error codes (``invalid_json``, ``forbidden``, …).
        sentence: The message for users.
    """

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        self.sentence = sentence
        super().__init__(code, sentence)

    def __str__(self) -> str:
        return self.sentence


class TokenError(WSProgressError):
    """A token is malformed, expired or signed with another key.

    The message never contains the token.
    """

    code = "unauthorized"
    """The protocol's error code."""


class TooManyTokens(TokenError):
    """The tokens of a connection are too many, or too large, for another one to be added."""

    code = "too_many_tokens"


class NoConnection(WSProgressError):
    """A client cannot connect to the sidecar, and retrying would not help.

    Args:
        url: URL of the sidecar, without a password.
        reason: The reason, for users.
        code: The close code, if the sidecar closed the connection for good.
        retry_in: Seconds after which the sidecar expects to be ready, if it said so.
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
