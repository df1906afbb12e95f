"""What a newcomer brings to docs/data.md, from real data: raw files of four kinds and a Keras model trained on each.

Called in a TensorFlow process: `prepare(folder)` writes the folders `pictures`, `table`, `text` and `several`, and `run`
executes a block of the page in one of them.
"""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.train import fashion_mnist, motion
from edgeship.train.dataset import Split

ROOT = Path(__file__).parents[3]
PER_CLASS = {"train": 150, "test": 60}
COLUMNS = ("ax", "ay", "az", "gx", "gy", "gz")
WORDS = 40


def run(code: str, folder: str) -> None:
    """Execute Python code in a folder, as `python` would."""
    here = os.getcwd()
    os.chdir(folder)
    try:
        exec(compile(code, "docs/data.md", "exec"), {"__name__": "__main__"})
    finally:
        os.chdir(here)


def prepare(folder: str) -> None:
    """Write everything."""
    import keras

    keras.utils.set_random_seed(3)
    for name, begin in {"pictures": _pictures, "table": _table, "text": _text, "several": _several}.items():
        (Path(folder) / name).mkdir(parents=True)
        begin(Path(folder) / name)


def _fit(model: Any, inputs: Any, labels: Any, losses: Any, epochs: int = 5) -> None:
    model.compile("adam", losses)
    model.fit(inputs, labels, epochs=epochs, batch_size=16, verbose=0)


def _some(split: Split, classes: range, count: int) -> tuple[Any, Any]:
    """The first `count` samples of each class."""
    chosen = np.concatenate([np.flatnonzero(split.labels == number)[:count] for number in classes])
    return split.inputs[chosen], split.labels[chosen]


def _pictures(folder: Path) -> None:
    """Fashion-MNIST as `.png` files, a folder per class."""
    from keras import Input, Sequential, layers, utils
    from PIL import Image

    data = fashion_mnist.load(None)
    for part, count in PER_CLASS.items():
        for number, (image, label) in enumerate(zip(*_some(data.splits[part], range(3), count), strict=True)):
            path = folder / "pictures" / part / data.labels[label].replace("/", "-") / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.reshape(28, 28).astype(np.uint8)).save(path)
    model = Sequential(
        [
            Input((28, 28, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    train = utils.image_dataset_from_directory(folder / "pictures/train", image_size=(28, 28), verbose=False)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(train, epochs=3, verbose=0)
    model.save(folder / "model.keras")


def _table(folder: Path) -> None:
    """A `.csv` of the spread of each channel of a watch's recordings, with the exercise's name in the last column."""
    from keras import Input, Sequential, layers

    data = motion.load(None)
    names = ("abduction", "pendulum", "upright row")
    train: list[Any] = []
    for part, file in {"train": "calibration", "test": "evaluation"}.items():
        windows, labels = data.splits[part].inputs, data.splits[part].labels
        with (folder / f"{file}.csv").open("w", newline="") as stream:
            table = csv.writer(stream)
            table.writerow([*COLUMNS, "exercise"])
            for window, label in zip(windows, labels, strict=True):
                if data.labels[label] in names:
                    row = [round(float(value), 5) for value in window.std(axis=0)]
                    table.writerow([*row, data.labels[label]])
                    if part == "train":
                        train.append((row, names.index(data.labels[label])))
    x, y = np.array([row for row, _ in train], "float32"), np.array([label for _, label in train])
    scale = layers.Normalization()
    scale.adapt(x)
    model = Sequential([Input((6,)), scale, layers.Dense(24, activation="relu"), layers.Dense(3, activation="softmax")])
    _fit(model, x, y, "sparse_categorical_crossentropy")
    model.save(folder / "model.keras")


def _text(folder: Path) -> None:
    """Sentences of this project's pages (0) and of its licences (1), tab-separated, and a model that takes strings."""
    import tensorflow as tf
    from keras import Input, Sequential, layers

    pages = [*ROOT.glob("docs/*.md"), *ROOT.glob("docs/decisions/*.md")]
    licences = [ROOT / "LICENSE", *ROOT.glob("LICENSES/*.txt")]
    rows = []
    for label, files in enumerate((pages, licences)):
        text = " ".join(re.sub(r"\s+", " ", path.read_text()) for path in sorted(files))
        sentences = [sentence for sentence in re.split(r"(?<=[.;:]) ", text) if len(sentence.split()) > 5]
        rows += [(label, sentence) for sentence in sentences[:300]]
    for remainder, file in ((0, "evaluation"), (1, "calibration")):
        lines = [f"{label}\t{text}\n" for number, (label, text) in enumerate(rows) if (number % 3 > 0) == remainder]
        (folder / f"{file}.tsv").write_text("".join(lines), encoding="utf-8")
    train = [row for number, row in enumerate(rows) if number % 3]
    vectorize = layers.TextVectorization(2000, output_sequence_length=WORDS)
    vectorize.adapt([text for _, text in train])
    model = Sequential(
        [
            Input((1,), dtype="string"),
            vectorize,
            layers.Embedding(2000, 16),
            layers.GlobalAveragePooling1D(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    texts = tf.constant([[text] for _, text in train])
    _fit(model, texts, np.array([label for label, _ in train]), "binary_crossentropy", epochs=20)
    model.save(folder / "with_text.keras")


def _several(folder: Path) -> None:
    """Recordings with a second input, and a second output: how strong the motion is."""
    from keras import Input, Model, layers

    data = motion.load(None)
    (folder / "recordings").mkdir()
    arrays: dict[str, dict[str, Any]] = {}
    for part, file in {"train": "calibration", "test": "evaluation"}.items():
        windows, labels = _some(data.splits[part], range(7), PER_CLASS[part])
        spread = windows.std(axis=1)
        arrays[file] = {
            "windows": windows.astype("float32"),
            "strengths": spread[:, :3].astype("float32"),
            "exercises": labels,
            "efforts": spread[:, 3:].mean(axis=1, keepdims=True).astype("float32"),
        }
        np.savez(folder / "recordings" / f"{file}.npz", **arrays[file])
    window, strength = Input((128, 6), name="window"), Input((3,), name="strength")
    x = layers.Conv1D(16, 9, strides=4, activation="relu")(window)
    x = layers.Concatenate()([layers.GlobalAveragePooling1D()(x), strength])
    x = layers.Dense(16, activation="relu")(x)
    exercise = layers.Dense(7, activation="softmax", name="exercise")(x)
    model = Model([window, strength], [exercise, layers.Dense(1, name="effort")(x)])
    given = arrays["calibration"]
    inputs = [given["windows"], given["strengths"]]
    _fit(model, inputs, [given["exercises"], given["efforts"]], ["sparse_categorical_crossentropy", "mse"])
    model.save(folder / "model.keras")


def compare_text(folder: str) -> float:
    """How far the model that takes numbers is from the one that takes strings: the largest difference of an answer."""
    import keras
    import tensorflow as tf

    place = Path(folder)
    rows = [line.split("\t") for line in (place / "evaluation.tsv").read_text(encoding="utf-8").splitlines()]
    with np.load(place / "evaluation.npz") as data:
        inside = keras.models.load_model(place / "with_text.keras")(tf.constant([[text] for _, text in rows]))
        outside = keras.models.load_model(place / "model.keras")(data["ids"])
    return float(np.abs(np.asarray(inside) - np.asarray(outside)).max())
