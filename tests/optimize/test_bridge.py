"""The bridge to tf_keras and back: equal outputs both ways, for networks of keras.applications and for every kind of graph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeship.errors import InputError, ProcessError
from edgeship.processes.child import FunctionProcess

SMALL = ("MobileNetV2", "MobileNetV3Small")
LARGE = (
    *("MobileNet", "MobileNetV3Large", "EfficientNetB0", "EfficientNetV2B0", "ResNet50", "ResNet50V2", "DenseNet121"),
    *("InceptionV3", "Xception", "NASNetMobile", "ConvNeXtTiny"),
)
GRAPHS = (
    "shared",
    "nested",
    "dictionary",
    "merges",
    "activations",
    "normalized",
    "recurrent",
    "attention",
    "custom",
    "series",
)
TOLERANCE = 1e-5  # of the output's range


@pytest.fixture(scope="module")
def keras_process() -> Iterator[FunctionProcess]:
    with FunctionProcess(env={"PYTHONPATH": str(Path(__file__).parent)}) as process:
        yield process


@pytest.mark.parametrize("name", [*SMALL, *(pytest.param(name, marks=pytest.mark.more) for name in LARGE), *GRAPHS])
def test_a_model_is_equal_there_and_back(keras_process: FunctionProcess, name: str) -> None:
    result = keras_process.call("bridge_models:there_and_back", name=name)
    assert max(result["shares"]) < TOLERANCE
    assert result["apart"] > 100 * TOLERANCE, "the change on the other side must show, or equality says nothing"
    assert result["trainable"]


def test_what_tf_keras_has_no_equal_for_is_named(keras_process: FunctionProcess) -> None:
    reasons = keras_process.call("bridge_models:there_and_back", name="custom")["carried"]
    assert reasons == {"gate": "tf_keras has no layer Gate"}
    reasons = keras_process.call("bridge_models:there_and_back", name="normalized")["carried"]
    assert [why for why in reasons.values() if "rms_scaling" in why]


def test_nested_models_are_laid_out_under_their_names(keras_process: FunctionProcess) -> None:
    names = keras_process.call("bridge_models:there_and_back", name="nested")["layers"]
    assert any(name.startswith("middle/inner/conv2d") for name in names)
    assert len([name for name in names if "conv2d" in name]) == 1, "called twice, it is still one layer"


def test_frozen_layers_stay_frozen(keras_process: FunctionProcess) -> None:
    assert keras_process.call("bridge_models:frozen") == [False, False]


def test_one_wrong_weight_is_noticed(keras_process: FunctionProcess) -> None:
    assert keras_process.call("bridge_models:mistaken") > TOLERANCE


def test_a_subclassed_model_is_named_as_such(keras_process: FunctionProcess) -> None:
    with pytest.raises(ProcessError, match=r"BridgeError.*subclassed model \(Own\)"):
        keras_process.call("bridge_models:there_and_back", name="subclassed")


def test_a_quantized_model_is_refused(keras_process: FunctionProcess) -> None:
    with pytest.raises(InputError, match="already quantized"):
        keras_process.call("bridge_models:quantized")
