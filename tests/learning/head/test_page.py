"""Teaching in a real browser: the page learns what Python learns, loads nothing before, works offline, and undoes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgeship.bundle.bundle import open_bundle
from edgeship.client.learning import HeadLearner
from edgeship.demo import site as demo
from tests.learning.head.conftest import Made, run
from tests.learning.head.head_models import draw
from tests.web_demo.conftest import Site, browser, built  # noqa: F401  # fixtures

TESTED = "#download:not([hidden])"
OPENED = "#teach-tools:not([hidden])"
SAMPLES = 12
# What the page keeps in IndexedDB: the head, and the corrected samples' features.
LEARNED = """async () => {
  const opened = await new Promise((resolve, reject) => {
    const opening = indexedDB.open('edgeship-learning');
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
  const kept = await new Promise((resolve) => {
    const asked = opened.transaction('learned').objectStore('learned').getAll();
    asked.onsuccess = () => resolve(asked.result);
  });
  opened.close();
  return kept.map(({head, samples: {count}}) => ({weights: head && [...head.weights], bias: head && [...head.bias], count}));
}"""


@pytest.fixture(scope="module")
def page_bundle(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that learns with what a page runs."""
    out = tmp_path_factory.mktemp("page") / "bundle"
    arguments = ("--out", str(out), "--head-step", "--to", "onnx,tfjs", "--variant", "float32")
    done = run("convert", "pictures.keras", *arguments, cwd=made.task, cache=made.root / "cache")
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def served(page_bundle: Path, built: Path, tmp_path: Path) -> Iterator[Site]:  # noqa: F811
    """The page with pictures of the other camera to choose from."""
    np.savez(tmp_path / "moved.npz", **draw(SAMPLES, 8, moved=True))
    bundle = open_bundle(page_bundle)
    demo.write_site(bundle, tmp_path / "site", built, str(tmp_path / "moved.npz"))
    site = Site(tmp_path / "site", built, bundle)
    yield site
    site.server.stop()


def open_page(context, served):
    page = context.new_page()
    page.goto(served.server.url)
    page.wait_for_selector(TESTED)
    page.wait_for_selector("#teach:not([hidden])")
    return page


def start_teaching(page):
    """What that loads is compressed by the server the first time."""
    page.click("#teach-open")
    page.wait_for_selector(OPENED, timeout=300_000)


def wait_for(page, place, text):
    """Until what stands there matches; the page's policy forbids predicates in text."""
    page.locator(place, has_text=re.compile(text)).wait_for()


def find_samples(page):
    """The buttons of the pictures of the other camera."""
    return page.locator("#samples [role=group][aria-label*=moved] button")


def correct(page, count, first=0):
    """Say of the first samples what their labels say."""
    row = find_samples(page)
    for index in range(first, count):
        row.nth(index).click()
        page.select_option("#teach-label", str(index % 4))
        page.click("#teach-correct")
        wait_for(page, "#teach-count", rf"^{index + 1} ")


def learn(page):
    page.click("#teach-learn")
    wait_for(page, "#teach-note", "learned|stays")


def test_the_page_learns_what_python_learns(page_bundle: Path, served, browser, tmp_path: Path):  # noqa: F811
    with browser() as chromium:
        page = open_page(chromium.new_context(), served)
        fetched = page.evaluate("performance.getEntriesByType('resource').map(({name}) => name)")
        assert not [name for name in fetched if "/ort/" in name or "learner" in name or "base-float32" in name]
        start_teaching(page)
        correct(page, 1)
        assert page.is_disabled("#teach-learn")  # of one class nothing is learned
        correct(page, SAMPLES, first=1)
        learn(page)
        assert "100 steps" in page.inner_text("#teach-note")
        kept = page.evaluate(LEARNED)[0]
    learner = HeadLearner(page_bundle / "learning", tmp_path / "state", "onnx/float32")
    data = draw(SAMPLES, 8, moved=True)
    learner.collect({"image": data["image"].astype(np.float32)}, data["y"])
    result = learner.learn()
    assert (result.kept, result.steps, kept["count"]) == (True, 100, SAMPLES)
    head = learner.head
    assert abs(np.reshape(kept["weights"], head.weights.shape) - head.weights).max() < 1e-4
    assert abs(np.array(kept["bias"]) - head.bias).max() < 1e-4
    assert abs(head.weights - learner.package.head.weights).max() > 1e-3  # it did learn


def test_what_was_learned_answers_offline_and_is_undone(served, browser):  # noqa: F811
    with browser() as chromium:
        context = chromium.new_context()
        page = open_page(context, served)
        wait_for(page, "#offline", "^It also works")
        page.reload()  # from now on the service worker sees each request
        page.wait_for_selector(TESTED)
        start_teaching(page)
        correct(page, SAMPLES)
        shipped = page.inner_text("#prediction tbody")
        learn(page)
        page.wait_for_selector("#learned:not([hidden])")
        learned = page.inner_text("#prediction tbody")
        served.server.stop()
        page.reload()
        page.wait_for_selector(TESTED)
        start_teaching(page)
        assert "learned here before" in page.inner_text("#teach-note")
        find_samples(page).nth(SAMPLES - 1).click()
        page.wait_for_selector("#learned:not([hidden])")
        assert page.inner_text("#prediction tbody") == learned
        page.click("#teach-forget")
        page.wait_for_selector("#learned", state="hidden")
        assert page.inner_text("#prediction tbody") == shipped
        assert page.evaluate(LEARNED) == []
