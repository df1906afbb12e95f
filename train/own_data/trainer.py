"""Training on a person's own data to finished files, in a process of its own: everything here may import TensorFlow."""

from __future__ import annotations

import atexit
import datetime
import functools
import json
import os
import platform
import threading
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeship import untrusted
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.processes import progress_events
from edgeship.storage import cache, digest
from edgeship.toml_tables import toml_key, toml_value
from edgeship.train import trainer
from edgeship.train.card import ModelFacts, TrainingMachine, TrainingSeconds, code_version, describe_model
from edgeship.train.dataset import Array, DataDescription, SplitDescription, digest_of
from edgeship.train.own_data import baselines, expectations, networks, page, protocol
from edgeship.train.own_data.built_in.catalogue import BUILT_IN
from edgeship.train.own_data.card import EpochLoss, OwnDataCard, Plan
from edgeship.train.own_data.protocol import Protocol, Split
from edgeship.train.own_data.samples import DECISION, OwnData, Prepared, Samples, Target
from edgeship.train.own_data.sources.source import Source, read_source
from edgeship.train.own_data.sources.windows import STRETCHES

CALIBRATION = 500  # samples of the training data
CHUNK = 4096  # samples that are copied at once
INPUTS = "inputs.toml"
CARD = "model-card.json"
TOOLS = ("scikit-learn", "pyarrow")


@dataclass(frozen=True)
class Trained:
    """One split's network, with what it was made of, how it went, and what it and the baselines say of the test samples."""

    model: Any
    prepared: Prepared
    target: Target
    plan: Plan
    curve: tuple[EpochLoss, ...]
    scores: Array
    baselines: Mapping[str, Array]


def run(
    *, source: dict[str, Any] | None, task: str | None, staging: str, out: str, seed: int, epochs: int | None
) -> OwnDataCard:
    """Train on a source (the fields of `Source`) or a built-in task, write all files into the folder `staging`; returns the card.

    `out` is where the files will lie: a card that is there tells how often the same test split was used. Progress goes to a
    file beside the results. Raises InputError where the data cannot be used or the files cannot be written.
    """
    start, folder = time.perf_counter(), Path(staging)
    tell = functools.partial(progress_events.append_event, folder / progress_events.FILE)
    atexit.register(trainer.remove_folder, folder)  # see `trainer.run`
    threading.Thread(target=trainer.end_with_parent, args=(folder, os.getppid()), name="parent", daemon=True).start()
    data = BUILT_IN[task].read(folder) if task else _read_asked(source or {}, folder)
    how, splits = protocol.choose_splits(data)
    tell(event="stage", text=_describe_data(data, how))
    clock, cpu = time.perf_counter(), time.process_time()
    trained = [_train_split(data, split, seed + number, epochs, tell) for number, split in enumerate(splits)]
    seconds = TrainingSeconds(time.perf_counter() - clock, time.process_time() - cpu, 0.0)
    tell(event="stage", text="evaluating the saved model")
    try:
        facts, scores = _save_model(folder, data, trained[0], splits[0])
        trained[0] = replace(trained[0], scores=scores)
        _write_files(folder, data, trained[0], splits[0])
        description = _describe_splits(data, splits[0], how)
        card = _build_card(data, how, splits, trained, facts, description)
        card = replace(
            card,
            seed=seed,
            task=task or card.task,
            title=BUILT_IN[task].title if task else card.title,
            test_uses=_count_uses(Path(out) / CARD, description) + 1,
            seconds=replace(seconds, total=round(time.perf_counter() - start, 1)),
        )
        return _write_card(folder, card)
    except OSError as error:
        raise InputError(f"the results cannot be written ({error}); free some space or give another --out") from error


def _read_asked(source: dict[str, Any], folder: Path) -> OwnData:
    return read_source(Source(**{**source, "path": Path(source["path"])}), folder)


def _describe_data(data: OwnData, how: Protocol) -> str:
    what = f"{len(data.target.labels)} classes" if data.target.is_class else "a value"
    return f"{data.name}: {len(data.targets):,} samples, {what}; {how.method} by {how.unit}: {how.reason}"


def _train_split(data: OwnData, split: Split, seed: int, epochs: int | None, tell: Callable[..., None]) -> Trained:
    """A network and the baselines of one split; baselines need no validation samples, and are trained on these as well."""
    import keras

    from edgeship.train.own_data import fitting

    prepared = data.prepare(split.train)
    target = data.target.scaled_by(data.targets[split.train])
    train, validation, test = (
        Samples(prepared.inputs, data.targets, rows) for rows in (split.train, split.validation, split.test)
    )
    keras.utils.set_random_seed(seed)
    model = prepared.build(train, target)
    plan = fitting.plan_training(len(train), epochs)
    curve = fitting.fit(model, train, validation, target, plan, seed, tell)
    prepared.finish(model)
    model = networks.restore_units(model, target)
    scores = fitting.predict(model, test, target)
    seen = np.sort(np.concatenate([split.train, split.validation]))
    return Trained(
        model, prepared, target, plan, curve, scores, baselines.predict_baselines(data, seen, split.test, seed)
    )


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


def _describe_splits(data: OwnData, split: Split, how: Protocol) -> DataDescription:
    """The splits of the shipped model; calibration is a part of its training samples."""
    groups = data.groups
    named = {"train": split.train, "validation": split.validation, "test": split.test}
    return DataDescription(
        name=data.name,
        source=data.source,
        sha256=data.digest,
        licence=data.licence,
        split_method=f"{how.method} by {how.unit}: {how.reason}",
        splits={
            name: SplitDescription(
                len(rows),
                digest_of(rows.astype("<i8")),
                None if groups is None else tuple(map(str, np.unique(groups[rows])[: protocol.SHOWN_GROUPS])),
            )
            for name, rows in named.items()
        },
        labels=data.target.labels,
        notes=data.notes,
    )


def _count_uses(card: Path, description: DataDescription) -> int:
    """How often the same test split of the same data was used, by the card of the last training into the same folder."""
    if not card.is_file() or card.is_symlink():
        return 0
    try:
        content = untrusted.read_json(card)
        same = (content["data"]["sha256"], content["data"]["splits"]["test"]["indices_sha256"]) == (
            description.sha256,
            description.splits["test"].indices_sha256,
        )
        return int(content["test_uses"]) if same else 0
    except (InputError, LookupError, TypeError, ValueError):
        return 0


def _build_card(
    data: OwnData,
    how: Protocol,
    splits: Sequence[Split],
    trained: Sequence[Trained],
    facts: ModelFacts,
    description: DataDescription,
) -> OwnDataCard:
    rows = np.concatenate([split.test for split in splits])
    tested = expectations.HeldOut(
        rows,
        data.targets[rows],
        np.concatenate([item.scores for item in trained]),
        {name: np.concatenate([item.baselines[name] for item in trained]) for name in trained[0].baselines},
    )
    groups = (data.grouped_by, data.groups[rows]) if data.groups is not None and data.grouped_by != STRETCHES else None
    results = expectations.describe_results(data.target, tested, data.describe_row, data.show_row, groups)
    versions = {name: version for name in TOOLS if (version := cache.installed_version(name))}
    return OwnDataCard(
        title=f"{data.target.name} by {data.name}",
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        edgeship=code_version(),
        seed=0,
        kind=data.kind,
        label=data.target.name,
        model=facts,
        data=description,
        protocol=how,
        test_uses=1,
        hyperparameters=trained[0].plan,
        results=results,
        worse_than=results.worse_than,
        curve=trained[0].curve,
        seconds=TrainingSeconds(0.0, 0.0, 0.0),
        tools={**trainer.tool_versions(), **versions},
        machine=TrainingMachine(f"{platform.system()} {platform.machine()}", os.cpu_count() or 0),
    )


def _write_card(folder: Path, card: OwnDataCard) -> OwnDataCard:
    """Write both forms of the card, with the digests of all other files in it; returns it."""
    (folder / "model-card.md").write_text(page.render_markdown(card), encoding="utf-8")
    files = {
        path.name: digest.of_path(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != progress_events.FILE
    }
    complete_card = replace(card, files=files)
    content = json.dumps(complete_card.record(), indent=1, allow_nan=False)
    (folder / CARD).write_text(content + "\n", encoding="utf-8")
    return complete_card
