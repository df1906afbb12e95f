"""Model files that edgeship did not make, compared with a server model and judged as artifacts of unknown origin."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edgeship.api.files import Data, MemoryFiles, Model, list_names, optional_path
from edgeship.errors import InputError
from edgeship.notices import set_visibility

if TYPE_CHECKING:
    from edgeship.bundle.bundle import Bundle
    from edgeship.bundle.verdict import GateResult
    from edgeship.settings.config import Config

AnyPath: TypeAlias = str | os.PathLike[str]
# Keys of a budget that name the artifacts of a bundle of one's own.
NAMED = ("required", "required_devices", "optional")


def is_model_file(path: AnyPath) -> bool:
    """Whether that is a `.tflite`, `.onnx` or TF.js model, there or not, and no bundle: by its name and what lies there."""
    place = Path(path)
    if place.is_dir():
        return (place / "model.json").is_file() and not (place / "manifest.json").is_file()
    return place.name != "manifest.json" and (place.is_file() or place.suffix in (".tflite", ".onnx"))


def benchmark_files(
    files: Sequence[AnyPath],
    server: Model,
    *,
    out: AnyPath | None = None,
    evaluation: Data | None = None,
    max_drop: float | None = None,
    layout: str | None = None,
    tensors: Mapping[str, str] | None = None,
    devices: Sequence[str] = (),
    runtimes: Sequence[str] = (),
    figures: Sequence[str] | None = None,
    profile: str | None = None,
    config: AnyPath | None = None,
    custom_objects: str | None = None,
    allow_unsafe: bool = False,
    trust: bool = False,
    progress: bool = False,
) -> Bundle:
    """Measure `.tflite`, `.onnx` and TF.js models that anybody made against a server model, and judge them by their figures.

    Budget and data are those of `config`, or of the `edgeship.toml` beside the server model; `max_drop` replaces its margin.
    `layout` "nchw" moves the axes of files with channels first, `tensors` are the files' names by the server model's, and
    `figures` which of quality, speed and memory are taken (default: all). With `out` a bundle with the report is written there;
    without, the bundle's `root` is no more, and only its manifest counts. Raises InputError for what cannot be compared.
    """
    from edgeship.bundle.bundle import Bundle
    from edgeship.pipeline.foreign.matching import MatchOptions
    from edgeship.pipeline.foreign.measure import FileOptions, measure_files
    from edgeship.pipeline.run_settings.of_model import ModelOptions, model_settings

    paths = [Path(path) for path in list_names([os.fspath(path) for path in files], "files")]
    if layout not in (None, "nchw"):
        raise InputError(f"layout = {layout!r} must be 'nchw', or be left out")
    with set_visibility(progress), MemoryFiles() as memory:
        model = memory.model_path(server)
        said = ModelOptions(
            evaluation=memory.data_source(evaluation, "evaluation"),
            profile=profile,
            custom_objects=custom_objects,
            allow_unsafe=allow_unsafe,
            trust=trust,
        )
        settings = model_settings(model, optional_path(config), said)
        settings = _change_settings(settings, max_drop, devices, runtimes)
        place = Path(out) if out is not None else memory.new_folder() / "bundle"
        chosen = frozenset(figures) if figures is not None else None
        options = FileOptions(MatchOptions(dict(tensors or {}), layout), chosen, report=out is not None)
        return Bundle(place, measure_files(paths, model, place, settings, options))


def judge_files(
    files: Sequence[AnyPath],
    server: Model,
    *,
    junit: AnyPath | None = None,
    markdown: AnyPath | None = None,
    **options: Any,
) -> GateResult:
    """The verdict on models that anybody made, as `benchmark_files` has it; times are taken only where the budget limits them.

    The checks are also written as JUnit XML and Markdown where these are asked for. `options` are those of `benchmark_files`.
    """
    from edgeship.api.bundles import write_checks
    from edgeship.bundle.verdict import GateResult
    from edgeship.types import Verdict

    manifest = benchmark_files(files, server, **{"figures": ("quality",), **options}).manifest
    write_checks(manifest, junit, markdown)
    return manifest.gate or GateResult(Verdict.FAIL)


def _change_settings(
    settings: Config, max_drop: float | None, devices: Sequence[str], runtimes: Sequence[str]
) -> Config:
    """The settings with what the caller says, and without what a budget says of a bundle's own artifacts."""
    changes: dict[str, Any] = {"devices": list_names(devices, "devices"), "runtimes": list_names(runtimes, "runtimes")}
    benchmark = replace(settings.benchmark, **{key: value for key, value in changes.items() if value})
    budget = dict(settings.budget) if isinstance(settings.budget, Mapping) else settings.budget
    if isinstance(budget, dict):
        budget = {key: value for key, value in budget.items() if key not in NAMED}
        if max_drop is not None:
            budget = {**{key: value for key, value in budget.items() if key != "accuracy"}, "max_drop": max_drop}
    return replace(settings, benchmark=benchmark, budget=budget)
