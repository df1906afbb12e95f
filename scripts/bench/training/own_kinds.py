"""Four kinds of a person's own data, from `edgeship train --data` through `init` and `ship` to the gate's verdict.

`python -m scripts.bench.training.own_kinds [--only KIND ...]` writes docs/results/training/own_kinds.md. What is learned
from comes with edgeship or with scikit-learn, and is written as somebody's own data would lie there: a CSV, folders of
pictures, recordings with a table, a log.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.bundle.bundle import open_bundle
from edgeship.bundle.verdict import Check
from edgeship.train import embedded, motion
from edgeship.train.own_data.built_in import spoken_digits
from scripts import RESULTS, ROOT
from scripts.bench import parts
from scripts.bench.training.tuning import write_flights

PAGE, WORK = RESULTS / "training" / "own_kinds.md", ROOT / "runs" / "bench" / "own_kinds"
EVERY = 3  # of so many flights one: of half as many, too few are tested for the gate to be sure of half a point
RENDERINGS = 6  # of each spoken word
HALVES = ("--folds", "2")  # one is tested: with a fifth of these the gate cannot be sure of half a point
INTEGERS = ("int8", "auto")
VARIANTS = ("float32", "float16", *INTEGERS)
AXES = ("ax", "ay", "az", "gx", "gy", "gz")


@dataclass(frozen=True)
class Kind:
    """A kind of data: what it is made of, and what writes it into a folder and gives the options of `edgeship train`."""

    name: str
    what: str
    write: Callable[[Path], list[str]]


def write_rows(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A CSV."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(head)
        writer.writerows(rows)


def write_table(folder: Path) -> list[str]:
    """Flights with numbers, categories and gaps in both."""
    return ["--data", str(write_flights(folder, folder, EVERY)), "--label", "late", "--group", "day"]


def write_pictures(folder: Path) -> list[str]:
    """Handwritten digits as PNG files, a folder for each."""
    import sklearn.datasets
    from PIL import Image

    found: Any = sklearn.datasets.load_digits()
    for number, (picture, label) in enumerate(zip(found.images, found.target, strict=True)):
        place = folder / "digits" / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(picture * 255 / 16).astype(np.uint8)).save(place / f"{number}.png")
    return ["--data", str(folder / "digits"), "--folds", "3"]


def write_recordings(folder: Path) -> list[str]:
    """Synthetic spoken digits in noise as WAV files, with a table of their words and voices."""
    words, _ = spoken_digits.read_words()
    ends, rows = np.cumsum(words.lengths), []
    for place, end in enumerate(ends.tolist()):
        word = words.sounds[end - words.lengths[place] : end]
        for number in range(RENDERINGS):
            name = f"{place}-{number}.wav"
            pcm = spoken_digits.render_word(word, np.random.default_rng([place, number]))
            with wave.open(str(folder / name), "wb") as stream:
                stream.setparams((1, 2, spoken_digits.RATE, 0, "NONE", ""))
                stream.writeframes(pcm.astype("<i2").tobytes())
            rows.append((name, spoken_digits.LABELS[words.labels[place]], words.names[words.voices[place]]))
    write_rows(folder / "words.csv", ("file", "word", "voice"), rows)
    return ["--data", str(folder / "words.csv"), "--label", "word", "--group", "voice", *HALVES]


def write_windows(folder: Path) -> list[str]:
    """The log of a watch: time, person, exercise, acceleration and angular velocity."""
    arrays = embedded.read(embedded.FOLDER / motion.EMBEDDED_FILE, motion.EMBEDDED_DIGEST)
    values = np.cumsum(arrays["steps"], axis=1, dtype=np.int16).T / 1000
    ends = np.cumsum(arrays["lengths"])
    time = 0
    with (folder / "watch.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("time", "person", "exercise", *AXES))
        parts = zip(np.split(values, ends[:-1]), arrays["labels"].tolist(), arrays["subjects"].tolist(), strict=True)
        for recording, label, person in parts:
            writer.writerows(
                (time + at, f"p{person}", motion.LABELS[label], *row) for at, row in enumerate(recording.tolist())
            )
            time += len(recording)
    options = ["--label", "exercise", "--group", "person", "--time", "time", "--window", str(motion.WINDOW), *HALVES]
    return ["--data", str(folder / "watch.csv"), *options]


KINDS = (
    Kind("table", "flights, every third of those that come with edgeship", write_table),
    Kind("pictures", "handwritten digits of scikit-learn as PNG files, 8 x 8", write_pictures),
    Kind(
        "recordings",
        "synthetic spoken digits in noise as WAV files, 0.8 s; half of the voices learned",
        write_recordings,
    ),
    Kind("windows", "the log of a watch, 128 rows of six channels; five of ten people learned", write_windows),
)


def run_command(folder: Path, *arguments: str) -> int:
    """The exit code of a command of edgeship in a folder; what it says goes into a file there."""
    with (folder / "log.txt").open("a", encoding="utf-8") as log:
        command = [sys.executable, "-m", "edgeship.cli", *arguments]
        code = subprocess.run(command, check=False, cwd=folder, stdout=log, stderr=log).returncode
    if code > 1:
        raise RuntimeError(
            f"edgeship {' '.join(arguments)}: exit code {code}\n{(folder / 'log.txt').read_text()[-3000:]}"
        )
    return code


def describe_check(item: Check) -> str:
    """A figure of a check with its limit."""
    if item.value is None or item.limit is None:
        return f"{item.verdict.value}: {item.reason}"
    return f"{item.value:.2f} of {item.limit:g} {item.unit}, {item.verdict.value}"


def measure(kind: Kind) -> str:
    """A line of the page."""
    with tempfile.TemporaryDirectory() as folder:
        line = train_and_ship(kind, Path(folder))
    print(line, flush=True)
    return line


def train_and_ship(kind: Kind, folder: Path) -> str:
    """The way to the gate's verdict, and the line of the page on it."""
    options = kind.write(folder)
    trained = run_command(folder, "train", *options, "--out", "run")
    run_command(folder, "init", "run/server.keras")
    run_command(
        folder, "ship", "run/server.keras", "--out", "bundle", "--profile", "rapid", "--variant", ",".join(VARIANTS)
    )
    card = json.loads((folder / "run" / "model-card.json").read_text())
    share = card["results"]["accuracy"]
    best = max(card["results"]["baselines"], key=lambda item: float(item["accuracy"]))
    manifest = open_bundle(folder / "bundle").manifest
    if manifest.gate is None:
        raise RuntimeError("no gate")
    drops = [
        f"{item.artifact}: {describe_check(item)}"
        for item in manifest.gate.checks
        if item.check == "accuracy" and item.artifact.rpartition("/")[2] in INTEGERS
    ]
    cells = [
        kind.name,
        kind.what,
        f"{share['value']:.2%} of {share['samples']:,}",
        f"{best['name']}, {best['accuracy']:.2%}: {best['network']}",
        str(trained),
        "; ".join(drops) or "none",
        str(manifest.gate.verdict.value),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure what is asked for, and write the page of all that was measured."""
    asked = parts.parser(__doc__, [kind.name for kind in KINDS], WORK, PAGE).parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    found = parts.take({kind.name: partial(measure, kind) for kind in KINDS}, asked.only, asked.work)
    text = """# Four kinds of own data, to the gate

`edgeship train --data`, `edgeship init run/server.keras` and `edgeship ship run/server.keras` with the variant `auto` (int8 by a
recipe that is searched for) beside the usual ones; nothing is set by hand. The network's accuracy is of samples that it has not
seen; exit code 1 of `train` says that a baseline is not beaten. *Integers* is what the accuracy of the integer files falls by,
in what the gate counts, beside what it allows; the verdict is of all files, and INCONCLUSIVE where samples are too few for one.
`python -m scripts.bench.training.own_kinds` writes this page.

| kind | of | network | best baseline, and the network is | exit of `train` | integers | gate |
|---|---|---|---|---|---|---|
"""
    asked.out.write_text(text + "\n".join(found.values()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
