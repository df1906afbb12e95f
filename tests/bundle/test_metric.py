"""Figures as people read them."""

import pytest

from edgeship.bundle.metric import number_text, number_texts


@pytest.mark.parametrize(
    ("value", "text"),
    [(17623.4, "17,620"), (-2.5e6, "-2,500,000"), (1, "1"), (0.28216, "0.2822"), (3e-7, "3e-07"), (0, "0")],
)
def test_large_figures_have_no_exponent(value, text):
    assert number_text(value) == text


def test_figures_of_one_unit_have_the_decimals_of_the_largest():
    assert number_texts(0.0005625, -367.54, 367.5) == ["0", "-367.5", "367.5"]
    assert number_texts(925.21, 502.2, 2144.4) == ["925", "502", "2,144"]
    assert number_texts(7e-5, -128.3, 128.0, digits=3, sign="+") == ["+0", "-128", "+128"]
    assert number_texts(0.02, -0.0346, 0.1, digits=3, sign="+") == ["+0.020", "-0.035", "+0.100"]
    assert number_texts(0, 0) == ["0", "0"]
    assert number_texts(1e-9, -2e-9) == ["1e-09", "-2e-09"]
