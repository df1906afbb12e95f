"""The replacement of Einsum, run by TensorFlow against the real op."""

from __future__ import annotations

import pytest

EQUATIONS = [
    "abc,cde->abde",
    "aecd,abcd->acbe",
    "acbe,aecd->abcd",
    "abcd,cde->abe",
    "ij,jk->ik",
    "i,j->ij",
    "ai,ai->a",
    "ai,ai->",
]


@pytest.mark.parametrize("equation", EQUATIONS)
def test_it_computes_the_same(equation, tensorflow):
    result = tensorflow.call("zoo:einsum_difference", equation=equation)
    assert result["replaced"]
    assert result["difference"] < 1e-5


@pytest.mark.parametrize("equation", ["ii,ij->j", "...a,ab->...b", "abc->acb", "ab,bc->c"])
def test_other_equations_are_left_alone(equation):
    from edgeship.convert.rewrites.einsum import plan_contraction

    assert plan_contraction(equation) is None
