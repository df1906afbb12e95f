"""Models in the runtimes of a device, fed as a contract says, answer as they do in edgeship's own sessions."""

from __future__ import annotations

import numpy as np
import pytest

from edgeship.client.outcome import SelfTestUnfinishedError
from edgeship.client.selftest import engines
from edgeship.client.selftest.engines import open_engine
from edgeship.runtimes.session import open_session
from edgeship.types import to_json


def describe(session, order):
    """What a contract says of a file: `order` are its tensors' names in the file, inputs and outputs."""
    sides = {}
    for side, specs, names in (("inputs", session.inputs, order[0]), ("outputs", session.outputs, order[1])):
        known = {spec.name: spec for spec in specs}
        sides[side] = [
            {
                side[:-1]: name,
                "tensor": name,
                "index": place,
                "dtype": known[name].dtype,
                "quantization": edge(known[name]),
            }
            for place, name in enumerate(names)
        ]
    return sides


def edge(spec):
    found = to_json(spec.quantization)
    return found and {"scale": found["scale"][0], "zero_point": found["zero_point"][0]}


@pytest.mark.parametrize(
    ("file", "runtime", "order"),
    [
        ("cnn-int8.tflite", "litert", (["image"], ["probs"])),
        ("cnn.onnx", "onnxruntime", (["image"], ["probs"])),
        ("pair.tflite", "litert", (["ids", "values"], ["narrow", "wide"])),
    ],
)
def test_an_engine_answers_as_a_session_does(tiny_models, file, runtime, order):
    model = file.partition(".")[0].partition("-")[0]
    with np.load(tiny_models / "expected.npz") as arrays:
        feeds = {name: arrays[f"{model}/inputs/{name}"] for name in order[0]}
    with open_session(runtime, tiny_models / file) as session:
        wanted, described = session.run(feeds), describe(session, order)
    engine = open_engine(file.rpartition(".")[2], tiny_models / file, described)
    for row in range(3):
        answers = engine.run({name: values[row : row + 1].astype(np.float32) for name, values in feeds.items()})
        for name in order[1]:
            np.testing.assert_allclose(answers[name], wanted[name][row].ravel(), rtol=0, atol=1e-6)


def test_without_a_runtime_nothing_is_said_of_the_model(tiny_models, monkeypatch):
    monkeypatch.setattr(engines, "find_runtime", lambda form: None)
    with pytest.raises(SelfTestUnfinishedError, match="pip install ai-edge-litert"):
        open_engine("tflite", tiny_models / "cnn.tflite", {})
