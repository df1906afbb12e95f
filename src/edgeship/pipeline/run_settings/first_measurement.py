"""What `edgeship init` takes from a first measurement of the server model: metric, floor, and whether there are labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from edgeship.benchmarks.compare import accuracy, parity
from edgeship.benchmarks.compare.constant_answers import compare_with_constants
from edgeship.benchmarks.gate import server_checks
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.sample_sizes import note_thin_evaluation
from edgeship.bundle.figures.comparisons import ConstantAnswer, OutputAccuracy
from edgeship.data import Batch, RepresentativeDataset, load
from edgeship.errors import EdgeshipError, InputError
from edgeship.light_dataclass import dataclass
from edgeship.notices import print_notice
from edgeship.pipeline import data_checks
from edgeship.pipeline.evaluation.reference_outputs import server_key
from edgeship.processes.child import FunctionProcess
from edgeship.server_model import server_model
from edgeship.server_model.description import ServerModelDescription
from edgeship.settings.config import Config
from edgeship.settings.sections import Model
from edgeship.storage import cache, digest
from edgeship.types import Verdict
from edgeship.untrusted import printable, read_json

CARD = "model-card.json"
CARD_METRIC = "top1"  # which is what `edgeship train` calls accuracy
MOST_SAMPLES = 2000  # answered for it; `ship` finds the answers again where that is all of the data


@dataclass(frozen=True)
class FirstMeasurement:
    """What is known of a server model before it is shipped; nothing of it where there is no evaluation data.

    `outputs`: the figures of the labelled outputs by name. `floors`: a `min_server_accuracy` by metric with its `origin`, and
    `active` where the server model has shown to be worth one. `unlabelled`: the data has no labels; then `answers` says whether
    every output surely is one: probabilities of classes, or whole numbers; `constant_sqnr_db` and `constant_agreement` are the
    most that always the mean, or always the commonest answer, of an output has.
    """

    outputs: Mapping[str, OutputAccuracy] = field(default_factory=dict)
    floors: Mapping[str, float] = field(default_factory=dict)
    origin: str = ""
    active: bool = True
    unlabelled: bool = False
    answers: bool = False
    constant_sqnr_db: float = 0.0
    constant_agreement: float = 0.0


def measure_server_model(
    process: FunctionProcess,
    model: Path,
    evaluation: Path | None,
    described: ServerModelDescription,
    loading: dict[str, Any],
) -> FirstMeasurement:
    """What the evaluation data tells where it is there, else the model card beside the model.

    Says why where the data cannot be used, or the server model is hardly better than always the same answer.
    """
    if evaluation is None:
        return _read_card(model)
    try:
        return _measure_outputs(process, model, evaluation, described, loading)
    except EdgeshipError as error:
        print_notice(printable(f"metric and min_server_accuracy are left open: {error}"))
        return FirstMeasurement()


def _measure_outputs(
    process: FunctionProcess, model: Path, evaluation: Path, described: ServerModelDescription, loading: dict[str, Any]
) -> FirstMeasurement:
    data = RepresentativeDataset(evaluation)
    limit = MOST_SAMPLES if len(data) > MOST_SAMPLES else None
    data_checks.check_samples(data, described.inputs, limit)
    outputs = _answer_samples(process, model, evaluation, data, limit, loading)
    truths = data.labels(limit, described.inputs)
    if not truths:
        compared = parity.compare(outputs, outputs)
        return FirstMeasurement(
            unlabelled=True,
            answers=all(item.probabilities or item.whole for item in compared.values()),
            constant_sqnr_db=max(item.constant_sqnr_db or 0.0 for item in compared.values()),
            constant_agreement=max(item.constant_agreement or 0.0 for item in compared.values()),
        )
    report = accuracy.measure(truths, outputs, outputs)
    for note in note_thin_evaluation(report, Budget(), len(data)):
        print_notice(f"{printable(evaluation)}: {note}")
    metrics = {name: output.metric for name, output in report.outputs.items()}
    return _judge_answers(report.outputs, compare_with_constants(truths, outputs, metrics))


def _answer_samples(
    process: FunctionProcess,
    model: Path,
    evaluation: Path,
    data: RepresentativeDataset,
    limit: int | None,
    loading: dict[str, Any],
) -> Batch:
    """The server model's outputs, kept where `ship` finds them."""
    key = {**server_key(model, Config(model=Model(**loading))), "data": data.digest, "limit": limit}

    def answer(folder: Path) -> Any:
        print_notice(printable(f"server model: answer {min(len(data), MOST_SAMPLES)} samples of {evaluation.name}"))
        with digest.check_unchanged(model, key["model"]):
            return process.call(
                server_model.predict_file,
                model=str(model),
                data=str(evaluation),
                out_npz=str(folder / "outputs.npz"),
                limit=limit,
                source=str(evaluation),
                **loading,
            )

    return load(cache.Cache().get("reference", key, answer).path / "outputs.npz")


def _judge_answers(outputs: Mapping[str, OutputAccuracy], answers: Mapping[str, ConstantAnswer]) -> FirstMeasurement:
    verdicts = {name: server_checks.judge_skill(answer, stated=False) for name, answer in answers.items()}
    for name, verdict in verdicts.items():
        if verdict is not Verdict.PASS:
            print_notice(printable(server_checks.describe_skill(answers[name], verdict)))
    figures = " and ".join(f"{answer.metric} {answer.server:.4g}" for answer in answers.values() if answer.server)
    samples = max((answer.n for answer in answers.values()), default=0)
    return FirstMeasurement(
        outputs,
        server_checks.suggest_floors(answers),
        f"{figures} on {samples:,} evaluation samples",
        all(verdict is Verdict.PASS for verdict in verdicts.values()),
    )


def _read_card(model: Path) -> FirstMeasurement:
    """By the card of `edgeship train` that lies beside the very model; anything else there counts as none."""
    try:
        card = read_json(model.with_name(CARD))
        figures, samples = card["results"]["accuracy"], int(card["results"]["accuracy"]["samples"])
        if card["model"]["sha256"] != digest.of_path(model) or not 0 <= figures["low"] <= figures["value"] <= 1:
            return FirstMeasurement()
        floor = server_checks.round_floor(figures["low"], share=True)
        origin = f"accuracy {figures['value']:.4g} on {samples:,} test samples, by {CARD}"
        return FirstMeasurement(floors={CARD_METRIC: floor} if floor else {}, origin=origin)
    except (InputError, OSError, LookupError, TypeError, ValueError):
        return FirstMeasurement()
