"""The order in which a search tries layers."""

from __future__ import annotations

import pytest

from edgeship.bundle.comparisons import CandidateFigures
from edgeship.pipeline.layerwise import precision_search


@pytest.mark.parametrize(
    ("figures", "worth"),
    [
        (CandidateFigures(12.5), 12.5),
        (CandidateFigures(), float("-inf")),  # it gives no numbers
        (CandidateFigures(reason="no runtime loads it", runs=False), float("-inf")),
        (CandidateFigures(reason="no operator can be quantized"), float("inf")),
    ],
)
def test_what_gives_no_numbers_is_the_most_sensitive(figures: CandidateFigures, worth: float) -> None:
    assert precision_search._worth(figures) == worth
