"""What `edgeship init` demands of the server model itself: a floor that it reaches as it is, from a measurement or its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeship.benchmarks.compare import accuracy
from edgeship.benchmarks.compare.constant_answers import compare_with_constants
from edgeship.benchmarks.gate import server_checks
from edgeship.bundle.comparisons import ConstantAnswer
from edgeship.data import RepresentativeDataset, load
from edgeship.errors import EdgeshipError, InputError
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
MOST_SAMPLES = 2000  # answered for it; `ship` finds the answers again where that is all of the data


@dataclass(frozen=True)
class ServerFloor:
    """A `min_server_accuracy` with where it is from; `active` where the server model has shown to be worth one."""

    value: float
    origin: str
    active: bool = True


def find_floor(
    process: FunctionProcess,
    model: Path,
    evaluation: Path | None,
    described: ServerModelDescription,
    loading: dict[str, Any],
) -> ServerFloor | None:
    """The floor, by the evaluation data where it is there, else by the model card beside the model; None where neither tells.

    Says why where the data cannot be used, or the server model is hardly better than always the same answer.
    """
    try:
        floor = _measure_floor(process, model, evaluation, described, loading) if evaluation else None
    except EdgeshipError as error:
        print_notice(printable(f"min_server_accuracy is left open: {error}"))
        return None
    return floor or _read_card(model)


def _measure_floor(
    process: FunctionProcess, model: Path, evaluation: Path, described: ServerModelDescription, loading: dict[str, Any]
) -> ServerFloor | None:
    data, settings = RepresentativeDataset(evaluation), Config(model=Model(**loading))
    labels = data.labels(inputs=described.inputs)
    if not labels:
        return None
    limit = MOST_SAMPLES if len(data) > MOST_SAMPLES else None
    data_checks.check_samples(data, described.inputs, limit)
    key = {**server_key(model, settings), "data": data.digest, "limit": limit}

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

    outputs = load(cache.Cache().get("reference", key, answer).path / "outputs.npz")
    truths = data.labels(limit, described.inputs)
    report = accuracy.measure(truths, outputs, outputs)
    metrics = {name: output.metric for name, output in report.outputs.items()}
    return _judge_answers(compare_with_constants(truths, outputs, metrics))


def _judge_answers(answers: Mapping[str, ConstantAnswer]) -> ServerFloor | None:
    verdicts = {name: server_checks.judge_skill(answer, stated=False) for name, answer in answers.items()}
    for name, verdict in verdicts.items():
        if verdict is not Verdict.PASS:
            print_notice(printable(server_checks.describe_skill(answers[name], verdict)))
    floor = server_checks.suggest_floor(answers)
    if floor is None:
        return None
    (answer,) = answers.values()
    figure = f"{answer.metric} {answer.server:.4g} on {answer.n:,} evaluation samples"
    return ServerFloor(floor, figure, all(verdict is Verdict.PASS for verdict in verdicts.values()))


def _read_card(model: Path) -> ServerFloor | None:
    """By the card of `edgeship train` that lies beside the very model; anything else there counts as none."""
    try:
        card = read_json(model.with_name(CARD))
        figures, samples = card["results"]["accuracy"], int(card["results"]["accuracy"]["samples"])
        if card["model"]["sha256"] != digest.of_path(model) or not 0 <= figures["low"] <= figures["value"] <= 1:
            return None
        floor = server_checks.round_floor(figures["low"], share=True)
        return (
            ServerFloor(floor, f"accuracy {figures['value']:.4g} on {samples:,} test samples, by {CARD}")
            if floor
            else None
        )
    except (InputError, OSError, LookupError, TypeError, ValueError):
        return None
