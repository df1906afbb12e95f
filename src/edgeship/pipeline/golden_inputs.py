"""A few inputs of the server model, real ones where there is data, and its answers: what every artifact is run on."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from edgeship.bundle import goldens
from edgeship.convert.export.probe import random_feeds
from edgeship.data import Batch, RepresentativeDataset, arrays_digest, load, save
from edgeship.errors import EdgeshipError
from edgeship.light_dataclass import dataclass
from edgeship.pipeline.app_contract import NO_ROWS, RawGoldens, find_raw_goldens
from edgeship.pipeline.conversion.source import ExportedServerModel
from edgeship.pipeline.conversion.steps import ConversionSteps
from edgeship.pipeline.evaluation import reference_outputs
from edgeship.pipeline.step_queue import FunctionStep, StepRun, StepTools
from edgeship.processes.executors import EXPORT
from edgeship.settings import config
from edgeship.storage import digest
from edgeship.types import TensorSpec


@dataclass(frozen=True)
class GoldenInputs:
    """The goldens' inputs (as `specs` has them) with the server model's outputs, and where more samples are.

    Arrays have `goldens.SAMPLES` along the first axis; those of `expected` have a row more for each extra sample of `raw`.
    """

    specs: tuple[TensorSpec, ...]
    inputs: Batch
    expected: Batch
    data: RepresentativeDataset | None
    raw: RawGoldens | None = None

    @property
    def feeds(self) -> Batch:
        """What each artifact is run on: the goldens' inputs, and the extra ones of raw goldens."""
        return self.raw.feeds if self.raw else self.inputs

    @cached_property
    def digest(self) -> str:
        """The digest of `feeds`, which the key of every run holds."""
        return self.raw.digest if self.raw else arrays_digest(self.inputs)

    def without_extra(self, outputs: Batch) -> Batch:
        """The outputs for the goldens alone, of those for `feeds`."""
        if not self.raw or not self.raw.extra:
            return outputs
        count = len(next(iter(self.inputs.values())))
        return {name: array[:count] for name, array in outputs.items()}


def golden_inputs_step(steps: ConversionSteps) -> FunctionStep:
    """The step that has the server model of a conversion answer the goldens' inputs; its value is `GoldenInputs`."""
    export_step = steps.export()

    def function(run: StepRun) -> GoldenInputs:
        server = steps.model.exported(run.inputs[export_step])
        return answer_golden_inputs(run, server, steps.config, steps.data)

    return FunctionStep(name="golden inputs", executors=EXPORT, needs=(export_step,), function=function)


def answer_golden_inputs(
    work: StepTools,
    server: ExportedServerModel,
    settings: config.Config,
    data: RepresentativeDataset | None,
) -> GoldenInputs:
    """A few inputs, real ones where there is data, and the server model's outputs for them; in the export executor."""
    if data:
        return _answer_goldens(work, server, settings, goldens.pick_samples(data, server.inputs), data)
    failure = EdgeshipError("no inputs to try")
    for inputs in random_feeds(server.inputs, goldens.SAMPLES):
        try:
            return _answer_goldens(work, server, settings, inputs, None)
        except EdgeshipError as error:  # a dynamic axis may need another size
            failure = error
    raise failure


def _answer_goldens(
    work: StepTools,
    server: ExportedServerModel,
    settings: config.Config,
    inputs: Batch,
    data: RepresentativeDataset | None,
) -> GoldenInputs:
    raw = find_raw_goldens(work, server.description, inputs, settings, real=data is not None)
    answers = _answer_inputs(work, server.path, settings, raw.feeds, raw.digest)
    count = len(next(iter(raw.feeds.values()))) if raw.cases else 0
    if raw.cases and any(len(array) != count for array in answers.values()):
        raw = raw.without_cases(NO_ROWS)
        answers = _answer_inputs(work, server.path, settings, inputs, raw.digest)
    return GoldenInputs(server.inputs, inputs, answers, data, raw)


def _answer_inputs(work: StepTools, model: Path, settings: config.Config, inputs: Batch, inputs_digest: str) -> Batch:
    """The server model's outputs for a batch of that digest."""

    def make(folder: Path) -> Any:
        save(folder / "inputs.npz", inputs)
        source = settings.data.calibration or "made-up inputs"
        with digest.check_unchanged(model, key["model"]):
            return reference_outputs.predict_outputs(work, model, settings, folder / "inputs.npz", folder, None, source)

    key = {**reference_outputs.server_key(model, settings), "inputs": inputs_digest}
    return load(work.cache.get("golden-answers", key, make).path / "outputs.npz")
