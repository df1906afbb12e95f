"""The page of an update channel in a real browser: it switches to versions that are verified and tested, and to no others."""

from __future__ import annotations

from tests.web_demo.channel_page import LABELS, W8, facts, look, opened, runs


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
        assert look(page) == "Version 3 failed its self-test in this browser, and is not taken."
        assert facts(page)["Failed their self-test here"] == "3" and page.locator("#update").is_hidden()
        page.reload()
        assert runs(page, 1, "float32") and look(page) == ""
    assert faults == []
