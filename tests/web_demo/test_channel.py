"""The page of an update channel in a real browser: it switches to versions that are verified and tested, and to no others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edgeship.bundle.bundle import Bundle, open_bundle
from edgeship.demo import channel_site
from tests.web_demo.channels import CHANNEL, NAME, ChannelFolder, bundle_files, shift_answers

FLOAT, W8 = "tfjs/float32", "tfjs/weight_only_w8"
LABELS = ("cup", "jar", "pan", "pot")
TESTED = "#download:not([hidden])"


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


@pytest.fixture
def served(bundles: Path, built: Path, stoppable: type, tmp_path: Path) -> Iterator[ChannelPage]:
    """A channel and its page."""
    channel, site = ChannelFolder(tmp_path / "channel"), tmp_path / "site"
    page = ChannelPage(channel, open_bundle(bundles / "pictures"), site, stoppable)
    channel_site.write_channel_site(channel.folder, f"{NAME}/{CHANNEL}", site, built, copy=False)
    yield page
    page.server.stop()


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


def test_a_page_goes_from_v1_to_v2_and_back_offline_in_between_and_never_breaks(served, browser):
    faults: list[str] = []
    with browser() as chromium:
        page = opened(chromium, served, faults)
        assert runs(page, 1, "float32")
        page.wait_for_selector("#offline:has-text('works offline')")
        # A second version arrives while the page is open: it goes on with the first one until it is told to switch.
        served.add_version(2, W8, ("mug", *LABELS[1:]))
        served.channel.publish(version=2, previous=1, salt="pots/stable/2")
        assert look(page) == ""
        assert page.inner_text("#update-text") == "Version 2 of the model is ready."
        assert facts(page)["At the next load"] == "version 2" and "100 % of devices" in facts(page)["Offers"]
        assert runs(page, 1, "float32") and "mug" not in page.inner_text("#card")
        page.select_option("#backend", "cpu")  # reads the files of version 1 again
        page.wait_for_selector("#backend:enabled")
        assert (page.input_value("#backend"), page.get_attribute("#badge", "data-state")) == ("cpu", "pass")
        # Without a network the next load has it, whole.
        served.server.stop()
        page.reload()
        assert runs(page, 2, "weight_only_w8") and "mug" in page.inner_text("#card")
        assert "cannot be reached" in look(page)
        # It is withdrawn, and left at once; version 1 is still here and is not downloaded again.
        served.channel.publish(version=1, previous=None, withdrawn=(2,))
        served.serve()
        page.click("#look")
        assert runs(page, 1, "float32")
        assert not [path for path, _ in served.server.log if "/files/" in path]
        # A version that fails its self-test is not taken, now or later.
        served.add_version(3, W8, wrong=True)
        served.channel.publish(version=3, previous=1, salt="pots/stable/3")
        assert look(page) == "Version 3 failed its self-test in this browser, and is not taken."
        assert facts(page)["Failed their self-test here"] == "3" and page.locator("#update").is_hidden()
        page.reload()
        assert runs(page, 1, "float32") and look(page) == ""
    assert faults == []
