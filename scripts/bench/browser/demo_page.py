"""`make bench-page`: what the demo page weighs on the wire and how soon it can be used; writes it into web-demo/README.md.

Exit code 1 where the first load is above 1 MB or the page takes 2 s and longer with the processor slowed down 4 times.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from edgeship.bundle.bundle import open_bundle
from edgeship.demo import site as demo
from edgeship.demo.web_server import Server
from edgeship.runtimes.browser import requirements
from edgeship.settings.config import Config
from scripts import ROOT
from scripts.bench.speed import machine_line

README = ROOT / "web-demo" / "README.md"
BEGIN, END = "<!-- written by `make bench-page` -->\n", "<!-- end -->\n"
PHONE: dict[str, Any] = {
    "viewport": {"width": 412, "height": 915},
    "device_scale_factor": 2.625,
    "is_mobile": True,
    "has_touch": True,
}
LIMIT, SECONDS, SLOW, ROUNDS = 1_000_000, 2.0, 4, 5
# What a visitor waits for, in order; each is noted when it first stands in the page, and `arrived` gives a promise of it.
WATCH = """() => {
  const seen = {};
  window.seen = seen;
  const waiting = [];
  window.arrived = (name) => new Promise((resolve) => { waiting.push({name, resolve}); look(); });
  const look = () => {
    const now = performance.now();
    if (document.querySelector('#samples button')) seen.samples ??= now;
    if (document.querySelector('#prediction tbody tr')) seen.prediction ??= now;
    if (document.querySelector('#badge')?.dataset.state === 'pass') seen.tested ??= now;
    if (document.querySelector('#offline')?.textContent.includes('works offline')) seen.offline ??= now;
    for (const {name, resolve} of waiting) if (name in seen) resolve(true);
  };
  new MutationObserver(look).observe(document, {subtree: true, childList: true, attributes: true});
}"""
KINDS = {
    "model, goldens, samples, manifest": r"/bundle/",
    "WebAssembly": r"\.wasm$",
    "page, styles, scripts": r"",
}


def visit(browser: Browser, site: Path, rate: int) -> dict[str, Any]:
    """A first visit with an empty cache: milliseconds until things were there, bytes of each file as it travelled."""
    server = Server(site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_context(**PHONE).new_page()
    devtools = page.context.new_cdp_session(page)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": rate})
    page.add_init_script(f"({WATCH})()")
    page.goto(server.url)

    def wait(name: str) -> None:
        # Playwright's own waiting puts 330 kB of script into the page first, which costs 0.1 s at 4x.
        devtools.send("Runtime.evaluate", {"expression": f"arrived('{name}')", "awaitPromise": True})

    wait("prediction")
    first = list(server.log)
    wait("tested")
    wait("offline")
    paint = page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0].startTime")
    told = {"paint": paint, **page.evaluate("() => window.seen")}
    page.context.close()
    server.shutdown()
    server.server_close()
    return {**told, "first": first, "all": list(server.log)}


def weights(log: list[tuple[str, int]]) -> dict[str, int]:
    """Bytes by kind of file."""
    sums = dict.fromkeys(KINDS, 0)
    for path, size in log:
        sums[next(kind for kind, pattern in KINDS.items() if re.search(pattern, path))] += size
    return sums


def text(visits: dict[int, list[dict[str, Any]]], variant: str) -> str:
    """The part of the README."""
    one = visits[1][0]
    first, everything = weights(one["first"]), sum(size for _, size in one["all"])
    lines = [f"| {kind} | {size / 1000:.0f} |" for kind, size in first.items()]
    rows = []
    for rate, taken in visits.items():
        middle = {
            key: statistics.median(item[key] for item in taken) for key in ("paint", "samples", "prediction", "tested")
        }
        rows.append(f"| {rate}x | " + " | ".join(f"{value / 1000:.2f} s" for value in middle.values()) + " |")
    return "\n".join(
        [
            f"First visit with the default model (`{variant}` of the Fashion-MNIST task), brotli:",
            "",
            "| on the wire until the first prediction | kB |",
            "|---|---|",
            *lines,
            f"| **together** | **{sum(first.values()) / 1000:.0f}** |",
            f"| with what is then kept for offline use | {everything / 1000:.0f} |",
            "",
            f"Phone's screen, empty cache, server on the same machine, median of {ROUNDS} visits ({machine_line()},",
            f"Chromium {requirements.browser_version()}). Chromium slows the page's main thread down, not the worker that "
            "computes.",
            "",
            "| CPU | first paint | samples can be chosen | first prediction | self-test passed |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def main() -> None:
    """Measure, write, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, default=ROOT / "runs" / "fashion-mnist" / "bundle")
    given = parser.parse_args()
    bundle = open_bundle(given.bundle)
    data = Config.restore(bundle.manifest.config).data.evaluation
    with tempfile.TemporaryDirectory(prefix="edgeship-page-") as folder, sync_playwright() as playwright:
        site = Path(folder) / "site"
        demo.write_site(bundle, site, demo.built_page(), data if data and Path(data).exists() else None)
        browser = playwright.chromium.launch(
            executable_path=requirements.find_chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        visits = {rate: [visit(browser, site, rate) for _ in range(ROUNDS)] for rate in (1, SLOW)}
    part = text(visits, "weight_only_w8")
    print(part)
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    README.write_text(before + BEGIN + part + END + rest.partition(END)[2], encoding="utf-8")
    sent = max(sum(size for _, size in item["first"]) for item in visits[1])
    ready = statistics.median(item["prediction"] for item in visits[SLOW]) / 1000
    if sent > LIMIT or ready >= SECONDS:
        sys.exit(f"too heavy: {sent:,} bytes (at most {LIMIT:,}), {ready:.2f} s at {SLOW}x (below {SECONDS:g})")


if __name__ == "__main__":
    main()
