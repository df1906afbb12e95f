"""Networks of other sizes than the usual ones: what tuning may take must go through every format."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.train.own_data.test_end_to_end import run

# In a process of its own: TensorFlow.
BUILD = """
import sys
import numpy as np
from edgeship.train.own_data import networks
from edgeship.train.own_data.configuration import NetworkSize
from edgeship.train.own_data.samples import Samples, Target
random = np.random.default_rng(0)
numbers = np.stack([random.normal(2000, 7, 300), random.exponential(9e5, 300), np.ones(300)], 1).astype(np.float32)
targets = (numbers[:, 0] > 2000).astype(np.int64)
ids = random.integers(1, 40, (300, 6)).astype(np.int32)
ids[np.arange(6) >= np.arange(300)[:, None] % 7] = 0
train = Samples({"numbers": numbers, "text_note": ids}, targets, np.arange(300))
size = NetworkSize(0.5, 3, 0.2, 7)
model = networks.table_network(train, Target("t", ("a", "b")), size, entries=0, buckets={"text_note": 39})
model.save(sys.argv[1] + "/server.keras")
import keras
bins = keras.Model(model.inputs, model.get_layer("through_bins").output)
words = keras.Model(model.inputs, model.get_layer("text_note_dropout").input)
feeds = {"numbers": numbers, "text_note": ids}
np.savez(sys.argv[1] + "/calibration.npz", **feeds)
np.savez(sys.argv[1] + "/evaluation.npz", **feeds, y=targets)
np.save(sys.argv[1] + "/bins.npy", bins.predict(feeds, verbose=0))
vectors = model.get_layer("text_note_vectors").get_weights()[0]
np.savez(sys.argv[1] + "/words.npz", vectors=vectors, sums=words.predict(feeds, verbose=0))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    subprocess.run([sys.executable, "-c", BUILD, str(folder)], check=True, capture_output=True)
    return folder


@pytest.mark.more
def test_bins_say_how_far_a_number_is_through_each_quantile(built: Path) -> None:
    """Seven bins a column, from 0 to 1; a column that never changes stays 0."""
    places = np.load(built / "bins.npy").reshape(300, 3, 7)
    numbers = np.load(built / "calibration.npz")["numbers"]
    for column in range(2):
        values = numbers[:, column].astype(np.float64)
        ends = np.quantile(values, np.linspace(0, 1, 8))
        expected = np.clip((values[:, None] - ends[:-1]) / np.diff(ends), 0, 1)
        np.testing.assert_allclose(places[:, column], expected, atol=2e-4)
    assert not places[:, 2].any()


@pytest.mark.more
def test_the_vectors_of_words_are_added_up_over_the_root_of_their_number(built: Path) -> None:
    """What is after the last word does not count, though 0 has a vector, too; of no word it is 0."""
    found, ids = np.load(built / "words.npz"), np.load(built / "calibration.npz")["text_note"]
    assert {*np.count_nonzero(ids, axis=1)} == set(range(7)) and np.abs(found["vectors"][0]).max() > 0
    for row, total in zip(ids, found["sums"], strict=True):
        words = found["vectors"][row[row > 0]].astype(np.float64)
        np.testing.assert_allclose(total, words.sum(axis=0) / max(len(words), 1) ** 0.5, atol=1e-5)


@pytest.mark.more
def test_bins_and_words_go_through_every_format(built: Path) -> None:
    for command in ("edgeship convert server.keras --out bundle --variant float32,int8", "edgeship verify bundle"):
        done = run(built, command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    artifacts = json.loads((built / "bundle" / "manifest.json").read_text())["artifacts"]
    assert {item["id"] for item in artifacts} >= {"tflite/float32", "onnx/float32", "tfjs/float32", "tflite/int8"}


# In a process of its own, too. One epoch, as the best of several hangs on what all branches say.
CROSS = """
import sys
import keras
import numpy as np
from edgeship.train.own_data import fitting, networks
from edgeship.train.own_data.configuration import NetworkSize, Plan
from edgeship.train.own_data.samples import Samples, Target
kind = sys.argv[1]
labels = {"two": ("a", "b"), "three": ("a", "b", "c"), "value": ()}[kind]
random = np.random.default_rng(0)
inputs = {
    "numbers": random.normal(size=(200, 3)).astype(np.float32),
    "categories": random.integers(0, 5, (200, 1)).astype(np.int32),
}
parts = np.arange(200) % networks.BRANCHES
truth = random.normal(size=200).astype(np.float32) if kind == "value" else random.integers(0, len(labels), 200)
def answer(targets):
    keras.utils.set_random_seed(0)
    samples, target = Samples(inputs, targets, np.arange(200)), Target("t", labels)
    model = networks.table_network(samples, target, NetworkSize(1, 2, 0.1), entries=5, apart=True)
    (epoch,) = fitting.fit_crossed(model, samples, parts, target, Plan(1, 16), 0, lambda **_: None)
    scores = networks.stack_branches(model).predict(inputs, verbose=0)
    return epoch, scores, model.predict(inputs, verbose=0)
other = truth.copy()
other[parts == 0] = truth[parts == 0][::-1] + (1 if kind == "value" else 0)
(_, scores, _), (epoch, others, answers) = answer(truth), answer(other)
np.testing.assert_array_equal(scores[:, 0], others[:, 0])
assert all(np.abs(scores[:, branch] - others[:, branch]).max() > 1e-3 for branch in range(1, networks.BRANCHES))
own = others[np.arange(200), parts]
if kind == "value":
    loss = np.square(own[:, 0] - other)
    np.testing.assert_allclose(answers, others.mean(axis=1), atol=1e-5)
elif kind == "two":
    loss = np.logaddexp(0, own[:, 0]) - own[:, 0] * other
else:
    loss = np.log(np.exp(own).sum(axis=1)) - own[np.arange(200), other]
np.testing.assert_allclose(epoch.validation_loss, loss.mean(), rtol=1e-4)
"""


@pytest.mark.more
@pytest.mark.parametrize("kind", ["two", "three", "value"])
def test_a_branch_learns_nothing_from_the_rows_that_it_validates(kind: str) -> None:
    """Other targets of its rows leave it as it is; and the validation loss is what each branch says of its own rows."""
    done = subprocess.run([sys.executable, "-c", CROSS, kind], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
