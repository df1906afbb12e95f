"""MediaPipe Tasks: what it is not given, and that it answers what the artifact answers, by name."""

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


def test_what_fits_is_not_refused():
    assert find("mediapipe").refusal(FITTING) is None
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


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_it_answers_what_the_artifact_answers(tiny_models, tmp_path):
    picture, path = Picture(8, 8, "rgb", (0.0,), (255.0,)), tmp_path / "mobile.tflite"
    told = ModelDescription("m", (InputDescription("image", picture),), (OutputDescription("probs", LABELS, 0.9),))
    grey = (tiny_models / "cnn-one-int8.tflite").read_bytes()
    path.write_bytes(write.add_metadata(three_channels.take_three_channels(grey, "image"), told, b"{}"))
    images = (np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1)) / 255).astype(np.float32)
    bridge = Bridge({"image": "image", "probs": "probs"}, three_channels=("image",))
    answers = {}
    for runtime in ("litert", "mediapipe"):
        with open_session(runtime, path, bridge=bridge) as session:
            answers[runtime] = session.run({"image": images})["probs"]
    np.testing.assert_allclose(answers["mediapipe"], answers["litert"], atol=1e-6)
    with open_session("mediapipe", path, bridge=bridge, sample={"image": images[:1]}) as session:
        with pytest.raises(ProcessError, match="takes bytes, and these data are none"):
            session.run({"image": images + 0.001})
        assert session.infer_once() > 0 and session.block(0.001)
    path.write_bytes(grey)
    with pytest.raises(ProcessError, match="depth = 3"), open_session("mediapipe", path):
        pass


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_its_worker_reaches_nobody():
    """MediaPipe 1.2 sends statistics of use; libcurl in it goes by these variables."""
    env = find("mediapipe").launch().env
    assert {env[name] for name in ("https_proxy", "http_proxy", "all_proxy")} == {"http://127.0.0.1:9"}
