"""What goes wrong in a page is an error here that says so, and nothing is left running."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgeship.errors import ProcessError
from edgeship.runtimes.session import open_session

pytestmark = pytest.mark.usefixtures("chromium")


def descendants(pid: int) -> Iterator[tuple[int, str]]:
    """Process ids below one, with their command lines."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            yield child, Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
            yield from descendants(child)


def gone(pid: int) -> bool:
    """Whether a process has ended; waits for it, as long as the test may last."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    import select

    ready, _, _ = select.select([descriptor], [], [], 20)
    os.close(descriptor)
    return bool(ready)


def test_a_crashed_page_is_told_and_nothing_is_left(tiny_models, images):
    with open_session("tfjs-web", tiny_models / "cnn-tfjs") as session:
        below = list(descendants(session.pid))
        renderers = [pid for pid, command in below if "--type=renderer" in command]
        assert renderers
        for pid in renderers:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(ProcessError, match=r"tfjs-web process ended .* the page is gone: .*crashed"):
            session.run(images)
    assert all(gone(pid) for pid, _ in below)


def test_what_a_page_cannot_read_is_answered_and_the_next_request_too(tiny_models):
    from edgeship.runtimes.browser.page import Page

    page = Page((), {})
    try:
        first = page.begin("run", {"x": np.zeros(2, np.float16)})
        second = page.begin("spin")
        with pytest.raises(RuntimeError, match="array x has dtype <f2"):
            first()
        assert second()[0]["ms"] > 0
    finally:
        page.close()


def test_a_page_out_of_memory_is_told(tiny_models):
    starved = {"arguments": ["--js-flags=--max-heap-size=3"]}
    with pytest.raises(ProcessError, match=r"the page (is gone|does not open): .*crashed"):
        open_session("tfjs-cpu", tiny_models / "cnn-tfjs", options=starved)


def test_an_engine_out_of_memory_is_told(tiny_models):
    starved = {"arguments": ["--js-flags=--wasm-max-mem-pages=64"]}
    with pytest.raises(ProcessError, match=r"litert-web process: .* in the page: .*Out of memory"):
        open_session("litert-web", tiny_models / "cnn-one.tflite", options=starved)


def test_a_page_that_takes_too_long_is_stopped_with_all_of_its_browser(tiny_models):
    with open_session("tfjs-web", tiny_models / "cnn-tfjs") as session:
        below = list(descendants(session.pid))
        session.timeout = 0.5
        session._first_ms = 0.0
        with pytest.raises(ProcessError, match="took longer than"):
            session.latency(1e-3, 10_000_000)
    assert below
    assert all(gone(pid) for pid, _ in below)


def test_a_backend_that_the_browser_does_not_have_is_an_error_and_not_another_backend(tiny_models):
    without = {"arguments": ["--disable-gpu", "--disable-software-rasterizer", "--disable-3d-apis"]}
    with pytest.raises(ProcessError, match=r"cannot start its backend webgl in this browser"):
        open_session("tfjs-webgl", tiny_models / "cnn-tfjs", options=without)


@pytest.mark.parametrize(
    ("name", "message"),
    [("cnn", "needs every shape fixed, and 'image' is -1x8x8x1"), ("cnn-int8", "takes float32, int32 and uint8")],
)
def test_litert_js_says_which_files_it_needs(name, message, tiny_models):
    with pytest.raises(ProcessError, match=rf'{message}.*static_batch = true and io = "float32"'):
        open_session("litert-web", tiny_models / f"{name}.tflite")
