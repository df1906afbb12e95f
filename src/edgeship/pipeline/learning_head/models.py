"""The models of `learning/`: the server model without its head in float32 and int8, and the training step."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeship.convert.head import cut as head_cut
from edgeship.convert.head import step as head_step
from edgeship.convert.head.cut import HeadCut
from edgeship.errors import InputError
from edgeship.formats import formats as known_formats
from edgeship.light_dataclass import dataclass
from edgeship.pipeline.context import PipelineContext
from edgeship.pipeline.conversion.converter import Converter
from edgeship.pipeline.conversion.source import ConvertedArtifact, ModelSource
from edgeship.pipeline.learning_head import replay
from edgeship.pipeline.step_queue import CachedStep, Inputs, StepQueue, StepRun
from edgeship.processes.executors import EXPORT
from edgeship.settings.config import Config
from edgeship.settings.variants import Variant, built_in_variant
from edgeship.storage import digest
from edgeship.storage.cache import Entry, versions
from edgeship.typed_json import convert

FORMATS = ("tflite", "onnx")
NO_DATA = (
    "learning on the device needs samples that the model knows, or it forgets them: name train or calibration in [data] of the "
    "configuration, or give --data calibration.npz"
)
BATCH = 32


@dataclass(frozen=True)
class SeparatedHead:
    """What was cut: the folder with `base.keras` and `head.npz`, and what the head is."""

    folder: Path
    cut: HeadCut


@dataclass(frozen=True)
class LearningModels:
    """The bases, small ones first, and by format the file of the training step."""

    bases: tuple[ConvertedArtifact, ...]
    steps: Mapping[str, Path]


def separate_head(work: PipelineContext, model: Path, settings: Config, formats: Sequence[str]) -> SeparatedHead:
    """Cut the head off the server model. Raises InputError for a model that has none, before anything is converted.

    So are data of one class only.
    """
    if not set(FORMATS) & {*formats}:
        raise InputError("head_step is a .tflite and an .onnx, and neither format is asked for: add one to --to")
    if not (settings.data.train or settings.data.calibration):
        raise InputError(NO_DATA)
    source = ModelSource.read(model, settings)
    key = {
        "model": source.digest,
        "tools": versions(*known_formats.TENSORFLOW),
        "custom": source.custom,
        **source.loading,
    }

    def make(run: StepRun, folder: Path) -> HeadCut:
        with digest.check_unchanged(source.path, source.digest):
            return run.executor.call(head_cut.run, model=str(source.path), out=str(folder), **source.loading)

    def value(_: Inputs, entry: Entry) -> SeparatedHead:
        return SeparatedHead(entry.path, convert(HeadCut, entry.result))

    label = "cut the model before its last Dense layer"
    step = CachedStep(
        name="head cut", executors=EXPORT, kind="head-cut", key=lambda _: key, make=make, value=value, label=label
    )
    head: SeparatedHead = work.queue.submit([step])[step.name].result()
    replay.check_classes(settings, head.cut)
    return head


def convert_models(
    work: PipelineContext, head: SeparatedHead, settings: Config, formats: Sequence[str]
) -> LearningModels:
    """Convert the base and the step. A base in int8 that cannot be made is left out, which a note says."""
    wanted = [name for name in FORMATS if name in formats]
    with StepQueue(work.executors, work.cache, work.progress) as queue:
        step = queue.submit([_step_of_training(head.cut, wanted)])["head step"]
        plain = replace(settings, variants=None, input={}, output={})
        converter = Converter(queue, head.folder / head_cut.BASE, plain, _list_pairs(settings, wanted))
        converter.start()
        result = converter.finish()
        entry: Entry = step.result()
    for failure in result.failures:
        work.progress.note(f"learning/: the base {failure.artifact} was not made ({failure.reason})")
    order = {"int8": 0, "float32": 1}
    bases = sorted(
        result.artifacts, key=lambda item: (wanted.index(item.artifact.format), order[item.artifact.variant])
    )
    return LearningModels(tuple(bases), {name: entry.path / f"head_step.{name}" for name in wanted})


def _list_pairs(settings: Config, formats: Sequence[str]) -> list[tuple[Variant, str]]:
    """float32, and int8 with float edges where there is calibration data."""
    variants = [built_in_variant("float32", formats)]
    if settings.data.calibration:
        variants.append(replace(built_in_variant("int8", formats), io="float32"))
    return [(variant, name) for variant in variants for name in formats]


def _step_of_training(cut: HeadCut, formats: Sequence[str]) -> CachedStep:
    shape: dict[str, Any] = {
        "features": cut.features,
        "outputs": cut.outputs,
        "activation": cut.activation,
        "batch": BATCH,
    }
    tools = versions(*dict.fromkeys(tool for name in formats for tool in known_formats.TOOLS[name]))

    def make(run: StepRun, folder: Path) -> Any:
        export = folder / "saved_model"
        run.executor.call(head_step.run, out=str(export), **shape)
        for name in formats:
            converter = known_formats.find(name).converter
            run.executor.call(converter, saved_model=str(export), out_file=str(folder / f"head_step.{name}"))
        shutil.rmtree(export)
        return {}

    return CachedStep(
        name="head step",
        executors=EXPORT,
        kind="head-step",
        key=lambda _: {**shape, "formats": list(formats), "tools": tools},
        make=make,
        label="convert the training step of the head",
    )
