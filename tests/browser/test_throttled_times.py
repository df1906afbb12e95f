"""Times of a slowed-down page. A busy machine has no slow-down of the size asked for: `make test-more`."""

from __future__ import annotations

from statistics import median

import pytest

from edgeship.runtimes.browser import options
from edgeship.runtimes.session import open_session


@pytest.mark.usefixtures("chromium")
def test_a_throttled_page_is_measured_in_batches_and_says_how_much_slower_it_was(tiny_models):
    phone = options.of_profile({"how": "browser", "throttle": 4, "viewport": [412, 915, 2.625]}, "here")
    with open_session("tfjs-web", tiny_models / "cnn-tfjs", options=phone) as session:
        assert 2.8 <= session.engine["throttle"]["loop"] <= 6.4
        taken = session.latency(0.5, 8)
    assert taken.throttle and taken.throttle.model and taken.queries_per_sample
    assert 2.8 <= taken.throttle.model <= 6.4
    assert taken.queries_per_sample > 1
    # A sample is the mean of a batch, and a throttled batch as a whole lasts 50 ms and more.
    assert median(taken.samples_ms) * taken.queries_per_sample >= 50
