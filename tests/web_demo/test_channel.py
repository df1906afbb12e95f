"""The page of an update channel in a real browser: it switches to versions that are verified and tested, and to no others."""

from __future__ import annotations

import random

import pytest

from tests.web_demo.channel_page import FLOAT, FORGET, LABELS, TESTED, W8, facts, look, opened, runs
from tests.web_demo.channels import NAME

VERSIONS = """async () => {
  const [name] = (await caches.keys()).filter((key) => key.startsWith('channel-'));
  return Object.keys((await (await (await caches.open(name)).match(`/${name}/state`)).json()).versions);
}"""


def test_a_page_goes_from_v1_to_v2_and_back_offline_in_between_and_never_breaks(channel_page, browser):
    served = channel_page
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
        said = look(page)
        assert said == "Version 3 failed its self-test in this browser, and is not taken. Version 1 stays in use."
        assert facts(page)["Failed their self-test here"] == "3" and page.locator("#update").is_hidden()
        page.reload()
        assert runs(page, 1, "float32") and look(page) == ""
    assert faults == []


@pytest.mark.more
def test_files_of_a_version_stay_while_a_page_shows_it_and_lost_ones_come_again(channel_page, browser):
    served = channel_page
    faults: list[str] = []
    with browser() as chromium:
        first = opened(chromium, served, faults)
        assert runs(first, 1, "float32")
        served.add_version(2, W8)
        served.channel.publish(version=2, previous=1, salt="pots/stable/2")
        assert look(first) == ""
        second = first.context.new_page()
        second.goto(served.server.url)
        assert runs(second, 2, "weight_only_w8")
        served.add_version(3, FLOAT, ("mug", *LABELS[1:]))
        served.channel.publish(version=3, previous=2, salt="pots/stable/3")
        assert look(second) == ""
        assert second.evaluate(VERSIONS) == ["1", "2", "3"]
        first.select_option("#backend", "cpu")
        first.wait_for_selector("#backend:enabled")
        assert (first.input_value("#backend"), first.get_attribute("#badge", "data-state")) == ("cpu", "pass")
        first.close()
        assert look(second) == ""
        assert second.evaluate(VERSIONS) == ["2", "3"]
        # The browser makes room: the version before is whole, and the newer one comes again.
        second.evaluate(FORGET, served.bundle.manifest.files["tfjs/float32/group1-shard1of1.bin"])
        second.reload()
        assert runs(second, 2, "weight_only_w8")
        second.wait_for_selector("#update-text:has-text('Version 3')")
        second.click("#reload")
        assert runs(second, 3, "float32") and "mug" in second.inner_text("#card")
    assert faults == []


@pytest.mark.more
def test_a_version_that_fails_at_home_is_left_and_another_browser_judges_anew(channel_page, browser):
    served = channel_page
    faults: list[str] = []
    with browser() as chromium:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(served.server.url)
        assert runs(page, 1, "float32")
        page.wait_for_selector("#offline:has-text('works offline')")
        page.add_init_script("Math.fround = (value) => value + 1")  # stands for a browser that got arithmetic wrong
        page.reload()
        page.wait_for_selector("#alert:has-text('fails its self-test here')")
        assert page.get_attribute("#badge", "data-state") == "fail"
        assert (
            page.inner_text("#channel-facts dd:nth-of-type(1)") == "1"
            and facts(page)["Failed their self-test here"] == "1"
        )
        other = context.new_page()  # the same browser without the fault, still of the same name: what failed has failed
        other.goto(served.server.url)
        other.wait_for_selector("#alert:has-text('no version for this device')")
        context.new_cdp_session(other).send("Network.setUserAgentOverride", {"userAgent": "Another/1.0"})
        other.reload()
        assert runs(other, 1, "float32")
    assert faults == []


@pytest.mark.more
def test_with_a_share_of_devices_each_page_stays_in_its_bucket(channel_page, browser):
    served = channel_page
    faults: list[str] = []
    with browser() as chromium:
        page = opened(chromium, served, faults)
        assert runs(page, 1, "float32")
        served.add_version(2, W8)
        served.channel.publish(version=2, previous=1, salt="pots/stable/2", percent=0.0)
        assert look(page) == "" and page.locator("#update").is_hidden()
        place = int(facts(page)["Bucket of this device"].split()[0])
        served.channel.publish(percent=place / 100)
        assert look(page) == "" and page.locator("#update").is_hidden(), "in from 0 on to what is below the percentage"
        served.channel.publish(percent=(place + 1) / 100)
        assert look(page) == "" and "Version 2" in page.inner_text("#update")
        assert facts(page)["Bucket of this device"] == f"{place} of 10000"
        served.channel.publish(paused=True)
        page.click("#reload")
        assert runs(page, 2, "weight_only_w8"), "who has it keeps it"
        assert "paused" in facts(page)["Offers"]
    assert faults == []


@pytest.mark.more
def test_a_full_disk_leaves_what_runs(channel_page, browser):
    served = channel_page
    faults: list[str] = []
    with browser() as chromium:
        page = opened(chromium, served, faults)
        assert runs(page, 1, "float32")
        quota = page.context.new_cdp_session(page)
        origin = served.server.url.rstrip("/")
        quota.send("Storage.overrideQuotaForOrigin", {"origin": origin, "quotaSize": 1000})
        served.add_version(2, W8)
        served.channel.publish(version=2, previous=1, salt="pots/stable/2")
        said = look(page)
        assert "quota" in said.lower() and said.endswith("Version 1 stays in use."), said
        page.reload()
        assert runs(page, 1, "float32")
        quota.send("Storage.overrideQuotaForOrigin", {"origin": origin})
        assert look(page) == ""
        page.click("#reload")
        assert runs(page, 2, "weight_only_w8")
    assert faults == []


@pytest.mark.more
def test_a_page_that_is_closed_anywhere_in_an_update_opens_whole_again(channel_page, browser):
    served, draw = channel_page, random.Random(5)
    faults: list[str] = []
    with browser() as chromium:
        page = opened(chromium, served, faults)
        assert runs(page, 1, "float32")
        for number in range(2, 16):
            served.add_version(number, W8 if number % 2 else FLOAT, (f"cup {number}", *LABELS[1:]))
            served.channel.publish(version=number, previous=number - 1, salt=f"pots/stable/{number}")
            page.click("#look")
            page.wait_for_timeout(draw.uniform(0, 400))
            page.close()
            page = page.context.new_page()
            page.goto(served.server.url)
            page.wait_for_selector(TESTED)
            assert page.get_attribute("#badge", "data-state") == "pass"
            page.wait_for_selector("#channel-facts dd")
            shown = int(page.inner_text("#channel-facts dd:nth-of-type(1)"))
            assert shown in (number - 1, number) and (shown == 1 or f"cup {shown}" in page.inner_text("#card"))
            if shown != number:
                # The first look has ended by now, as it wrote the facts.
                assert page.locator("#update").is_visible(), page.inner_text("#updates")
                page.click("#reload")
                assert runs(page, number, "float32" if number % 2 == 0 else "weight_only_w8")
    assert faults == []


@pytest.mark.more
def test_what_is_withdrawn_is_left_even_where_nothing_else_can_be_had(channel_page, browser):
    served, channel = channel_page, channel_page.channel
    faults: list[str] = []
    with browser() as chromium:
        served.add_version(2, W8)
        channel.publish(version=2, previous=1, salt="pots/stable/2")
        page = opened(chromium, served, faults)
        assert runs(page, 2, "weight_only_w8")
        channel.publish(version=1, previous=None, withdrawn=(2,))
        (lost,) = (channel.folder / "targets" / NAME / "1").iterdir()
        lost.rename(channel.folder / "lost")
        assert "404" in look(page)
        assert "was withdrawn" in page.inner_text("#alert") and page.get_attribute("#badge", "data-state") == "fail"
        (channel.folder / "lost").rename(lost)
        assert look(page) == "" and page.inner_text("#update-text") == "Version 1 of the model is ready."
        page.click("#reload")
        assert runs(page, 1, "float32")
    assert faults == []
