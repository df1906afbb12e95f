"""MediaPipe Tasks: what it is not given, and that it answers what the artifact answers, by name."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeship.deploy.metadata import three_channels, write
from edgeship.deploy.metadata.description import InputDescription, ModelDescription, OutputDescription, Picture
from edgeship.errors import MissingDependencyError, ProcessError
from edgeship.runtimes.registry import find
from edgeship.runtimes.session import open_session
from edgeship.types import METADATA, Artifact, Bridge, Step, TensorSpec

IMAGE, SCORES = TensorSpec("image", (1, 8, 8, 3), "float32"), TensorSpec("probs", (1, 5), "float32")
STEP = Step(METADATA, "", {"pictures": {"image": {"std": [255.0]}}})
FITTING = Artifact(Path(), "tflite", "mobile", (IMAGE,), (SCORES,), (STEP,))
LABELS = ("a", "b", "c", "d", "e")
AFFINE = {"step": "affine", "multiply": [1 / 255], "add": [0.0]}
CONTRACT = {
    "inputs": [{"name": "image", "kind": "image", "steps": [AFFINE], "tensor": {"shape": [1, 8, 8, 3]}}],
    "outputs": [{"name": "probs", "shape": [1, 5], "labels": LABELS}],
}
IMAGES = (np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1)) / 255).astype(np.float32)
BRIDGE = Bridge({"image": "image", "probs": "probs"}, three_channels=("image",))


def test_what_fits_is_not_refused():
    assert find("mediapipe").refusal(FITTING) is find("mediapipe-web").refusal(FITTING) is None
    assert "a stranger's file" in (find("mediapipe-web").refusal(replace(FITTING, steps=())) or "")
    assert find("mediapipe").refusal(replace(FITTING, steps=())) is None, "a stranger's file is opened to see"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"inputs": (IMAGE, IMAGE)}, "takes one picture"),
        ({"inputs": (TensorSpec("image", (1, 8), "float32"),)}, "takes one picture"),
        ({"inputs": (replace(IMAGE, dtype="int8"),)}, "'image' is int8: make a variant with mobile = true"),
        ({"outputs": (replace(SCORES, dtype="int8"),)}, "'probs' is int8: make a variant with mobile = true"),
        ({"inputs": (replace(IMAGE, shape=(1, 8, 8, 1)),)}, '1x8x8x1, and .* three channels: make .* mobile = "rgb"'),
        ({"inputs": (replace(IMAGE, shape=(1, 8, 8, 5)),)}, "1x8x8x5, and MediaPipe takes pictures of three channels"),
        ({"inputs": (replace(IMAGE, shape=(1, None, 8, 3)),)}, r"1x\?x8x3, and .* three channels and one size"),
        ({"outputs": (replace(SCORES, shape=(1, 8, 8, 5)),)}, "one score a class"),
        (
            {"steps": (Step("export", ""),)},
            "how a picture is scaled, and it has none: make a variant with mobile = true",
        ),
        ({"steps": (Step(METADATA, "", {"pictures": {}}),)}, "metadata do not say it"),
        (
            {"steps": (Step(METADATA, "", {"pictures": {"image": {"std": [1, 2, 3]}}}),)},
            "one mean and std for all",
        ),
    ],
)
def test_what_it_does_not_take_is_told_beforehand(change, why):
    reason = find("mediapipe").refusal(replace(FITTING, **change))
    assert reason
    assert re.search(why, reason), reason


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """MediaPipe in an environment of the test's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        prepare = find("mediapipe").prepare
        assert prepare
        try:
            prepare()
        except MissingDependencyError as error:
            pytest.skip(str(error))
        yield


@pytest.fixture
def mobile(tiny_models, tmp_path):
    """A grey int8 model that takes three channels of bytes, and tells so; `threshold` of its scores."""

    def write_file(threshold=None):
        picture = Picture(8, 8, "rgb", (0.0,), (255.0,))
        outputs = (OutputDescription("probs", LABELS, threshold),)
        grey = (tiny_models / "cnn-one-int8.tflite").read_bytes()
        rgb = three_channels.take_three_channels(grey, "image")
        told = ModelDescription("m", (InputDescription("image", picture),), outputs)
        path = tmp_path / "mobile.tflite"
        path.write_bytes(write.add_metadata(rgb, told, json.dumps(CONTRACT).encode()))
        return path

    return write_file


def check_answers(runtime, path):
    """It answers bytes as LiteRT does, and refuses what is none."""
    answers = {}
    for name in ("litert", runtime):
        with open_session(name, path, bridge=BRIDGE, sample={"image": IMAGES[:1]}) as session:
            answers[name] = session.run({"image": IMAGES})["probs"]
            if name == runtime:
                assert session.infer_once() > 0 and session.block(0.001)
                with pytest.raises(ProcessError, match="takes bytes, and these data are none"):
                    session.run({"image": IMAGES + np.float32(0.001)})
    np.testing.assert_allclose(answers[runtime], answers["litert"], atol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_it_answers_what_the_artifact_answers(mobile, tiny_models):
    check_answers("mediapipe", mobile(threshold=0.9))
    with pytest.raises(ProcessError, match="depth = 3"), open_session("mediapipe", tiny_models / "cnn-one-int8.tflite"):
        pass


def test_in_a_page_it_answers_the_same(mobile, missing, tiny_models):
    if reason := find("mediapipe-web").unavailable_reason():
        missing(reason)
    check_answers("mediapipe-web", mobile(threshold=0.9))
    plain = tiny_models / "cnn-one-int8.tflite"
    with pytest.raises(ProcessError, match="holds no contract of edgeship"), open_session("mediapipe-web", plain):
        pass


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_its_worker_reaches_nobody():
    """MediaPipe 1.2 sends statistics of use; libcurl in it goes by these variables."""
    env = find("mediapipe").launch().env
    assert {env[name] for name in ("https_proxy", "http_proxy", "all_proxy")} == {"http://127.0.0.1:9"}
