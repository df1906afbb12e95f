"""The real page of the channel in one Chromium tab: it fetches, verifies, tests itself, runs, reports, and switches versions."""

from __future__ import annotations

import base64
import socket
import uuid
from itertools import count
from pathlib import Path
from typing import Any

from edgeship.client.rules import bucket
from edgeship.errors import MissingDependencyError
from scripts.lifecycle.loop.record import MissingPartError, Picture, Station
from scripts.lifecycle.loop.shipping import PERCENT, SALT
from scripts.lifecycle.loop.world import CHANNEL, World

TESTED = "#download:not([hidden])"
FACTS = "#channel-facts dd"
SAMPLES = 5
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage"]
PATIENCE = 180.0  # seconds for a step of the page: models are made beside it, perhaps on a machine that has other work
# What the page keeps of a channel is one entry of a cache; its random name of the device decides on the bucket.
RENAME = """async (device) => {
  const [name] = (await caches.keys()).filter((key) => key.startsWith('channel-'));
  const cache = await caches.open(name), state = await (await cache.match(`/${name}/state`)).json();
  await cache.put(`/${name}/state`, new Response(JSON.stringify({...state, device})));
}"""


class BrowserTab:
    """One tab of a real Chromium. `faults`: what went wrong in its scripts."""

    def __init__(self, page: Any, folder: Path) -> None:
        self.page, self._folder = page, folder
        self.faults: list[str] = []
        page.set_default_timeout(1000 * PATIENCE)
        page.on("pageerror", lambda error: self.faults.append(str(error)))

    def read_facts(self) -> dict[str, str]:
        """What the page says of its channel."""
        terms, details = (self.page.locator(f"#channel-facts {kind}").all_inner_texts() for kind in ("dt", "dd"))
        return dict(zip(terms, details, strict=True))

    def show(self, caption: str) -> Picture:
        """The tab as it looks now."""
        self.page.evaluate("() => scrollTo(0, 0)")
        content = base64.b64encode(self.page.screenshot(type="jpeg", quality=60)).decode()
        return Picture(caption, f'<img class="page" src="data:image/jpeg;base64,{content}" alt="the page in Chromium">')

    def check_version(self, station: Station, version: int) -> None:
        """The page runs that version, tested and predicting."""
        self.page.wait_for_selector(TESTED)
        self.page.wait_for_selector(f"{FACTS}:nth-of-type(1):text-is('{version}')")
        badge = self.page.get_attribute("#badge", "data-state")
        station.check(badge == "pass", f"the page verified version {version}, and passed its self-test in Chromium")
        for number in range(SAMPLES):
            self.page.locator("#samples button").nth(number).click()
            self.page.wait_for_function("() => document.getElementById('status').textContent.startsWith('Prediction')")
            self.page.evaluate("() => (document.getElementById('status').textContent = '')")

    def switch(self, station: Station, version: int) -> None:
        """Look at the channel, and reload into the version that it offers."""
        self.page.click("#look")
        self.page.wait_for_selector(f"#update-text:has-text('Version {version}')")
        self.page.click("#reload")
        self.check_version(station, version)
        station.check(not self.faults, "no script of the page failed")


def find_free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def open_tab(world: World, port: int) -> None:
    """The station: another device of twenty gets nothing yet; a tester's fetches, verifies, tests, runs and reports."""
    with world.recorder.run_station("page") as station:
        path = find_browser()
        from playwright.sync_api import sync_playwright

        words = ("demo", "--channel", "channel", "--name", CHANNEL, "--reports", f"{world.collector}/reports")
        served = world.stack.enter_context(world.calendar.start(*words, "--port", port))
        url = served.read_line().removeprefix("demo: ").split()[0]
        playwright = world.stack.enter_context(sync_playwright())
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        world.stack.callback(chromium.close)
        station.evidence["Chromium"] = chromium.version
        tab = BrowserTab(chromium.new_context(viewport={"width": 1000, "height": 900}).new_page(), world.folder)
        tab.page.goto(url)
        enter_as_tester(tab, station)
        tab.check_version(station, 1)
        tab.page.click("#reports-yes")
        tab.page.click("#reports-right")
        tab.page.click("#reports-send")
        tab.page.wait_for_selector("text=1 report sent.")
        station.check(not tab.faults, "its user agreed, and it sent one report; no script of the page failed")
        station.pictures.append(tab.show("The page in Chromium, with version 1 of the channel."))
        world.tab = tab


def enter_as_tester(tab: BrowserTab, station: Station) -> None:
    """A browser falls where it falls; then it takes the name of a device among the first percents, as a tester may."""
    tab.page.wait_for_selector(f"{TESTED}, #alert:has-text('no version for this device')")
    tab.page.wait_for_selector(FACTS, state="attached")
    place = int(tab.read_facts()["Bucket of this device"].split()[0])
    station.evidence["bucket that the browser drew"] = place
    if place >= 100 * PERCENT:
        station.check(tab.page.locator("#alert").is_visible(), f"its bucket is {place} of 10,000: nothing for it yet")
        names = (str(uuid.uuid5(uuid.NAMESPACE_URL, f"tester-{number}")) for number in count())
        name = next(name for name in names if bucket(SALT, name) < 100 * PERCENT)
        tab.page.evaluate(RENAME, name)
        tab.page.reload()
        tab.page.wait_for_selector(TESTED)
        tab.page.wait_for_selector(f"{FACTS}:has-text('of 10000')")
        found = int(tab.read_facts()["Bucket of this device"].split()[0])
        station.evidence["bucket of the tester's device"] = found
        station.check(found == bucket(SALT, name), f"with a tester's name its bucket is {found}, as Python computes it")


def find_browser() -> str:
    """Where Chromium is. Raises MissingPartError where it, Playwright or the built page is missing."""
    from edgeship.demo import site
    from edgeship.runtimes import tfjs_node
    from edgeship.runtimes.browser import requirements

    if reason := tfjs_node.unavailable_reason():
        raise MissingPartError(f"there is no model for pages, as TF.js cannot be run here: {reason}")
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError as error:
        raise MissingPartError("Playwright is not installed: pip install 'edgeship[browser]'") from error
    path = requirements.find_chromium()
    if path is None:
        raise MissingPartError("Chromium is not installed (Debian: apt install chromium), and the page needs a browser")
    try:
        site.built_page()
    except MissingDependencyError as error:
        raise MissingPartError(str(error)) from error
    return path
