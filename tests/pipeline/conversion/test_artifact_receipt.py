"""How much of an artifact must be int8, with what was left out of it on purpose."""

from __future__ import annotations

import pytest

from edgeship.bundle.receipt import LayerPrecision, Receipt
from edgeship.errors import CheckError
from edgeship.pipeline.conversion.artifact_receipt import check_receipt
from edgeship.server_model.description import ServerModelDescription
from edgeship.settings.variants import Variant
from edgeship.types import Step, TensorSpec

ENDS = (TensorSpec("x", (None, 4), "float32"),), (TensorSpec("y", (None, 2), "float32"),)
FLOATS = tuple(f"MatMul: net_1/gru_1/step{number}/MatMul" for number in range(5))


def check(variant, kept=(), float_operators=(), integers=2):
    """Check an `.onnx` of five float operators in the layer `gru`, and so many integer ones."""
    rows = tuple(LayerPrecision(layer, "float32", count, 0) for layer, count in kept) or None
    share = integers / (integers + len(FLOATS))
    receipt = Receipt("onnx", *ENDS, int8_op_share=share, float_islands=FLOATS, kept_layers=rows)
    model = ServerModelDescription(*ENDS, layers=("gru", "kind"))
    last = Step("quantize", "", {"float_operators": list(float_operators)})
    check_receipt(
        receipt, Variant(variant, quantize={"int8": "static_w8a8"}.get(variant, variant)), "onnx", model, last
    )


@pytest.mark.parametrize("variant", ["int8", "auto"])
def test_what_is_mostly_float_by_itself_is_refused_by_whatever_name(variant):
    with pytest.raises(CheckError, match=f"onnx/{variant}: int8 was asked for, but only 29% of its ops run in int8"):
        check(variant)


def test_layers_that_were_kept_on_purpose_do_not_count():
    check("auto", kept=[("gru", 5)])
    check("auto", kept=[("gru", 3)])
    with pytest.raises(CheckError):
        check("auto", kept=[("gru", 2)])


def test_what_stayed_float_in_a_kept_layer_counts_once():
    scaling = ["net_1/gru_1/step0/MatMul", "net_1/gru_1/step1/MatMul"]
    with pytest.raises(CheckError):
        check("auto", kept=[("gru", 2)], float_operators=scaling)
    check("auto", kept=[("kind", 1)], float_operators=scaling)
