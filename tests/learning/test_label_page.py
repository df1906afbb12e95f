"""The page for labelling, in a real browser and by keyboard."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from edgeship import api
from edgeship.runtimes.browser import requirements
from tests.learning import small_world

CLASSES = ("left", "right", "top", "bottom", *(f"kind {number}" for number in range(5, 12)))


@pytest.fixture
def page(missing):
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = requirements.find_chromium()
    if path is None:
        missing("Chromium is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser.new_page()
        browser.close()


def samples_of(tmp_path, arrays):
    """A folder of samples, one for each array."""
    folder = tmp_path / "samples"
    folder.mkdir()
    for number, array in enumerate(arrays):
        np.savez(folder / f"s{number}.npz", x=array)
    (folder / "samples.csv").write_text("sample\n" + "".join(f"s{number}\n" for number in range(len(arrays))))
    return folder


def test_keys_label_and_take_back(page, tmp_path):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    pictures, _ = small_world.draw(3, 1)
    folder = samples_of(tmp_path, [picture[None] for picture in pictures])
    out = tmp_path / "labels.csv"
    table = folder / "samples.csv"
    with api.open_labelling(folder, table, out=out, classes=CLASSES, annotator="anna", port=0) as server:
        server.start()
        page.goto(server.url)
        shown = page.locator("#views")
        page.wait_for_selector("#views img")
        assert page.locator("#views img").evaluate("image => image.naturalWidth") >= 200
        page.keyboard.press("3")
        page.wait_for_selector("#views[data-sample=s1]")
        page.keyboard.press("b")  # the eleventh
        page.wait_for_selector("#views[data-sample=s2]")
        page.keyboard.press("u")
        page.wait_for_selector("#views[data-sample=s1]")
        page.keyboard.press("s")
        page.wait_for_selector("#views[data-sample=s2]")
        page.get_by_role("button", name="left").click()
        page.wait_for_selector("#views[data-sample=s1]")
        page.keyboard.press("u")
        page.wait_for_selector("#views[data-sample=s2]")
        page.keyboard.press("1")
        page.wait_for_selector("#views[data-sample=s1]")
        page.keyboard.press("2")
        page.locator("#progress", has_text="all done").wait_for()
        assert page.title() == "3 of 3 labelled"
        assert "all done" in page.locator("#progress").inner_text() and shown.inner_text() == ""
        server.stop()
    with out.open(newline="") as file:
        assert {row["sample"]: row["label"] for row in csv.DictReader(file)} == {
            "s0": "top",
            "s2": "left",
            "s1": "right",
        }
    assert errors == []


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.sin(np.arange(300, dtype=np.float32))[:, None] * [1, 2], "svg polyline"),
        (np.arange(5, dtype=np.float32), "td"),
    ],
)
def test_curves_and_rows_are_shown(page, tmp_path, array, what):
    folder = samples_of(tmp_path, [array.astype(np.float32)[None]])
    with api.open_labelling(folder, folder / "samples.csv", classes=["a", "b"], port=0) as server:
        server.start()
        page.goto(server.url)
        page.wait_for_selector(f"#views {what}", state="attached")
        assert page.locator(f"#views {what}").count() == (2 if what.startswith("svg") else 5)
        server.stop()
