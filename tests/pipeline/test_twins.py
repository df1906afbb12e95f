"""Which twin an artifact gets: by the bundle's configuration, by what a stranger's file holds, or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from edgeship.bundle.manifest import ArtifactEntry, ForeignFile, Manifest
from edgeship.bundle.receipt import Receipt, WeightSummary
from edgeship.pipeline.evaluation import twins
from edgeship.settings.config import Config
from edgeship.settings.variants import Variant
from edgeship.types import TensorSpec


def plan(entry: ArtifactEntry, *variants: Variant, trained: bool = False, calibration: str | None = __file__) -> Any:
    config = Config(variants=variants)
    config = replace(config, data=replace(config.data, calibration=calibration, evaluation="evaluation.npz"))
    return twins.plan_twins(Manifest({}, (entry,), ()), config, lambda _: trained)


def foreign(kind: str, stored: Mapping[str, int], edge: str = "float32", **shares: Any) -> ArtifactEntry:
    receipt = Receipt(kind, weights=WeightSummary(dtypes=stored), **shares)
    inputs = (TensorSpec("x", (None, 4), edge),)
    return ArtifactEntry(f"{kind}/x", "file", kind, "x", inputs, receipt=receipt, foreign=ForeignFile("x"))


@pytest.mark.parametrize(
    ("entry", "recipe", "io"),
    [
        (foreign("tflite", {"float32": 90, "int32": 4}), "float32", "float32"),
        (foreign("onnx", {"float16": 90, "float32": 9}), "float16", "float32"),
        (foreign("tflite", {"int8": 90}, int8_op_share=0.9), "static_w8a8", "float32"),
        (foreign("tflite", {"int8": 90}, "uint8", int8_op_share=1.0), "static_w8a8", "int8"),
        (foreign("onnx", {"uint8": 90}, int8_op_share=0.9), "static_w8a8", "float32"),
        (foreign("tflite", {"int8": 90, "float32": 9}, hybrid_op_share=0.5), "dynamic_w8", "float32"),
        (foreign("onnx", {"uint8": 90}), "dynamic_w8", "float32"),
        (foreign("onnx", {"uint4": 90, "float32": 20}, int8_op_share=0.5), "dynamic_w4", "float32"),
        (foreign("tfjs", {"uint8": 90}), "weight_only_w8", "float32"),
    ],
)
def test_a_strangers_file_is_compared_with_the_recipe_that_is_nearest(
    entry: ArtifactEntry, recipe: str, io: str
) -> None:
    found = plan(entry)
    (variant,) = found.variants.values()
    assert (variant.quantize, variant.io, variant.formats) == (recipe, io, (entry.format,))
    assert found.calibrated_alike == {entry.id}


def test_without_its_calibration_data_an_int8_file_s_noise_is_not_compared() -> None:
    found = plan(foreign("tflite", {"int8": 90}, int8_op_share=0.9), calibration=None)
    assert found.variants and not found.calibrated_alike
    assert found.config.data.calibration == "evaluation.npz"


@pytest.mark.parametrize("trained", [True, False])
def test_what_was_trained_further_has_a_twin_where_the_trained_model_is_at_hand(trained: bool) -> None:
    pruned = Variant("pruned", prune=0.5, formats=("tflite",))
    found = plan(ArtifactEntry("tflite/pruned", "p", "tflite", "pruned"), pruned, trained=trained)
    assert found.reasons == ({} if trained else {"tflite/pruned": twins.TRAINED})
    assert [variant.prune for variant in found.variants.values()] == ([0.5] if trained else [])
