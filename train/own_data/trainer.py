"""Training on a person's own data to finished files, in a process of its own: everything here may import TensorFlow."""

from __future__ import annotations

import atexit
import functools
import os
import threading
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.processes import progress_events
from edgeship.toml_tables import toml_key, toml_value
from edgeship.train import trainer
from edgeship.train.card import ModelFacts, TrainingSeconds, describe_model
from edgeship.train.dataset import Array
from edgeship.train.own_data import baselines, card_writing, networks, protocol
from edgeship.train.own_data.built_in.catalogue import BUILT_IN, read_samples
from edgeship.train.own_data.card import OwnDataCard
from edgeship.train.own_data.card_writing import CARD, Outcome
from edgeship.train.own_data.configuration import Configuration
from edgeship.train.own_data.protocol import Protocol, ProtocolOptions, Split
from edgeship.train.own_data.samples import DECISION, OwnData, Prepared, Samples, Target
from edgeship.train.own_data.search_results import Tuning, TuningOptions
from edgeship.train.own_data.tuning.trial import Task
from edgeship.train.own_data.tuning.worker import Assignment

CALIBRATION = 500  # samples of the training data
CHUNK = 4096  # samples that are copied at once
INPUTS = "inputs.toml"
SCRATCH = (
    "scratch"  # a folder for what a source keeps on disk while it is learned from: none of the files of the results
)
Tell = Callable[..., None]


@dataclass(frozen=True)
class Job:
    """What is asked for: a source (the fields of `Source`) or a built-in task; how it is split and tuned.

    The files will lie in `out`.
    """

    source: dict[str, Any] | None
    task: str | None
    out: str
    seed: int
    epochs: int | None
    protocol: ProtocolOptions
    tuning: TuningOptions | None


@dataclass(frozen=True)
class Trained:
    """The network of a split with what it was made of."""

    model: Any
    prepared: Prepared
    target: Target


def run(*, job: dict[str, Any], staging: str) -> OwnDataCard:
    """Do a `Job` (as JSON): write all files into the folder `staging`; returns the model card.

    A card that lies in `out` tells how often the same test split was used, and a search keeps its journal there. Progress goes to
    a file beside the results. Raises InputError where the data cannot be used or the files cannot be written.
    """
    from edgeship import typed_json

    start, folder = time.perf_counter(), Path(staging)
    tell = functools.partial(progress_events.append_event, folder / progress_events.FILE)
    atexit.register(trainer.remove_folder, folder)  # see `trainer.run`
    threading.Thread(target=trainer.end_with_parent, args=(folder, os.getppid()), name="parent", daemon=True).start()
    asked: Job = typed_json.convert(Job, job)
    (folder / SCRATCH).mkdir()
    data = read_samples(asked.source, asked.task, folder / SCRATCH)
    how, splits = protocol.choose_splits(data, asked.protocol)
    tell(event="stage", text=_describe_data(data, how))
    clock, cpu = time.perf_counter(), time.process_time()
    try:
        tuning, chosen = _tune(data, splits, asked, tell)
        first, outcomes = _train_splits(data, splits, chosen, asked, tell)
        seconds = TrainingSeconds(time.perf_counter() - clock, time.process_time() - cpu, 0.0)
        tell(event="stage", text="evaluating the saved model")
        facts, scores = _save_model(folder, data, first, splits[0])
        outcomes[0] = replace(outcomes[0], scores=scores)
        _write_files(folder, data, first, splits[0])
        description = card_writing.describe_splits(data, splits[0], how)
        card = card_writing.build_card(data, how, splits, outcomes, facts, description)
        card = replace(
            card,
            seed=asked.seed,
            task=asked.task or card.task,
            title=BUILT_IN[asked.task].title if asked.task else card.title,
            tuning=tuning,
            test_uses=card_writing.count_uses(Path(asked.out) / CARD, description) + 1,
            seconds=replace(seconds, total=round(time.perf_counter() - start, 1)),
        )
        return card_writing.write_card(folder, card, data)
    except OSError as error:
        raise InputError(f"the results cannot be written ({error}); free some space or give another --out") from error


def _tune(
    data: OwnData, splits: Sequence[Split], asked: Job, tell: Tell
) -> tuple[Tuning | None, list[Configuration] | None]:
    """The configuration of each split; none where the usual one is taken."""
    if asked.tuning is None:
        return None, None
    from edgeship.train.own_data.tuning.search import tune_splits

    task = Task(0, {}, (), asked.seed, asked.epochs)
    source = asked.source
    if source is not None:  # other machines find it there, too
        source = {**source, "path": str(Path(source["path"]).absolute())}
    first = Assignment(source, asked.task, asked.protocol, 0, task, data.digest)
    return tune_splits(data, splits, asked.tuning, first, Path(asked.out), tell)


def _train_splits(
    data: OwnData, splits: Sequence[Split], chosen: Sequence[Configuration] | None, asked: Job, tell: Tell
) -> tuple[Trained, list[Outcome]]:
    """The network of the first split, and what came out of each."""
    first, outcomes = None, list[Outcome]()
    for number, split in enumerate(splits):
        trained, outcome = _train_split(
            data, split, chosen[number] if chosen else None, asked.seed + number, asked.epochs, tell
        )
        first = first or trained
        outcomes.append(outcome)
    if first is None:
        raise InputError(f"{data.name}: nothing to split")
    return first, outcomes


def _describe_data(data: OwnData, how: Protocol) -> str:
    what = f"{len(data.target.labels)} classes" if data.target.is_class else "a value"
    return f"{data.name}: {len(data.targets):,} samples, {what}; {how.method} by {how.unit}: {how.reason}"


def _train_split(
    data: OwnData, split: Split, chosen: Configuration | None, seed: int, epochs: int | None, tell: Tell
) -> tuple[Trained, Outcome]:
    """A network and the baselines of one split; baselines need no validation samples, and are trained on these as well."""
    from edgeship.train.own_data import fitting

    rows, validation = protocol.inner_splits(data, split, 1)[0]
    prepared = data.prepare(rows)
    target = data.target.scaled_by(data.targets[rows])
    used = chosen or Configuration(prepared.sizes.usual, fitting.plan_training(len(rows), epochs, prepared.steps))
    model, curve = fitting.train_network(data, prepared, rows, validation, target, used, seed, tell)
    prepared.finish(model)
    model = networks.restore_units(model, target)
    scores = fitting.predict(model, Samples(prepared.inputs, data.targets, split.test), target)
    beside = baselines.predict_baselines(data, split.seen, split.test, seed)
    return Trained(model, prepared, target), Outcome(used, curve, scores, beside)


def _save_model(folder: Path, data: OwnData, trained: Trained, split: Split) -> tuple[ModelFacts, Array]:
    """Write the model; returns facts about it and its scores of the test samples, both of the file."""
    import keras

    from edgeship.train.own_data import fitting

    path = folder / "server.keras"
    model = trained.model
    # A model that was never compiled: without the optimizer's state the file is a third of the size.
    keras.Model(model.inputs, model.outputs[0], name=model.name).save(path)
    of_file = keras.models.load_model(path)
    test = Samples(trained.prepared.inputs, data.targets, split.test)
    return describe_model(of_file, path, data.preprocessing), fitting.predict(of_file, test, trained.target)


def _write_files(folder: Path, data: OwnData, trained: Trained, split: Split) -> None:
    """The data files that optimizing and shipping need, the class names, and what the contract says of the inputs."""
    generator = np.random.default_rng(protocol.SEED)
    drawn = generator.permutation(split.train)[:CALIBRATION]
    parts = {
        "train": split.train,
        "validation": split.validation,
        "calibration": np.sort(drawn),
        "evaluation": split.test,
    }
    for name, rows in parts.items():
        _write_npz(folder / f"{name}.npz", trained.prepared.inputs, data.targets, rows)
    if data.target.is_class:
        (folder / "labels.txt").write_text("".join(f"{label}\n" for label in data.target.labels), encoding="utf-8")
    (folder / INPUTS).write_text(render_forms(trained.prepared.forms, trained.model, trained.target), encoding="utf-8")


def render_forms(forms: Mapping[str, Mapping[str, Any]], model: Any, target: Target) -> str:
    """The tables `[input.NAME]` and `[output.NAME]` of `edgeship.toml`, as training has them."""
    lines = [
        "# How an app makes the model's inputs, as training did: `edgeship init` takes these tables into edgeship.toml."
    ]
    for name, form in forms.items():
        lines += ["", f"[input.{toml_key(name)}]", *(f"{key} = {_toml_lines(value)}" for key, value in form.items())]
    if target.is_binary:
        lines += ["", f"[output.{toml_key(model.output_names[0])}]", f"threshold = {DECISION}"]
    return "\n".join(lines) + "\n"


def _toml_lines(value: Any) -> str:
    """A value as TOML writes it, a list of tables with one a line."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return "[\n" + "".join(f"    {toml_value(item)},\n" for item in value) + "]"
    return toml_value(value)


def _write_npz(path: Path, inputs: Mapping[str, Array], targets: Array, rows: Array) -> None:
    """The inputs and targets (`y`) of some samples as an uncompressed `.npz`, copied piece by piece."""
    labels = targets if targets.dtype.kind == "i" else targets[:, None]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in {**inputs, "y": labels}.items():
            head = {
                "descr": np.lib.format.dtype_to_descr(array.dtype),
                "fortran_order": False,
                "shape": (len(rows), *array.shape[1:]),
            }
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array_header_1_0(stream, head)  # type: ignore[arg-type]
                for start in range(0, len(rows), CHUNK):
                    stream.write(np.ascontiguousarray(array[rows[start : start + CHUNK]]).tobytes())
