"""Networks that everybody uses load without a new permission, as `.keras` and `.h5`, from Keras 3 and tf_keras."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeship.process import FunctionProcess

HERE = Path(__file__).parent
NAMES = [
    *("MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "EfficientNetB0", "EfficientNetV2B0"),
    *("NASNetMobile", "DenseNet121", "InceptionV3", "ResNet50", "ResNet50V2", "Xception", "ConvNeXtTiny"),
]
# What either Keras writes and cannot read itself, with whatever permission.
UNREADABLE = {
    ("MobileNetV3Small", "keras", ".h5"),
    ("MobileNetV3Large", "keras", ".h5"),
    ("ConvNeXtTiny", "keras", ".h5"),
    ("ConvNeXtTiny", "tf_keras", ".keras"),
}


@pytest.fixture(scope="module")
def tensorflow():
    with FunctionProcess(env={"PYTHONPATH": str(HERE)}) as process:
        yield process


@pytest.mark.more
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("engine", ["keras", "tf_keras"])
@pytest.mark.parametrize("name", NAMES)
def test_it_loads(name, engine, suffix, tensorflow, tmp_path):
    options = {}
    if name == "ConvNeXtTiny" and suffix == ".h5":  # a layer of its own, which the old format does not place in Keras
        options = {"custom_objects": f"{engine}.src.applications.convnext"}
    found = tensorflow.call(
        "model_honest:application", name=name, engine=engine, suffix=suffix, folder=str(tmp_path), **options
    )
    if (name, engine, suffix) in UNREADABLE:
        assert f"{engine} cannot load it: TypeError" in found["error"] or "cannot load it: ValueError" in found["error"]
    else:
        assert found["error"] == ""
        assert found["loader"] == engine
