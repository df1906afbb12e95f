"""The steps of a conversion as data: what needs what, on which executors, under which keys. Nothing is run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.pipeline.conversion.source import ModelSource, StepOutput
from edgeship.pipeline.conversion.steps import ConversionSteps
from edgeship.pipeline.step_queue import CachedStep
from edgeship.processes.executors import CONVERT, EXPORT
from edgeship.settings.config import Config
from edgeship.settings.sections import Data
from edgeship.settings.variants import Variant
from edgeship.storage.cache import Entry

FLOAT32, INT8, WEIGHTS_INT8 = (
    Variant("float32"),
    Variant("int8", quantize="static_w8a8"),
    Variant("w8", "weight_only_w8"),
)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    np.savez(tmp_path / "calibration.npz", x=np.zeros((2, 3), np.float32))
    return Config(data=Data(calibration=str(tmp_path / "calibration.npz")))


def steps_of(config: Config, *pairs: tuple[Variant, str]) -> ConversionSteps:
    steps = ConversionSteps(ModelSource(Path("model.keras"), "digest", {}, None), config, pairs)
    for variant, file_format in pairs:
        steps.artifact(variant, file_format)
    return steps


def output(content: str) -> StepOutput:
    return StepOutput(Entry(Path("folder"), {}, {"file": content}, hit=True), ())


def key(steps: ConversionSteps, name: str, **inputs: Any) -> Any:
    step = steps.steps[name]
    assert isinstance(step, CachedStep)
    return step.key({need: inputs.get("source", output("source")) for need in step.needs})


def test_all_that_a_step_needs_is_there(config: Config) -> None:
    steps = steps_of(config, (FLOAT32, "tflite"), (INT8, "tflite"), (INT8, "onnx"), (WEIGHTS_INT8, "tfjs")).steps
    assert {need for step in steps.values() for need in step.needs} <= {*steps}


def test_one_format_is_converted_where_the_model_was_loaded_and_several_where_there_is_time(config: Config) -> None:
    for formats, executors in ((("tflite",), EXPORT), (("tflite", "onnx"), CONVERT)):
        steps = steps_of(config, *((FLOAT32, name) for name in formats))
        assert steps.steps[steps.convert(FLOAT32, "tflite")].executors == executors


def test_tfjs_with_other_weights_comes_behind_the_graph_that_they_share(config: Config) -> None:
    steps = steps_of(config, (WEIGHTS_INT8, "tfjs"), (FLOAT32, "tfjs"))
    first, second = (steps.convert(variant, "tfjs") for variant in (FLOAT32, WEIGHTS_INT8))
    assert first in steps.steps[second].needs
    assert second not in steps.steps[first].needs


def test_what_two_variants_share_is_one_step(config: Config) -> None:
    steps = steps_of(config, (FLOAT32, "tflite"), (INT8, "tflite"))
    assert steps.convert(FLOAT32, "tflite") == steps.convert(INT8, "tflite")


def test_a_key_is_the_same_for_the_same_and_another_for_other_inputs_and_options(config: Config) -> None:
    steps = steps_of(config, (INT8, "tflite"))
    name = steps.quantize(INT8, "tflite")
    other = steps_of(config, (replace(INT8, io="float32"), "tflite"))
    kept = Entry(Path("folder"), {}, {"statistics.json": "digest"}, hit=True)

    def quantize_key(of: ConversionSteps, source: str) -> Any:
        step = of.steps[name]
        assert isinstance(step, CachedStep)
        values = {need: kept if need.startswith("calibrate") else output(source) for need in step.needs}
        return step.key(values)

    assert quantize_key(steps, "source") == quantize_key(steps_of(config, (INT8, "tflite")), "source")
    assert quantize_key(steps, "source") != quantize_key(steps, "another")
    assert quantize_key(steps, "source") != quantize_key(other, "source")
    assert key(steps, steps.exported(INT8)) == key(other, steps.exported(INT8))
