"""The page in a real browser: what it predicts is what Python predicts, with and without a network."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest

from edgeship.bundle.bundle import MANIFEST, Bundle, open_bundle, seal_bundle
from edgeship.demo import site as demo
from edgeship.demo.selftest import read_selftest, with_field_results
from edgeship.storage import digest
from edgeship.types import to_json

W8 = "tfjs/weight_only_w8"
TESTED = "#download:not([hidden])"


def golden(bundle, name):
    with np.load(bundle.root / "goldens" / f"{name}.npz") as stored:
        return dict(stored)


def opened(context, site):
    page = context.new_page()
    page.goto(site.server.url)
    page.wait_for_selector(TESTED)
    return page


def self_test(page):
    """What 'Download as JSON' gives."""
    with page.expect_download() as download:
        page.click("#download")
    return json.loads(download.value.path().read_text())


def shares(page):
    """The class names and confidences that are shown, best first."""
    rows = page.locator("#prediction tbody tr")
    return [
        (row.locator("th").inner_text(), float(row.locator("td").nth(1).inner_text().removesuffix(" %")))
        for row in rows.all()
    ]


def png(image):
    """A grey picture as a file, without a library to write it."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = image.shape
    lines = b"".join(b"\0" + line.astype(np.uint8).tobytes() for line in image)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def choose(page, field, value):
    """Choose a backend or variant and wait until it has been tested or refused (the page takes no choice meanwhile)."""
    page.wait_for_selector(f"#{field}:enabled")
    page.select_option(f"#{field}", value)
    page.wait_for_selector(f"#{field}:enabled")


def test_goldens_are_predicted_as_in_python_on_every_backend(site, browser):
    served = site("pictures")
    expected, server = (
        golden(served.bundle, "tfjs-weight_only_w8")["probabilities"],
        golden(served.bundle, "outputs")["probabilities"],
    )
    with browser() as chromium:
        page = opened(chromium.new_context(), served)
        for backend in ("wasm", "cpu", "webgl"):
            if backend != "wasm":
                choose(page, "backend", backend)
            found = self_test(page)
            assert (found["backend"], found["artifact"], found["samples"], found["passed"]) == (backend, W8, 16, True)
            assert page.input_value("#backend") == backend
            result = found["outputs"]["probabilities"]
            assert 0 <= result["maxAbsError"] <= min(1e-4, result["tolerance"]), "float arithmetic on the same weights"
            assert result["maxAbsErrorServer"] == pytest.approx(np.abs(expected - server).max(), abs=1e-4)
            assert found["preprocessing"] is True
            assert (found["rawSamples"], found["failures"]) == (21, []), "16 goldens, and 5 pictures made of them"
            assert found["latency"]["runs"] >= 10 and 0 < found["latency"]["p50Ms"] <= found["latency"]["p90Ms"]
            page.get_by_role("button", name="Golden 5", exact=True).click()
            page.wait_for_selector("text=The server model gives the same answer.")
            order = np.argsort(-expected[4])
            labels = ("cup", "jar", "pan", "pot")
            assert [name for name, _ in shares(page)] == [labels[index] for index in order]
            assert [share for _, share in shares(page)] == pytest.approx(expected[4][order] * 100, abs=0.06)


def test_variants_can_be_switched(site, browser):
    served = site("pictures")
    with browser() as chromium:
        page = opened(chromium.new_context(), served)
        choose(page, "variant", "tfjs/float32")
        found = self_test(page)
        assert (found["artifact"], found["passed"]) == ("tfjs/float32", True)
        assert found["outputs"]["probabilities"]["maxAbsErrorServer"] <= 1e-4
        assert "tfjs/float32" in page.inner_text("#card")


def test_the_downloaded_self_test_joins_the_report(site, browser, tmp_path):
    served = site("pictures")
    with browser() as chromium:
        found = self_test(
            opened(chromium.new_context(user_agent="Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/140.0.0.0"), served)
        )
    path = tmp_path / "phone.json"
    path.write_text(json.dumps(found))
    (added,) = with_field_results(served.bundle, [path]).measurements
    assert (added.artifact, added.runtime, added.device) == (W8, "tfjs-wasm", "Chrome 140 on Android 14")
    assert {metric.kind for metric in added.metrics} == {"measured"}
    latency = added.metric("latency_p50_ms")
    assert latency and latency.value == found["latency"]["p50Ms"]


def test_works_offline_with_the_server_stopped(site, browser):
    served = site("pictures")
    with browser() as chromium:
        page = opened(chromium.new_context(), served)
        page.wait_for_selector("#offline:has-text('works offline')")
        served.server.stop()
        page.context.new_cdp_session(page).send("Network.clearBrowserCache")  # what is left is the service worker's
        page.reload()
        page.wait_for_selector(TESTED)
        assert page.get_attribute("#badge", "data-state") == "pass"
        page.get_by_role("button", name="Golden 2", exact=True).click()
        page.wait_for_selector("text=The server model gives the same answer.")
        # What was never fetched cannot be had offline, and the page says so and goes on with what it has.
        choose(page, "variant", "tfjs/float32")
        assert "could not be downloaded" in page.inner_text("#alert")
        assert page.input_value("#variant") == W8


def test_a_corrupted_shard_is_refused_visibly(site, browser):
    served = site("pictures")
    spoil(served.folder / "bundle", W8)
    with browser() as chromium:
        page = chromium.new_context().new_page()
        page.goto(served.server.url)
        alert = page.get_by_role("alert")
        alert.wait_for()
        assert "group1-shard1of1.bin does not match the bundle's manifest" in alert.inner_text()
        assert page.get_attribute("#badge", "data-state") == "fail"
        assert page.locator("#prediction tbody tr").count() == 0
        page.wait_for_selector("#offline:has-text('could not be kept')")
        # The other variant is whole, and can still be chosen.
        choose(page, "variant", "tfjs/float32")
        page.wait_for_selector(TESTED)
        assert page.get_attribute("#badge", "data-state") == "pass"


def spoil(bundle, artifact):
    shard = bundle / artifact / "group1-shard1of1.bin"
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)


def renamed(bundle: Bundle, created: str) -> Bundle:
    """The same bundle as if it had been made at another time: another digest."""
    return Bundle(bundle.root, replace(bundle.manifest, created=created))


def test_a_new_bundle_replaces_the_old_one_and_a_failed_download_keeps_it(site, browser):
    served = site("pictures")
    with browser() as chromium:
        page = opened(chromium.new_context(), served)
        page.wait_for_selector("#offline:has-text('works offline')")
        old = page.inner_text("#card")
        # A damaged one: the old one stays, online and offline.
        served.put(renamed(served.bundle, "2031-01-01T00:00:00+00:00"))
        spoil(served.folder / "bundle", W8)
        page.reload()
        page.wait_for_selector("#offline:has-text('could not be kept')")
        page.wait_for_selector(TESTED)
        assert page.inner_text("#card") == old
        # A whole one: it is taken over at once where nobody is using the page.
        served.put(renamed(served.bundle, "2032-02-02T00:00:00+00:00"))
        page.reload()
        page.wait_for_selector("#card:has-text('2032-02-02')")
        served.server.stop()
        page.reload()
        page.wait_for_selector("#card:has-text('2032-02-02')")
        page.wait_for_selector(TESTED)
        assert page.get_attribute("#badge", "data-state") == "pass"


def test_a_browser_that_makes_other_tensors_of_pixels_fails_its_self_test(site, browser, tmp_path):
    served = site("pictures")
    folder = served.folder / "bundle"
    manifest = open_bundle(folder, part=True).manifest
    tensors = np.fromfile(folder / "goldens" / "raw" / "image.tensor", "<f4")
    tensors.reshape(21, -1)[18, 40] += 1  # stands for a browser that is off there
    tensors.tofile(folder / "goldens" / "raw" / "image.tensor")
    seal_bundle(folder, manifest)
    with browser() as chromium:
        page = opened(chromium.new_context(), served)
        assert page.get_attribute("#badge", "data-state") == "fail"
        assert "1 of 21 fail: turned, number 40 of its tensor" in page.inner_text("#test")
        found = self_test(page)
    path = tmp_path / "phone.json"
    path.write_text(json.dumps(found))
    gate = with_field_results(served.bundle, [path]).gate
    check = read_selftest(path, served.bundle).check
    assert gate is None and check.verdict == "FAIL" and "turned, tensor: number 40" in check.reason


def test_a_page_in_use_is_not_reloaded_but_told(site, browser):
    served = site("pictures")
    with browser() as chromium:
        page = opened(chromium.new_context(), served)
        page.wait_for_selector("#offline:has-text('works offline')")
        served.put(renamed(served.bundle, "2032-02-02T00:00:00+00:00"))
        page.reload()
        page.keyboard.press("Tab")
        page.wait_for_selector("#update:visible")
        assert "2032-02-02" not in page.inner_text("#card")
        page.get_by_role("button", name="Use it now").click()
        page.wait_for_selector("#card:has-text('2032-02-02')")


def test_camera(site, browser):
    served = site("pictures")
    with browser("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as chromium:
        page = opened(chromium.new_context(permissions=["camera"]), served)
        page.get_by_role("tab", name="Camera").click()
        page.get_by_role("button", name="Start the camera").click()
        page.wait_for_selector("#shoot:enabled")
        page.get_by_label("Predict all the time").check()
        page.locator("#prediction").filter(has_not_text="Labelled sample").wait_for()
        assert page.locator("#prediction tbody tr").count() == 4
        page.get_by_role("button", name="Stop the camera").click()
        page.wait_for_selector("#shoot:disabled")


def test_a_camera_that_is_refused_is_told(site, browser):
    served = site("pictures")
    with browser() as chromium:
        page = opened(chromium.new_context(), served)
        page.get_by_role("tab", name="Camera").click()
        page.get_by_role("button", name="Start the camera").click()
        page.wait_for_selector("#camera-note:has-text('camera was not allowed'), #camera-note:has-text('no camera')")


def test_a_picture_from_a_file_gives_what_its_golden_gives(site, browser):
    served = site("pictures")
    sample = golden(served.bundle, "inputs")["image"][3, ..., 0]
    expected = golden(served.bundle, "tfjs-weight_only_w8")["probabilities"][3]
    with browser() as chromium:
        page = opened(chromium.new_context(), served)
        page.get_by_role("tab", name="Picture").click()
        for picture in (sample.repeat(9, 0).repeat(9, 1), 255 - sample.repeat(4, 0).repeat(4, 1)):
            page.set_input_files("#file", {"name": "picture.png", "mimeType": "image/png", "buffer": png(picture)})
            page.locator("#prediction").filter(has_not_text="Labelled sample").wait_for()
            assert max(share for _, share in shares(page)) == pytest.approx(expected.max() * 100, abs=0.06)
        page.set_input_files("#file", {"name": "notes.png", "mimeType": "image/png", "buffer": b"not a picture"})
        page.wait_for_selector("#alert:has-text('notes.png is no picture')")


def test_drawing(site, browser):
    served = site("pictures")
    with browser() as chromium:
        page = opened(chromium.new_context(), served)
        page.get_by_role("tab", name="Draw").click()
        box = page.locator("#pad").bounding_box()
        page.mouse.move(box["x"] + 60, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(box["x"] + 200, box["y"] + 200, steps=5)
        page.mouse.up()
        page.locator("#prediction").filter(has_not_text="Labelled sample").wait_for()
        assert sum(share for _, share in shares(page)) == pytest.approx(100, abs=0.3)


def test_without_webassembly_another_backend_takes_over_and_the_page_says_so(site, browser):
    served = site("pictures")
    # Without its compiler V8 has no WebAssembly either.
    with browser("--js-flags=--jitless") as chromium:
        page = opened(chromium.new_context(), served)
        assert "no WebAssembly" in page.inner_text("#alert")
        backend = page.input_value("#backend")
        assert backend in ("webgl", "cpu") and f"runs on {backend} instead" in page.inner_text("#alert")
        assert page.get_attribute("#badge", "data-state") == "pass"


def test_without_webgl_the_page_says_so_and_goes_on(site, browser):
    served = site("pictures")
    with browser("--disable-gpu", "--disable-software-rasterizer", "--disable-3d-apis") as chromium:
        page = opened(chromium.new_context(), served)
        choose(page, "backend", "webgl")
        assert "does not offer webgl" in page.inner_text("#alert")
        assert "weight_only_w8 on wasm is still in use" in page.inner_text("#alert")
        assert page.input_value("#backend") == "wasm"
        page.get_by_role("button", name="Golden 2", exact=True).click()
        page.wait_for_selector("text=The server model gives the same answer.")


def test_a_model_of_numbers_has_samples_only(site, browser):
    served = site("pair")
    expected = golden(served.bundle, "tfjs-weight_only_w8")
    with browser() as chromium:
        page = opened(chromium.new_context(), served)
        assert page.get_attribute("#badge", "data-state") == "pass"
        assert page.get_by_role("tab").count() == 0
        page.get_by_role("button", name="Golden 1", exact=True).click()
        page.wait_for_selector("text=The server model gives the same answer.")
        assert page.locator("#prediction h3").all_inner_texts() == ["amount", "scores"]
        amount = page.locator("#prediction table").first.locator("td").first.inner_text()
        assert float(amount) == pytest.approx(expected["amount"][0, 0], rel=1e-3)
        found = self_test(page)
        assert found["preprocessing"] is None and set(found["outputs"]) == {"amount", "scores"}


def test_the_first_load_is_light(site, browser):
    served = site("pictures")
    with browser() as chromium:
        page = opened(chromium.new_context(), served)
        page.wait_for_selector("#offline:has-text('works offline')")
        # Everything that the first visit fetches, also for later use offline, as it travelled.
        assert 100_000 < served.server.sent < 900_000


def test_keyboard_and_screen_readers(site, browser):
    served = site("pictures")
    with browser() as chromium:
        page = opened(chromium.new_context(), served)
        page.get_by_role("tab", name="Samples").focus()
        page.keyboard.press("ArrowRight")
        assert page.locator(":focus").inner_text() == "Draw"
        assert page.locator("#panel-draw").is_visible() and page.locator("#panel-samples").is_hidden()
        page.keyboard.press("Home")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.locator(":focus").get_attribute("aria-pressed") == "true"
        page.wait_for_selector("#status:has-text('Prediction:')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_readable_on_a_phone(site, browser, scheme):
    served = site("pictures")
    with browser() as chromium:
        phone = chromium.new_context(
            viewport={"width": 360, "height": 740}, color_scheme=scheme, bypass_csp=True, is_mobile=True
        )
        page = opened(phone, served)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
        assert page.evaluate(AUDIT) == []


def test_the_page_of_a_bundle_is_a_bundle(bundles, built, tmp_path):
    manifest = demo.write_site(open_bundle(bundles / "pictures"), tmp_path / "site", built)
    full = open_bundle(bundles / "pictures").manifest
    assert manifest.source == digest.of_json(to_json(full))
    text = (tmp_path / "site" / "bundle" / MANIFEST).read_text()
    assert str(bundles) not in text and "calibration" not in text


AUDIT = """() => {
  const faults = [];
  const luminance = (colour) => {
    const [r, g, b] = colour.map((value) => value / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const visible = (element) => element.checkVisibility() && element.getBoundingClientRect().left >= 0;
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !visible(element) || element.disabled) continue;
    const [a, b] = [luminance(parse(getComputedStyle(element).color).slice(0, 3)), luminance(ground(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faults.push(`contrast ${contrast.toFixed(2)}: ${element.textContent.trim().slice(0, 40)}`);
    if (parseFloat(getComputedStyle(element).fontSize) < 12) faults.push(`small: ${element.textContent.trim().slice(0, 40)}`);
  }
  for (const element of document.querySelectorAll('button, select, input, a[href]')) {
    if (!visible(element)) continue;
    const box = element.getBoundingClientRect();
    const name = element.getAttribute('aria-label') || element.textContent || element.labels?.[0]?.textContent;
    if (!name?.trim()) faults.push(`no name: ${element.outerHTML.slice(0, 60)}`);
    if (Math.min(box.width, box.height) < 24) faults.push(`small target: ${name}`);
  }
  if (!document.documentElement.lang) faults.push('no language');
  if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1');
  const ids = [...document.querySelectorAll('[id]')].map(({id}) => id);
  if (new Set(ids).size !== ids.length) faults.push('an id twice');
  return faults;
}"""
