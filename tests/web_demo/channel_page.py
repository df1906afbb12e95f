"""The page of an update channel for tests: what is served, and what is read off the page."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeship.bundle.bundle import Bundle
from edgeship.demo import channel_site
from tests.web_demo.channels import ChannelFolder, bundle_files, shift_answers

FLOAT, W8 = "tfjs/float32", "tfjs/weight_only_w8"
LABELS = ("cup", "jar", "pan", "pot")
TESTED = "#download:not([hidden])"
# In a page: lose a file of a version, as where the browser makes room.
FORGET = """async (digest) => {
  for (const key of await caches.keys()) await (await caches.open(key)).delete(`/${key}/files/${digest}`);
}"""


@dataclass
class ChannelPage:
    """A channel whose version 1 is the float32 model, its page, and a server of both; `serve` may be called again."""

    channel: ChannelFolder
    bundle: Bundle
    site: Path
    start: Callable[..., Any]
    server: Any = field(init=False)

    def __post_init__(self) -> None:
        self.add_version(1, FLOAT)
        self.channel.publish()
        self.port = 0
        self.serve()

    def serve(self) -> None:
        """Start the server, at the same address as before."""
        mounts = {f"{channel_site.FOLDER}/{part}": self.channel.folder / part for part in channel_site.PARTS}
        self.server = self.start(self.site, port=self.port, mounts=mounts)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add_version(self, number: int, artifact: str, labels: tuple[str, ...] = LABELS, *, wrong: bool = False) -> None:
        """Add a version; a `wrong` one fails its self-test."""
        files = bundle_files(self.bundle, artifact)
        self.channel.add_version(number, shift_answers(files, artifact) if wrong else files, artifact, labels)


def opened(chromium, served, faults):
    """The page, with its model tested; what goes wrong in its scripts is put into `faults`."""
    page = chromium.new_context().new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(served.server.url)
    page.wait_for_selector(TESTED)
    return page


def look(page):
    """Look at the channel, and what the page says of it."""
    page.evaluate("document.getElementById('channel-note').textContent = '…'")
    page.click("#look")
    page.wait_for_selector("#channel-note:not(:text-is('…'))", state="attached")
    return page.inner_text("#channel-note")


def facts(page):
    """What the page says of its channel, by name."""
    terms, details = (page.locator(f"#channel-facts {kind}").all_inner_texts() for kind in ("dt", "dd"))
    return dict(zip(terms, details, strict=True))


def runs(page, version, variant):
    """Whether that version runs: tested, shown, and predicting."""
    page.wait_for_selector(TESTED)
    page.wait_for_selector(f"#channel-facts dd:nth-of-type(1):text-is('{version}')")
    assert page.get_attribute("#badge", "data-state") == "pass"
    page.get_by_role("button", name="Golden 5", exact=True).click()
    page.wait_for_selector("text=The server model gives the same answer.")
    return variant in page.inner_text("#variant")
