"""Web pages of the tests: a server for them, and a page that can be frozen.

The server is another origin than the sidecar's, as a site's own server is.
"""

from __future__ import annotations

import functools
import json
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import TYPE_CHECKING, Any

from support.conditions import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """Serve a folder; gives the address of its root."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class RawPage:
    """A page in a context of its own, which Chromium treats as it treats everybody's.

    Playwright keeps each page it knows visible, and a visible page is never frozen. This one is
    made by the browser's own debugging protocol, and Playwright only carries the messages.
    """

    def __init__(self, browser: Browser) -> None:
        self._devtools = browser.new_browser_cdp_session()
        self._numbers, self._answers = count(1), dict[int, Any]()
        self._context = self._send("Target.createBrowserContext")["browserContextId"]
        where = {"url": "about:blank", "browserContextId": self._context}
        target = self._send("Target.createTarget", **where)["targetId"]
        attached = self._send("Target.attachToTarget", targetId=target, flatten=False)
        self._session = attached["sessionId"]
        self._devtools.on("Target.receivedMessageFromTarget", self._receive)

    def goto(self, url: str) -> None:
        """Load an address."""
        self._ask("Page.navigate", url=url)
        eventually(lambda: self.evaluate("document.readyState") == "complete")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, which may be asked for while the page is frozen."""
        found = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    def freeze(self) -> None:
        """Hide it and let nothing of it run."""
        self._ask("Page.setWebLifecycleState", state="frozen")

    def thaw(self) -> None:
        """Let it run again."""
        self._ask("Page.setWebLifecycleState", state="active")

    def close(self) -> None:
        """Close it."""
        self._send("Target.disposeBrowserContext", browserContextId=self._context)
        self._devtools.detach()

    def _send(self, method: str, **parameters: Any) -> Any:
        return self._devtools.send(method, parameters)

    def _ask(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        message = json.dumps({"id": number, "method": method, "params": parameters})
        self._send("Target.sendMessageToTarget", sessionId=self._session, message=message)
        # Playwright hands out what has come while it waits for something else.
        eventually(lambda: self._send("Browser.getVersion") and number in self._answers)
        return self._answers.pop(number)["result"]

    def _receive(self, event: dict[str, Any]) -> None:
        message = json.loads(event["message"])
        if "id" in message:
            self._answers[message["id"]] = message
