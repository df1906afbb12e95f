"""`python -m edgeship.runtimes.browser --engine NAME --backend NAME`: the worker protocol, answered by a page."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from edgeship.errors import ProcessError
from edgeship.processes import wire
from edgeship.runtimes.browser import requirements
from edgeship.runtimes.browser.memory import RendererMemory
from edgeship.runtimes.browser.page import WEBGPU, Page
from edgeship.runtimes.browser.throttle import BATCH_MS, Throttle
from edgeship.runtimes.worker.request_loop import Answer, Handler, serve_requests

LOOP = {"engine": "loop", "valid": True, "early_stopping_p90_ms": None, "reason": "LoadGen does not run in a page"}


class BrowserWorker:
    """One engine in one page and, once loaded, one model. `options` of a load: throttle, screen, arguments."""

    def __init__(self, engine: str, backend: str) -> None:
        self._engine, self._backend = engine, backend
        self._page: Page | None = None
        self._together: int | None = None
        self.requests: dict[str, Handler] = {
            "load": self._load_model,
            "run": self._run_model,
            "first": self._run_first,
            "memory": self._read_memory,
            "latency": self._time_latency,
            "block": self._time_block,
        }

    @property
    def page(self) -> Page:
        """The page, once a model is loaded."""
        if self._page is None:
            raise RuntimeError("no model is loaded")
        return self._page

    def _load_model(self, header: dict[str, Any], _: wire.Arrays) -> Answer:
        options, threads = header["options"], header["threads"]
        rate = float(options.get("throttle", 1))
        if rate > 1 and threads > 1:
            raise ProcessError("a throttled page runs on one thread: Chromium does not slow the others down")
        page = self._page = Page(
            [*(WEBGPU if self._backend == "webgpu" else ()), *options.get("arguments", ())], _screen_options(options)
        )
        if threads > 1:
            # TF.js starts half as many threads as the page sees cores, the others as many.
            cores = threads * (2 if self._engine == "tfjs" else 1)
            page.devtools.send("Emulation.setHardwareConcurrencyOverride", {"hardwareConcurrency": cores})
        engine_options = {"engine": self._engine, "backend": self._backend, "threads": threads}
        versions, _ = page.call("start", **engine_options)
        self._memory = RendererMemory(page.system, page.devtools)
        self._memory.start()
        self._throttle = Throttle(page, rate)
        proof = self._throttle.begin()
        description, _ = page.call("load", url=page.open_model(Path(header["path"])), **engine_options)
        self._software = description["engine"].get("software", False)
        browser = {
            "browser": f"Chromium {page.browser_version}",
            "engine_gzip_bytes": requirements.download_bytes(self._engine),
        }
        engine = {**description["engine"], **browser, **proof}
        return {
            **description,
            "engine": engine,
            "version": f"{versions['version']} (Chromium {page.browser_version})",
        }, {}

    def _run_model(self, _: dict[str, Any], feeds: wire.Arrays) -> Callable[[], Answer]:
        return self.page.begin("run", feeds)

    def _run_first(self, _: dict[str, Any], feeds: wire.Arrays) -> Answer:
        return self.page.call("first", feeds)

    def _read_memory(self, _: dict[str, Any], __: wire.Arrays) -> Answer:
        memory = self._memory
        answer, _ = self.page.call("memory")
        return {"peak_bytes": memory.peak(), "baseline_bytes": memory.baseline, "method": memory.method, **answer}, {}

    def _time_latency(self, header: dict[str, Any], feeds: wire.Arrays) -> Answer:
        self._refuse_software()
        seconds, queries = header["min_seconds"], header["min_queries"]
        proof = self._prove_throttle(feeds, seconds) if self._throttle.is_acting else {}
        self.page.call("warm", feeds, seconds=seconds)
        self._memory.freeze()  # what the measurement itself keeps is not the model's
        answer, arrays = self._time_loop(feeds, seconds, queries)
        return {**LOOP, **proof, "queries_per_sample": answer["together"]}, arrays

    def _time_block(self, header: dict[str, Any], feeds: wire.Arrays) -> Answer:
        self._refuse_software()
        return {}, self._time_loop(feeds, header["seconds"], 1)[1]

    def _time_loop(self, feeds: wire.Arrays, seconds: float, queries: int) -> Answer:
        """Throttled samples are batches of queries, all of the same size."""
        fill = {"fill_ms": BATCH_MS if self._throttle.is_acting else 0, "together": self._together}
        answer, arrays = self.page.call("loop", feeds, seconds=seconds, queries=queries, **fill)
        self._together = answer["together"]
        return answer, arrays

    def _prove_throttle(self, feeds: wire.Arrays, seconds: float) -> dict[str, Any]:
        """How much slower the model itself became, throttled against not. Raises ProcessError where it did not."""
        short = min(0.3, seconds / 10)
        self._throttle.set(1)
        self.page.call("warm", feeds, seconds=seconds)
        slowdown = self._throttle.prove(
            lambda: float(median(self._time_loop(feeds, short, 3)[1]["samples_ms"])), "the model"
        )
        return {"throttle": {"asked": self._throttle.rate, "model": slowdown}}

    def _refuse_software(self) -> None:
        if self._software:
            raise ProcessError(f"{self._backend} runs in software here, which says nothing about the speed of a GPU")


def _screen_options(options: dict[str, Any]) -> dict[str, Any]:
    """What Playwright calls the settings of a context, from a profile's `viewport = [width, height, scale]`."""
    if "viewport" not in options:
        return {}
    width, height, scale = options["viewport"]
    return {
        "viewport": {"width": width, "height": height},
        "device_scale_factor": scale,
        "is_mobile": True,
        "has_touch": True,
    }


def main() -> None:
    """Answer each request until the parent closes the stream, then end the browser."""
    parser = argparse.ArgumentParser(prog="python -m edgeship.runtimes.browser")
    parser.add_argument("--engine", required=True, choices=requirements.PINNED)
    parser.add_argument("--backend", default="wasm", choices=("wasm", "webgl", "webgpu", "cpu"))
    arguments = parser.parse_args()
    worker = BrowserWorker(arguments.engine, arguments.backend)
    try:
        serve_requests(worker.requests)
    finally:
        if worker._page:
            worker._page.close()


if __name__ == "__main__":
    main()
