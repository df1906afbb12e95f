"""A slowed-down processor is shown to be one, or no times are taken."""

from __future__ import annotations

from itertools import cycle
from unittest.mock import Mock

import pytest

from edgeship.errors import InputError, ProcessError
from edgeship.runtimes.browser import options
from edgeship.runtimes.session import open_session


@pytest.mark.parametrize(
    ("slow", "holds"), [(0.9, False), (2.7, False), (2.9, True), (4.0, True), (6.3, True), (6.5, False)]
)
def test_a_slow_down_holds_near_the_one_asked_for(slow, holds):
    throttle = pytest.importorskip("edgeship.runtimes.browser.throttle").Throttle(Mock(), 4)
    times = cycle([1.0, slow])
    if holds:
        assert throttle.prove(lambda: next(times), "a loop") == slow
    else:
        with pytest.raises(
            ProcessError, match=f"a loop became {slow:.2f} times as slow, not 4 times; no times are taken"
        ):
            throttle.prove(lambda: next(times), "a loop")


def test_one_disturbed_pair_does_not_decide():
    throttle = pytest.importorskip("edgeship.runtimes.browser.throttle").Throttle(Mock(), 4)
    times = iter([1.0, 4.0, 1.0, 40.0, 1.0, 4.2])
    assert throttle.prove(lambda: next(times), "a loop") == 4.2


@pytest.mark.usefixtures("chromium")
def test_the_throttle_slows_the_page_down():
    """That it acts, on a machine as busy as may be; how exactly it does is for a quiet one (test_throttled_times.py)."""
    from edgeship.runtimes.browser.page import Page
    from edgeship.runtimes.browser.throttle import Throttle

    page = Page((), {})
    try:
        throttle = Throttle(page, 8)

        def spun(rate):
            throttle.set(rate)
            return min(page.call("spin")[0]["ms"] for _ in range(3))

        assert spun(8) > 1.5 * spun(1)
    finally:
        page.close()


@pytest.mark.usefixtures("chromium")
def test_threads_escape_throttling_and_are_refused(tiny_models):
    with pytest.raises(ProcessError, match="a throttled page runs on one thread"):
        open_session("tfjs-web", tiny_models / "cnn-tfjs", threads=2, options={"throttle": 4})


@pytest.mark.parametrize(
    ("launch", "message"),
    [
        ({"throtle": 4}, "throtle"),
        ({"throttle": 0.5}, "throttle = 0.5 must be a number of at least 1"),
        ({"throttle": True}, "throttle = True"),
        ({"viewport": [412, 915]}, r"viewport = \[412, 915\] must be \[width, height, scale\]"),
        ({"arguments": "--x"}, "arguments = '--x' must be a list"),
    ],
)
def test_a_profile_is_checked(launch, message):
    with pytest.raises(InputError, match=message):
        options.of_profile({"how": "browser", **launch}, "phone.toml")
