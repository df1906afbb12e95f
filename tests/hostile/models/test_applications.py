"""Networks that everybody uses load without a new permission, as `.keras` and `.h5`, from Keras 3 and tf_keras."""

from __future__ import annotations

import pytest

from edgeship.processes.child import FunctionProcess
from tests.hostile.models.attacks import CHILD_PATH

NAMES = [
    *("MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "EfficientNetB0", "EfficientNetV2B0"),
    *("NASNetMobile", "DenseNet121", "InceptionV3", "ResNet50", "ResNet50V2", "Xception", "ConvNeXtTiny"),
    "InceptionResNetV2",
]
# What either Keras writes and cannot read itself, with whatever permission.
UNREADABLE = {
    ("MobileNetV3Small", "keras", ".h5"),
    ("MobileNetV3Large", "keras", ".h5"),
    ("ConvNeXtTiny", "keras", ".h5"),
    ("ConvNeXtTiny", "tf_keras", ".keras"),
}
# Those with a layer of their own, which the old format does not place in Keras.
OWN = {"ConvNeXtTiny": "convnext", "InceptionResNetV2": "inception_resnet_v2"}


@pytest.fixture(scope="module")
def tensorflow():
    with FunctionProcess(env={"PYTHONPATH": CHILD_PATH}) as process:
        yield process


@pytest.mark.more
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("engine", ["keras", "tf_keras"])
@pytest.mark.parametrize("name", NAMES)
def test_it_loads(name, engine, suffix, tensorflow, tmp_path):
    options = {}
    if name in OWN and suffix == ".h5":
        options = {"custom_objects": f"{engine}.src.applications.{OWN[name]}"}
    outcome = tensorflow.call(
        "tests.hostile.models.honest_models:application",
        name=name,
        engine=engine,
        suffix=suffix,
        folder=str(tmp_path),
        **options,
    )
    if (name, engine, suffix) in UNREADABLE:
        assert (
            f"{engine} cannot load it: TypeError" in outcome["error"]
            or "cannot load it: ValueError" in outcome["error"]
        )
    else:
        assert outcome["error"] == ""
        assert outcome["loader"] == engine
