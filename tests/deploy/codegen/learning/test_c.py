"""C learns what `edgeship.client.learning` learns: heads of every kind, what is refused, what is kept of it on the device."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.client.learning import HeadLearner, LearnSettings
from edgeship.client.learning.package import Samples
from edgeship.deploy.codegen.lessons import REASONS, ExactLearner
from edgeship.runtimes.clients.lanes import LANES
from edgeship.runtimes.clients.tools import tflite_library
from tests.deploy.codegen.conftest import DRIVERS, edgeship, run
from tests.deploy.codegen.learning.conftest import ACTIVATIONS
from tests.deploy.codegen.learning.script import Array, Script, play
from tests.deploy.codegen.test_preprocessing import STRICT
from tests.learning.head.head_models import draw

SHARED = ("edgeship", "table", "engine_tflite")
LEARNING = ("arithmetic", "learn", "learner", "state")
SELFTEST = ("main", "selftest", "contract")
STATUSES = ["", *REASONS]
FAR = LearnSettings(passes=200, fewest_steps=1500, limit=0.0)


@dataclass(frozen=True)
class Taught:
    """A client in C with its programs, and the bundle that it is of."""

    bundle: Path
    client: Path
    teach: Path
    selftest: Path

    def play(self, state: Path, script: Script) -> tuple[list[dict[str, Any]], Array]:
        return play(self.teach, self.client / "head", state, script)

    @property
    def learning(self) -> Path:
        return self.bundle / "learning"


@pytest.fixture(scope="module")
def taught_of(bundle_of, tmp_path_factory, missing) -> Callable[[str], Taught]:
    """Compiled with sanitizers; what is the same for all heads once."""
    if reason := LANES["client-c"].unavailable_reason():
        missing(f"client-c: {reason} (make clients)")
    root, library = tmp_path_factory.mktemp("taught"), tflite_library().parent
    compiler = [str(shutil.which("gcc") or shutil.which("cc")), *STRICT, "-O1", "-g", "-fsanitize=address,undefined"]
    link = [f"-L{library}", f"-Wl,-rpath,{library}", "-ltensorflowlite_c", "-lm"]
    known: dict[str, Taught] = {}

    def build(activation: str) -> Taught:
        if activation in known:
            return known[activation]
        bundle, out = bundle_of(activation), root / activation
        edgeship("deploy", "codegen", bundle, "--for", "c", "--out", out, "--artifact", "tflite/int8")
        client = out / "c"
        if not known:
            files = [client / f"{name}.c" for name in SHARED] + [client / "learning" / f"{name}.c" for name in LEARNING]
            run(*compiler, "-c", f"-I{client}", *files, DRIVERS / "teach.c", cwd=root)
        parts = [root / f"{name}.o" for name in (*SHARED, *LEARNING)]
        run(*compiler, client / "learning" / "head.c", *parts, root / "teach.o", "-o", out / "teach", *link)
        own = [client / f"{name}.c" for name in (*SELFTEST, "learning/head", "learning/lessons")]
        own += sorted((client / "counting").glob("*.c"))
        run(*compiler, *own, *parts, "-o", out / "selftest", *link)
        known[activation] = Taught(bundle, client, out / "teach", out / "selftest")
        return known[activation]

    return build


def draw_samples(learner: HeadLearner, count: int) -> Samples:
    """Features of pictures of another camera, with targets such as those that travel with the head."""
    data = draw(count, 7, moved=True)
    features = learner.compute_features({"image": data["image"].astype(np.float32)})
    target = np.eye(4, dtype=np.float32)[data["y"]]
    if learner.package.activation == "sigmoid":
        target = target + np.roll(target, 1, axis=1)
    if learner.package.activation == "linear":
        scores = features @ learner.package.head.weights + learner.package.head.bias
        target = (scores + np.cos(np.arange(scores.size)).reshape(scores.shape)).astype(np.float32)
    return Samples(features, target)


def head_of(learner: HeadLearner) -> Array:
    return np.concatenate([learner.head.weights.ravel(), learner.head.bias])


def assert_same(said: dict[str, Any], result: Any) -> None:
    """All that learning tells; shares of right answers may differ by a sample that lies on the line."""
    reason = next((name for name, text in REASONS.items() if result.reason.startswith(text)), "")
    assert (said["kept"], STATUSES[said["status"]]) == (result.kept, reason)
    names = ("samples", "held_out", "steps", "rate", "share")
    assert [said[name] for name in names] == [getattr(result, name) for name in names]
    if reason == "loss":
        return  # what a rate that is too large leads to hangs on each bit
    numbers = [
        getattr(result, f"{name}_{when}")
        for name in ("loss", "corrected", "guard", "held_out")
        for when in ("before", "after")
    ]
    for found, wanted in zip(said["numbers"], numbers, strict=True):
        if wanted is None or not np.isfinite(wanted):
            assert found is None
        else:
            assert found == pytest.approx(wanted, rel=1e-3, abs=0.02)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_learns_what_python_learns(activation, taught_of, tmp_path):
    taught = taught_of(activation)
    samples = draw_samples(HeadLearner(taught.learning, tmp_path / "none"), 1100)
    few = Samples(samples.features[:64], samples.target[:64])
    script, results, heads = Script(), [], []
    for number, (given, settings) in enumerate(
        [
            (few, LearnSettings()),
            (few, FAR),
            (few, LearnSettings(rate=5000.0)),
            (few, LearnSettings(rate=1e30)),
            (replace(few, target=np.roll(few.target, 1, axis=0)), LearnSettings()),
            (samples, LearnSettings()),
        ]
    ):
        learner = ExactLearner(taught.learning, str(tmp_path / f"python{number}"), {})
        known = given if len(given) <= 1024 else Samples(given.features[-1024:], given.target[-1024:])
        learner._state.write_samples(known, np.arange(len(given))[-1024:])
        results.append(learner.learn(settings))
        heads.append(head_of(learner))
        numbers = [settings.rate or 0, settings.passes, settings.fewest_steps, settings.most_steps, settings.limit]
        script.keep(given).learn(*numbers).show_head().forget(samples=True)
    told, answers = taught.play(tmp_path / "state", script)
    for said, result in zip([item for item in told if item["what"] == "l"], results, strict=True):
        assert_same(said, result)
    assert any(result.kept for result in results) and {"loss"} <= {
        STATUSES[item["status"]] for item in told if item["what"] == "l"
    }
    for found, wanted in zip(answers.reshape(len(heads), -1), heads, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * abs(wanted).max())


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_its_self_test_passes(activation, taught_of):
    taught = taught_of(activation)
    result = json.loads(run(taught.selftest, "model.tflite", "goldens", cwd=taught.client).stdout)
    assert result["passed"] is True and result["failures"] == []


def test_it_answers_with_the_head_that_it_learned_and_after_a_restart(taught_of, tmp_path):
    taught = taught_of("softmax")
    corrected, moved = draw(64, 7, moved=True), draw(200, 8, moved=True)
    given, asked = (data["image"].astype(np.float32) for data in (corrected, moved))
    script = Script().predict(asked).collect(given, corrected["y"]).learn().predict(asked)
    told, answers = taught.play(tmp_path / "state", script)
    before, after = answers.reshape(2, 200, 4)
    right = [float((scores.argmax(1) == moved["y"]).mean()) for scores in (before, after)]
    assert right[1] > right[0] + 0.1 and told[-1]["has_learned"] and told[-1]["samples"] == 64
    learner = HeadLearner(taught.learning, tmp_path / "python")
    np.testing.assert_allclose(before, learner.predict({"image": asked}), atol=0.02)  # kernels of an int8 base
    learner.collect({"image": given}, corrected["y"])
    assert learner.learn().kept
    np.testing.assert_allclose(after, learner.predict({"image": asked}), atol=0.03)
    told, again = taught.play(tmp_path / "state", Script().predict(asked).forget(samples=False).predict(asked))
    np.testing.assert_array_equal(again.reshape(2, 200, 4), [after, before])
    assert told[-1]["samples"] == 64 and not told[-1]["has_learned"]
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["samples.bin"]


def test_what_teaches_nothing_is_refused(taught_of, tmp_path):
    taught = taught_of("softmax")
    features, right = np.ones((3, 24), np.float32), np.eye(4, dtype=np.float32)[[1, 1, 1]]
    image = np.full((1, 8, 8, 1), np.nan, np.float32)
    script = Script().learn().keep(Samples(features, right)).learn()
    for bad in (Samples(features * np.inf, right), Samples(features, right * np.nan), Samples(features, right * 2)):
        script.keep(bad)
    script.collect(np.zeros((1, 8, 8, 1), np.float32), np.array([4])).predict(image)
    told, _ = taught.play(tmp_path / "state", script)
    texts = [item["text"] for item in told[1:]]
    assert "nothing was corrected" in texts[0] and "of one class" in texts[2]
    assert [text.split()[-1] for text in texts[3:6]] == ["numbers", "give", "give"]
    assert "label" in texts[6] and told[-1]["samples"] == 3
    (tmp_path / "file").write_text("no folder")
    told, _ = taught.play(tmp_path / "file", Script().keep(Samples(features, right)))
    assert "cannot be written" in told[1]["text"] and told[1]["samples"] == 0


@pytest.mark.parametrize("file", ["head.bin", "samples.bin"])
def test_a_damaged_file_counts_as_absent(file, taught_of, tmp_path):
    taught = taught_of("softmax")
    samples = draw_samples(HeadLearner(taught.learning, tmp_path / "none"), 64)
    told, _ = taught.play(tmp_path / "state", Script().keep(samples).learn())
    assert told[-1]["kept"]
    path = tmp_path / "state" / file
    content = path.read_bytes()
    nan = bytearray(content)
    nan[72 + 40 : 72 + 44] = np.float32(np.nan).tobytes()
    flips = [
        bytes([*content[:at], content[at] ^ 1, *content[at + 1 :]])
        for at in (0, 63, 64, 70, 500, len(content) - 1)
        if at < len(content)
    ]
    for damaged in (*flips, content[:-7], content + b"\0", b"", b"x" * 4000, bytes(nan)):
        path.write_bytes(damaged)
        told, _ = taught.play(tmp_path / "state", Script())
        assert (told[0]["has_learned"], told[0]["samples"]) == ((0, 64) if file == "head.bin" else (1, 0))
    path.write_bytes(content)
    path.with_name(f"{file}.new").write_bytes(b"half of what was written when the app was ended")
    told, _ = taught.play(tmp_path / "state", Script().keep(samples))
    assert told[0]["has_learned"] and told[1]["samples"] == 128
    other = taught_of("linear")  # another version of the model, of the same size
    told, _ = other.play(tmp_path / "state", Script())
    assert not told[0]["has_learned"] and told[0]["samples"] == 0
