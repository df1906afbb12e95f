"""Chromium with the runner page in it, driven over the DevTools protocol by Playwright."""

from __future__ import annotations

import contextlib
import io
import os
import queue
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Error, sync_playwright

from edgeship import errors
from edgeship.processes import wire
from edgeship.runtimes.browser import requirements
from edgeship.runtimes.browser.server import COOKIE, Server
from edgeship.runtimes.worker.request_loop import Answer

FLAGS = (
    "--disable-dev-shm-usage",
    # One process, the page's: none in reserve, and none for suggestions below an address bar that nobody sees, which takes
    # 160 MB and a second of computing beside whatever is timed.
    "--disable-features=SpareRendererForSitePerProcess,WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup",
    # Nothing leaves this machine, whatever a library tries.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    # A page in the background would be slowed down, and with it the measurement.
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
)
LOOK_AFTER = 5.0  # seconds
WEBGPU = ("--enable-unsafe-webgpu",)


class Page:
    """The runner page in a Chromium of its own. `call` sends one request and gives its answer."""

    def __init__(self, arguments: Sequence[str], screen: Mapping[str, Any]) -> None:
        self._closing = contextlib.ExitStack()
        self._begun = 0
        self.server = Server(requirements.PAGE)
        self._closing.callback(self.server.close)
        playwright = self._closing.enter_context(sync_playwright())
        try:
            self._browser = playwright.chromium.launch(
                executable_path=requirements.find_chromium(),
                headless=True,
                args=[*FLAGS, *arguments],
                chromium_sandbox=_can_sandbox(),
            )
        except Error as error:
            raise errors.ProcessError(f"Chromium does not start: {_first_lines(error)}") from error
        self._closing.callback(self._browser.close)
        context = self._browser.new_context(**screen)
        cookie = {"name": COOKIE, "value": self.server.token, "url": self.server.url}
        context.add_cookies([{**cookie, "httpOnly": True, "sameSite": "Strict"}])  # type: ignore[typeddict-item]
        self._page = context.new_page()
        self._page.set_default_timeout(0)  # the parent decides how long it waits, and ends us
        self._page.on("console", lambda message: print(message.text[:2000], file=sys.stderr, flush=True))
        self.devtools: CDPSession = self._page.context.new_cdp_session(self._page)
        self.system: CDPSession = self._browser.new_browser_cdp_session()
        try:
            self._page.goto(f"{self.server.url}/")
            self._page.wait_for_function("() => globalThis.edgeship !== undefined")
        except Error as error:
            raise errors.ProcessError(f"the page does not open: {_first_lines(error)}") from error

    @property
    def browser_version(self) -> str:
        """As Chromium tells it over the protocol."""
        return self._browser.version

    def call(self, do: str, feeds: wire.Arrays | None = None, **fields: Any) -> Answer:
        """The page's answer. Raises the error that it answered with, SystemExit where the page has gone."""
        return self.begin(do, feeds, **fields)()

    def begin(self, do: str, feeds: wire.Arrays | None = None, **fields: Any) -> Callable[[], Answer]:
        """As `call`, with the answer taken later: the request is on its way while an earlier one is computed.

        Answers come in the order of the requests, and must be taken in it.
        """
        request = io.BytesIO()
        wire.send(request, {"do": do, **fields}, feeds)
        self.server.requests.put(request.getbuffer())
        self._begun += 1
        return partial(self._read_answer, self._begun)

    def _read_answer(self, count: int) -> Answer:
        self._evaluate_script("count => edgeship.answered(count)", count)
        while True:
            try:
                answer, arrays = self.server.answers.get(timeout=LOOK_AFTER)
                break
            except queue.Empty:
                self._evaluate_script("() => 0")  # still on its way, unless the page has gone
        if "error" in answer:
            raise _error_of_page(answer["error"])
        return answer, arrays

    def _evaluate_script(self, script: str, argument: Any = None) -> None:
        try:
            self._page.evaluate(script, argument)
        except Error as error:
            # Nothing can be asked of this worker any more: it ends, and its log says why.
            print(f"the page is gone: {_first_lines(error)}", file=sys.stderr, flush=True)
            os._exit(3)

    def open_model(self, path: Path) -> str:
        """The model's address for the page."""
        return self.server.open_model(path)

    def close(self) -> None:
        """End Chromium and the server."""
        self._closing.close()


def _error_of_page(error: Mapping[str, str]) -> Exception:
    if error["type"] == errors.ProcessError.__name__:
        return errors.ProcessError(error["message"])
    return RuntimeError(f"{error['type']} in the page: {error['message']}")


def _can_sandbox() -> bool:
    """Chromium refuses its sandbox to root; the page is our own and reaches nothing but this machine."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return not root and "CI" not in os.environ


def _first_lines(error: Error) -> str:
    return errors.brief_message("\n".join(error.message.splitlines()[:4]), 500)
