"""Counting in a real browser: nothing before somebody agrees, the same page without, and each report once."""

from __future__ import annotations

import json
import shutil
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from edgeship.bundle.bundle import open_bundle
from edgeship.client import rules
from edgeship.demo import channel_site, page_settings
from edgeship.demo import site as demo
from edgeship.errors import InputError
from edgeship.monitoring.profile.profile import read_profile
from edgeship.monitoring.reports.bins import check_bins
from edgeship.monitoring.reports.read import read_report
from edgeship.monitoring.reports.windows import find_window
from edgeship.storage import digest
from tests.monitoring.golden_profile import add_profile
from tests.web_demo.conftest import Stoppable

TESTED = "#download:not([hidden])"
ASKED = "#reports:not([hidden])"
# What a page of a channel is called there.
DEVICE = """async () => {
  const [name] = (await caches.keys()).filter((key) => key.startsWith('channel-'));
  return (await (await (await caches.open(name)).match(`/${name}/state`)).json()).device;
}"""
DATABASES = "async () => (await indexedDB.databases()).length"


class Receiver:
    """A server of reports on another origin that answers with `status`, or with nothing where that is None."""

    def __init__(self):
        self.status: int | None = 202
        self.bodies: list[tuple[str, bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self, status):
                self.send_response(status)
                self.send_header("Access-Control-Allow-Origin", "*")
                self.send_header("Access-Control-Allow-Headers", "Content-Type, Idempotency-Key")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_OPTIONS(self):
                self.answer(204)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.bodies.append((self.headers["Idempotency-Key"], body))
                if receiver.status is not None:
                    self.answer(receiver.status)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def receiver():
    opened = Receiver()
    yield opened
    opened.server.shutdown()
    opened.server.server_close()


def profiled(bundle, folder):
    """The bundle with a profile of its goldens."""
    shutil.copytree(bundle, folder)
    add_profile(folder)
    return folder


@pytest.fixture
def served(bundles, built, tmp_path, receiver):
    bundle = open_bundle(profiled(bundles / "pictures", tmp_path / "bundle"))
    source = str(bundles / "pictures.npz")
    demo.write_site(bundle, tmp_path / "site", built, source, f"{receiver.origin}/reports")
    server = Stoppable(tmp_path / "site", reports=page_settings.find_origin(receiver.origin))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.stop()


def opened(context, server):
    page = context.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if "Content Security" in message.text else None)
    page.goto(server.url)
    page.wait_for_selector(TESTED)
    page.wait_for_selector(ASKED)
    return page, faults


def predict(page, times):
    """Choose samples one after the other, and wait for each answer."""
    for number in range(times):
        page.locator("#samples button").nth(number).click()
        page.wait_for_function("() => document.getElementById('status').textContent.startsWith('Prediction')")
        page.evaluate("() => (document.getElementById('status').textContent = '')")


def shown(page):
    page.wait_for_function("() => document.getElementById('reports-preview').textContent.startsWith('{')")
    return json.loads(page.inner_text("#reports-preview"))


def test_nothing_is_kept_or_sent_before_somebody_agrees_and_refusing_costs_nothing(served, receiver, browser):
    with browser() as chromium:
        context = chromium.new_context()
        page, faults = opened(context, served)
        assert receiver.origin.removeprefix("http://") in page.inner_text("#reports-text")
        predict(page, 3)
        page.click("#reports summary")
        assert shown(page)["n"] == 3
        assert page.evaluate(DATABASES) == 0
        page.click("#reports-no")
        assert "Nothing" in page.inner_text("#reports-text")
        answer = page.inner_text("#prediction")
        predict(page, 1)
        assert page.inner_text("#prediction") != answer
        assert page.inner_text("#reports-preview") == "Nothing."
        page.reload()
        page.wait_for_selector(ASKED)
        assert "Nothing" in page.inner_text("#reports-text")
        predict(page, 1)
        assert page.evaluate(DATABASES) == 0
        assert receiver.bodies == [] and faults == []


@pytest.mark.more
def test_who_agrees_sends_each_count_once(served, receiver, browser, tmp_path):
    with browser() as chromium:
        context = chromium.new_context()
        page, faults = opened(context, served)
        predict(page, 2)
        page.click("#reports-yes")
        page.click("#reports-right")
        other, other_faults = opened(context, served)  # another tab
        predict(other, 3)
        other.click("#reports-wrong")
        other.click("#reports-send")
        other.wait_for_selector("text=1 report sent.")
        predict(page, 2)
        receiver.status = None  # as without a network
        page.click("#reports-send")
        page.wait_for_selector("text=1 report kept until it can be reached.")
        page.reload()
        page.wait_for_selector(ASKED)
        receiver.status = 202
        page.click("#reports-send")
        page.wait_for_selector("text=1 report sent.")
        # A week later nobody need press anything.
        predict(page, 4)
        forget_note(page)
        page.clock.set_fixed_time(datetime.now(UTC) + timedelta(days=8))
        page.evaluate("() => dispatchEvent(new Event('online'))")
        page.wait_for_selector("text=1 report sent.")
        assert faults == other_faults == []
    check_received(receiver, tmp_path / "bundle")


@pytest.mark.more
def test_the_page_of_a_channel_counts_by_the_profile_of_its_version(bundles, built, receiver, browser, tmp_path):
    from tests.web_demo.channel_page import ChannelPage, look  # needs tuf
    from tests.web_demo.channels import CHANNEL, NAME, ChannelFolder

    bundle, channel = (
        open_bundle(profiled(bundles / "pictures", tmp_path / "bundle")),
        ChannelFolder(tmp_path / "channel"),
    )
    start = partial(Stoppable, reports=receiver.origin)
    served = ChannelPage(channel, bundle, tmp_path / "site", start)
    url = f"{receiver.origin}/reports"
    channel_site.write_channel_site(
        channel.folder, f"{NAME}/{CHANNEL}", tmp_path / "site", built, copy=False, reports=url
    )
    with browser() as chromium:
        page, faults = opened(chromium.new_context(), served.server)
        predict(page, 3)
        page.click("#reports-yes")
        page.click("#reports-send")
        page.wait_for_selector("text=1 report sent.")
        device = page.evaluate(DEVICE)
        experiments = [find_experiment(device, arm) for arm in ("a", "b", None)]
        for experiment in experiments:
            channel.publish(experiment=experiment)
            look(page)
            predict(page, 2)
            forget_note(page)
            page.click("#reports-send")
            page.wait_for_selector("text=1 report sent.")
        assert faults == []
    served.server.stop()
    report, *later = (read_report(body) for _, body in receiver.bodies)
    profile = read_profile(tmp_path / "bundle")
    assert profile is not None
    check_bins(report, profile)
    assert [item.n for item in later] == [2, 2, 2]
    assert [item.arms for item in (report, *later)] == [{}, {"exp-a": "a"}, {"exp-b": "b"}, {}]
    assert (report.n, report.bundle, report.profile) == (3, None, digest.of_path(tmp_path / "bundle" / "profile.json"))


def forget_note(page):
    """So that what it says is of what comes next."""
    page.evaluate("() => (document.getElementById('reports-note').textContent = '')")


def find_experiment(device, arm):
    """An experiment by whose salt Python puts a device into that arm; None: outside, as half of all devices are."""
    arms = (rules.Arm("a", 1, 1), rules.Arm("b", 1, 1))
    for number in range(1000):
        experiment = rules.Experiment(f"exp-{arm or 'none'}", f"salt {number}", 50.0, arms)
        chosen = rules.choose_arm(rules.Channel("pots", "stable", 1, None, 100.0, "s", experiment=experiment), device)
        if (chosen.name if chosen else None) == arm:
            return experiment
    raise AssertionError(f"no salt of a thousand leads to {arm}")


def check_received(receiver, bundle):
    """What the server got: forms, digests, counts, and the copy of what it had not answered."""
    tab, retried, again, later = receiver.bodies
    assert retried == again
    reports = [read_report(body) for _, body in (tab, retried, later)]
    profile = read_profile(bundle)
    assert profile is not None
    for (key, _), report in zip((tab, retried, later), reports, strict=True):
        assert key == report.key
        check_bins(report, profile)
        assert report.bundle == digest.of_path(bundle / "manifest.json")
        assert report.profile == digest.of_path(bundle / "profile.json")
        assert sum(report.latency[1::2]) == report.n
    assert sum(report.n for report in reports[:2]) == 2 + 3 + 2
    outcomes = {name for report in reports for name in report.outcomes}
    assert outcomes == {"accepted", "corrected"}
    assert (reports[2].n, reports[2].window) == (4, find_window(datetime.now(UTC).date()))
    assert len({report.install for report in reports}) == 1
    assert [report.sequence for report in reports] == [0, 1, 2]


@pytest.mark.parametrize(
    "url",
    ["models.example.com", "ftp://a/b", "https://a'; script-src *", "https://u:p@a/", "https://a:0/", "javascript:x"],
)
def test_what_is_no_address_is_refused_in_a_sentence(url, tmp_path, bundles, built):
    bundle = open_bundle(profiled(bundles / "pictures", tmp_path / "bundle"))
    with pytest.raises(InputError, match="is no address, as https"):
        demo.write_site(bundle, tmp_path / "site", built, None, url)


def test_a_bundle_without_a_profile_cannot_be_counted(bundles, built, tmp_path):
    with pytest.raises(InputError, match=r"has no profile\.json"):
        demo.write_site(open_bundle(bundles / "pictures"), tmp_path / "site", built, None, "https://a/b")
