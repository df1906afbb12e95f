"""Models: trained, trained further, converted, shipped."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeship.api.files import (
    Data,
    MemoryFiles,
    Model,
    check_outside_of_bundles,
    list_names,
    optional_path,
    write_result,
)
from edgeship.api.results import InitializedConfig, OptimizedModel, OwnDataModel, TrainedModel
from edgeship.errors import InputError, unknown_name_error
from edgeship.notices import set_visibility

if TYPE_CHECKING:
    from edgeship.api.bundles import AnyBundle
    from edgeship.bundle.bundle import Bundle
    from edgeship.pipeline.rebuild.rebuild import Rebuild

AnyPath = str | os.PathLike[str]


def train_model(
    task: str,
    out: AnyPath | None = None,
    *,
    data_dir: AnyPath | None = None,
    seed: int = 0,
    epochs: int | None = None,
    tune: int | None = None,
    processes: int = 1,
    engine: str = "local",
    progress: bool = False,
) -> TrainedModel | OwnDataModel:
    """Train the server model of a built-in task into the folder `out` (default: `runs/TASK`).

    The tasks: `fashion-mnist`, `motion`, and as one's own data is learned (see `train_on_data`) `flights` and
    `spoken-digits-synthetic`. Model card, data and labels are written beside it. `data_dir` holds the four idx files of an image
    data set, of `fashion-mnist` only; `tune`, `processes` and `engine` are as of `train_on_data`, of the latter two tasks. Raises
    InputError for an unknown task, data that cannot be used, or a place that cannot be written.
    """
    from edgeship.api.own_data.training import choose_tuning
    from edgeship.train import launch, tasks
    from edgeship.train.own_data import launch as own_data_launch
    from edgeship.train.own_data import page
    from edgeship.train.own_data.built_in.catalogue import BUILT_IN

    if task not in (*tasks.TASKS, *BUILT_IN):
        raise unknown_name_error("task", task, (*tasks.TASKS, *BUILT_IN))
    folder = Path("runs") / task if out is None else Path(out)
    check_outside_of_bundles(folder / "server.keras")
    if task in BUILT_IN:
        if data_dir is not None:
            raise InputError(f"the data of task '{task}' comes with edgeship; it takes no --data-dir")
        tuning = choose_tuning(tune, processes, engine)
        with set_visibility(progress):
            own_card = own_data_launch.train_task(task, folder, seed=seed, epochs=epochs, tuning=tuning)
        return OwnDataModel(folder / "server.keras", own_card, page.describe_quality(own_card))
    if tune is not None:
        raise InputError(f"task '{task}' is not tuned: --tune goes with --data and with {' and '.join(BUILT_IN)}")
    with set_visibility(progress):
        card = launch.train(task, folder, data_dir=optional_path(data_dir), seed=seed, epochs=epochs)
    return TrainedModel(folder / "server.keras", card)


def init_model(
    model: AnyPath,
    config: AnyPath | None = None,
    *,
    custom_objects: str | None = None,
    signature: str | None = None,
    allow_unsafe: bool = False,
    replace: bool = False,
    progress: bool = False,
) -> InitializedConfig:
    """Write a commented `edgeship.toml` for a model, beside it or at `config`.

    Raises InputError where the file exists already, unless `replace`, or the model cannot be read.
    """
    from edgeship.pipeline.init_config import write_config
    from edgeship.settings.config import Config

    loading = {"custom_objects": custom_objects, "signature": signature, "allow_unsafe": allow_unsafe}
    with set_visibility(progress):
        path = write_config(Path(model), optional_path(config), loading, force=replace)
        data = Config.read(path).data
    return InitializedConfig(path, tuple(name for name in ("calibration", "evaluation") if getattr(data, name) is None))


def optimize_model(
    model: Model,
    out: AnyPath,
    *,
    variant: str | None = None,
    config: AnyPath | None = None,
    distill: float | Mapping[str, Any] | None = None,
    prune: float | Mapping[str, Any] | None = None,
    cluster: int | Mapping[str, Any] | None = None,
    qat: bool | Mapping[str, Any] | None = None,
    data: Data | None = None,
    validation: Data | None = None,
    samples: int | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    patience: int | None = None,
    seed: int | None = None,
    teacher: float | None = None,
    loss: str | None = None,
    custom_objects: str | None = None,
    allow_unsafe: bool = False,
    trust: bool = False,
    progress: bool = False,
) -> OptimizedModel:
    """Train a model further so that it becomes smaller or quantizes better, into `out`, a `.keras` file.

    What is done: the recipes of `variant` in the configuration, or `distill` (share of every hidden layer's width, or a table
    as in `edgeship.toml`), `prune` (share of zeros), `cluster` (values in a kernel), `qat`, in this order. `data` holds labels
    in `y` (default: `train.npz` beside the model); the best epoch is chosen on `validation`, else on a tenth of the data.
    Raises InputError for recipes, data and models that cannot be used, CheckError where the result is not what was asked for.
    """
    from edgeship.pipeline import fine_tuning
    from edgeship.pipeline.run_settings.of_model import ModelOptions
    from edgeship.pipeline.run_settings.of_training import TrainingOptions, training_settings

    with set_visibility(progress), MemoryFiles() as files:
        path = files.model_path(model)
        recipes = dict(distill=distill, prune=prune, cluster=cluster, qat=qat)
        training: dict[str, Any] = dict(epochs=epochs, batch=batch, samples=samples, teacher=teacher, loss=loss)
        training |= dict(learning_rate=learning_rate, patience=patience, seed=seed)
        sources = files.data_source(data, "train"), files.data_source(validation, "validation")
        options = TrainingOptions(variant, recipes, training, *sources)
        loading = ModelOptions(custom_objects=custom_objects, allow_unsafe=allow_unsafe, trust=trust)
        settings = training_settings(path, optional_path(config), options, loading)
        receipt = fine_tuning.run(path, Path(out), settings.recipes, settings.training, **settings.sources)
    return OptimizedModel(Path(out), receipt, tuple(fine_tuning.summary(receipt)))


def convert_model(
    model: Model,
    out: AnyPath,
    *,
    config: AnyPath | None = None,
    formats: Sequence[str] | None = None,
    variants: Sequence[str] | None = None,
    calibration: Data | None = None,
    calibration_samples: int | None = None,
    io: str | None = None,
    static_batch: bool = False,
    allow_flex: bool = False,
    head_step: bool = False,
    custom_objects: str | None = None,
    signature: str | None = None,
    allow_unsafe: bool = False,
    trust: bool = False,
    progress: bool = False,
) -> Bundle:
    """Convert a model into the bundle `out` and check what each artifact really holds; nothing is measured.

    `formats` are some of tflite, onnx, tfjs; `variants` names of the built-in table (float32, float16, int8, auto, dynamic_w8,
    weight_only_w8) or of the configuration, which is `config` or the `edgeship.toml` beside the model. What is not given
    is the configuration's. `trust` lets one that was only found allow code to run, this once.
    `head_step` adds `learning/`, by which a device teaches the model's last layer; refused for a model without a dense head.
    An artifact that cannot be made, or is not what was asked for, is one of `bundle.manifest.failures`; where none can be
    made float32 is, and else its error raised. Raises InputError for what cannot be used.
    """
    from edgeship.bundle.bundle import Bundle
    from edgeship.pipeline import ship
    from edgeship.pipeline.run_settings.of_model import ModelOptions, check_formats, model_settings

    known_formats = check_formats(None if formats is None else list_names(formats, "formats"))
    with set_visibility(progress), MemoryFiles() as files:
        options = ModelOptions(
            formats=known_formats,
            variants=None if variants is None else list_names(variants, "variants"),
            calibration=files.data_source(calibration, "calibration"),
            calibration_samples=calibration_samples,
            io=io,
            static_batch=static_batch,
            allow_flex=allow_flex,
            head_step=head_step,
            custom_objects=custom_objects,
            signature=signature,
            allow_unsafe=allow_unsafe,
            trust=trust,
        )
        path = files.model_path(model)
        manifest = ship.convert_model(
            path, Path(out), model_settings(path, optional_path(config), options), known_formats
        )
    return Bundle(Path(out), manifest)


def ship_model(
    model: Model,
    out: AnyPath,
    *,
    config: AnyPath | None = None,
    formats: Sequence[str] | None = None,
    variants: Sequence[str] | None = None,
    calibration: Data | None = None,
    calibration_samples: int | None = None,
    evaluation: Data | None = None,
    profile: str | None = None,
    io: str | None = None,
    static_batch: bool = False,
    allow_flex: bool = False,
    head_step: bool = False,
    custom_objects: str | None = None,
    signature: str | None = None,
    allow_unsafe: bool = False,
    trust: bool = False,
    progress: bool = False,
) -> Bundle:
    """Convert a model into the bundle `out`, measure every artifact against it, and judge whether it may ship.

    As `convert_model`; `evaluation` holds inputs and labels `y`, `profile` is how long latency is measured: rapid, quick,
    normal or full. `bundle.verdict` says whether it may; the bundle is written whatever it is.
    """
    from edgeship.bundle.bundle import Bundle
    from edgeship.pipeline import ship
    from edgeship.pipeline.run_settings.of_model import ModelOptions, check_formats, model_settings

    known_formats = check_formats(None if formats is None else list_names(formats, "formats"))
    with set_visibility(progress), MemoryFiles() as files:
        options = ModelOptions(
            formats=known_formats,
            variants=None if variants is None else list_names(variants, "variants"),
            calibration=files.data_source(calibration, "calibration"),
            calibration_samples=calibration_samples,
            evaluation=files.data_source(evaluation, "evaluation"),
            profile=profile,
            io=io,
            static_batch=static_batch,
            allow_flex=allow_flex,
            head_step=head_step,
            custom_objects=custom_objects,
            signature=signature,
            allow_unsafe=allow_unsafe,
            trust=trust,
        )
        path = files.model_path(model)
        manifest = ship.ship_model(path, Path(out), model_settings(path, optional_path(config), options), known_formats)
    return Bundle(Path(out), manifest)


def lock_bundle(bundle: AnyBundle, out: AnyPath | None = None) -> Path:
    """Write what a bundle's artifacts were made of, by digests, and the digests of their files; returns the lock's path.

    `out`: by default `edgeship.lock` beside the bundle. Raises InputError for a changed bundle, for artifacts that edgeship did
    not convert, and where the file cannot be written, or is there and no lock.
    """
    import json

    from edgeship.api.bundles import open_bundle
    from edgeship.pipeline.rebuild.lock import FILE, describe_lock, read_content
    from edgeship.types import to_json

    source = open_bundle(bundle)
    path = source.root.resolve().parent / FILE if out is None else Path(out)
    if path.is_file():
        read_content(path)  # what is replaced is a lock, though of another schema, or edited
    write_result(path, json.dumps(to_json(describe_lock(source, path.absolute().parent)), indent=1) + "\n")
    return path


def rebuild_bundle(
    lock: AnyPath, out: AnyPath | None = None, *, trust: bool = False, progress: bool = False
) -> Rebuild:
    """Make the artifacts of a lock again, without the cache, and compare them with the locked ones byte by byte.

    `out`: where the bundle that was made is kept, the same or not. `trust` lets code run that the lock names, or a model holds.
    Raises InputError where tools, server model or data are not those that were locked.
    """
    from edgeship.pipeline.rebuild.rebuild import rebuild

    with set_visibility(progress):
        return rebuild(Path(lock), optional_path(out), trust=trust)
