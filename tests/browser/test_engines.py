"""The engines in a page: the same numbers as elsewhere, and times only where they mean something."""

from __future__ import annotations

import numpy as np
import pytest

from edgeship.errors import ProcessError
from edgeship.runtimes.session import open_session

pytestmark = pytest.mark.usefixtures("chromium")


@pytest.mark.parametrize("runtime", ["tfjs-cpu", "tfjs-webgl", "tfjs-webgpu"])
def test_other_backends_of_tfjs_give_the_same_numbers(runtime, tiny_models, images, expected):
    with open_session(runtime, tiny_models / "cnn-tfjs") as session:
        assert session.engine["backend"] == runtime.removeprefix("tfjs-")
        np.testing.assert_allclose(session.run(images)["probs"], expected["probs"], atol=1e-4, rtol=0)
        if session.engine.get("software"):
            with pytest.raises(ProcessError, match=r"software .* says nothing about the speed"):
                session.latency(0.1, 1)


def test_int8_in_the_browser_is_int8_in_python_to_the_bit(tiny_models, images):
    path = tiny_models / "cnn-one-int8.tflite"
    with open_session("litert", path) as here, open_session("litert-web", path) as page:
        np.testing.assert_array_equal(page.run(images)["probs"], here.run(images)["probs"])


@pytest.mark.parametrize(
    ("runtime", "name"), [("tfjs-web", "cnn-tfjs"), ("litert-web", "cnn-one.tflite"), ("ort-web", "cnn.onnx")]
)
def test_two_threads(runtime, name, tiny_models, images, expected):
    with open_session(runtime, tiny_models / name, threads=2) as session:
        assert session.engine["threads"] == 2
        np.testing.assert_allclose(session.run(images)["probs"], expected["probs"], atol=1e-5, rtol=0)


def test_the_page_is_isolated_and_its_clock_is_told(tiny_models):
    with open_session("tfjs-web", tiny_models / "cnn-tfjs") as session:
        assert session.engine["isolated"] is True
        assert 0 < session.engine["clock_resolution_ms"] <= 0.1
        assert session.engine["browser"].startswith("Chromium ")


def test_memory_is_that_of_the_page_and_not_of_another_process(tiny_models, images):
    many = {"image": np.repeat(images["image"][:1], 64_000_000 // images["image"][:1].nbytes, axis=0)}
    with open_session("ort-web", tiny_models / "cnn.onnx") as session:
        session.run(many)
        memory = session.memory()
    assert memory.peak_bytes and memory.baseline_bytes
    assert memory.peak_bytes - memory.baseline_bytes > many["image"].nbytes
