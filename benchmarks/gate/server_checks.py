"""The checks of the server model itself: a floor for its figure, and whether it is better than always the same answer."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edgeship import untrusted
from edgeship.benchmarks.compare.statistics import LEAST_SAMPLES, Z95, Z_POWER
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.checks import class_name
from edgeship.bundle.bundle import Bundle, place_seen_from
from edgeship.bundle.figures.comparisons import ConstantAnswer, OutputAccuracy, ServerAccuracy
from edgeship.bundle.manifest import Manifest
from edgeship.bundle.metric import number_text, number_texts
from edgeship.bundle.verdict import Check
from edgeship.errors import InputError
from edgeship.storage import digest
from edgeship.toml_tables import toml_value
from edgeship.types import Verdict
from edgeship.untrusted import is_code, printable

# A model that surely closes less of the way from the best constant answer to a perfect one has learned next to nothing.
LEAST_SKILL = 0.05


def check_server_accuracy(manifest: Manifest, budget: Budget) -> Iterator[Check]:
    """The floor on the server model's own figure of each output that has one (a ceiling where lower is better).

    A floor is only held against the metric that it was written for. INCONCLUSIVE where no output has that metric, and where a
    floor that names none meets a metric that was chosen by what the labels hold: other data may choose another.
    """
    floor = budget.min_server_accuracy
    if floor is None:
        return
    figures = _server_figures(manifest)
    if not any(item.server is not None for item in figures.values()):
        told = "; ".join(dict.fromkeys(item.reason for item in figures.values() if item.reason))
        reason = f"the server model's accuracy is not known{told and f': {told}'}"
        limit = None if isinstance(floor, Mapping) else floor
        yield Check("", "", "server_accuracy", Verdict.FAIL, None, limit, "", reason)
        return
    if reason := _why_not_comparable(budget, figures):
        yield Check("", "", "server_accuracy", Verdict.INCONCLUSIVE, reason=reason)
        return
    for output, figure in figures.items():
        limit = budget.server_floor(figure.metric)
        if limit is not None:
            name = "server_accuracy" if len(figures) == 1 else f"server_accuracy:{output}"
            yield _judge_figure(name, figure, limit)


def _server_figures(manifest: Manifest) -> Mapping[str, ServerAccuracy | OutputAccuracy]:
    """The server model's figures by labelled output; of earlier versions' bundles those beside the artifacts'."""
    if manifest.server_measurement:
        return manifest.server_measurement.outputs or {manifest.server_measurement.output: manifest.server_measurement}
    reports = [item.details.accuracy for item in manifest.measurements]
    report = next((report for report in reports if report and report.server is not None), None)
    return (report.outputs or {report.output: report}) if report else {}


def _why_not_comparable(budget: Budget, figures: Mapping[str, ServerAccuracy | OutputAccuracy]) -> str:
    """Why the floor is not one of these figures; empty where it is."""
    metrics = list(dict.fromkeys(figure.metric for figure in figures.values()))
    if absent := [printable(metric)[: untrusted.SHOWN] for metric in budget.floor_metrics if metric not in metrics]:
        return (
            f"min_server_accuracy is for {' and '.join(absent)}, and the metric here is {' and '.join(metrics)}: name in "
            "[benchmark] the metric that it is for, or give a floor for the one that is here (edgeship init measures it)"
        )
    if budget.floor_metrics:
        return ""
    chosen = any(figure.why and not is_code(figure.metric) for figure in figures.values())
    if len(metrics) == 1 and not chosen:
        return ""
    names = " and ".join(metrics)
    why = "which the labels here led to" if len(metrics) == 1 else "of several outputs"
    example = toml_value({metrics[0]: budget.min_server_accuracy})
    return (
        f"min_server_accuracy does not say for which metric it is, and here it is {names}, {why}: "
        f"write min_server_accuracy = {example} if it is for {metrics[0]}"
    )


def _judge_figure(name: str, figure: ServerAccuracy | OutputAccuracy, floor: float) -> Check:
    if figure.server is None:
        reason = f"the server model's {figure.metric} is not known{figure.reason and f': {figure.reason}'}"
        return Check("", "", name, Verdict.FAIL, None, floor, figure.metric, reason)
    good = figure.server >= floor if figure.higher_is_better else figure.server <= floor
    side = "at least" if figure.higher_is_better else "at most"
    reason = (
        f"the server model's {figure.metric} is {number_text(figure.server)}, {side} {number_text(floor)} is wanted"
    )
    verdict = Verdict.PASS if good else Verdict.FAIL
    return Check("", "", name, verdict, figure.server, floor, figure.metric, reason)


def check_constant_answers(manifest: Manifest, budget: Budget) -> Iterator[Check]:
    """Whether the server model is better than the best constant answer, for each labelled output; see `judge_skill`."""
    answers = manifest.constant_answers if budget.judges_accuracy else {}
    for output, answer in answers.items():
        if answer.gain is not None and answer.low is not None and answer.high is not None:
            name = "constant_answer" if len(answers) == 1 else f"constant_answer:{output}"
            verdict = judge_skill(answer, stated=budget.server_floor(answer.metric) is not None)
            unit = "points" if answer.share else answer.metric
            value = answer.gain * 100 if answer.share else answer.gain
            reason = describe_skill(answer, verdict, manifest.labels or ())
            yield Check("", "", name, verdict, value, 0.0, unit, reason)


def judge_skill(answer: ConstantAnswer, *, stated: bool) -> Verdict:
    """PASS where the server model is surely better, by the paired 95 % interval of its gain.

    FAIL where it is not, and surely by less than `LEAST_SKILL` of what a perfect model would gain. Between the two, and where it
    is surely better but by less than that, INCONCLUSIVE, as with fewer than `LEAST_SAMPLES`; a little gain passes where somebody
    has `stated` what is enough.
    """
    if answer.n < LEAST_SAMPLES:
        return Verdict.INCONCLUSIVE
    gain, low, high = (value or 0.0 for value in (answer.gain, answer.low, answer.high))
    least = LEAST_SKILL * _most_gain(answer)
    if low > 0:
        return Verdict.PASS if stated or gain >= least else Verdict.INCONCLUSIVE
    return Verdict.FAIL if high < least else Verdict.INCONCLUSIVE


def _most_gain(answer: ConstantAnswer) -> float:
    """What a perfect model gains: up to a figure of 1, of errors down to 0."""
    value = answer.value or 0.0
    return max(0.0, 1 - value if answer.higher_is_better else value)


def describe_skill(answer: ConstantAnswer, verdict: Verdict, labels: Sequence[str] = ()) -> str:
    """The sentence of a check, with what to do; `labels` are names of classes."""
    unit = "points" if answer.share else answer.metric
    percent = " %" if answer.share else ""
    constant = answer.answer if answer.label is None else class_name(labels, answer.label)
    figures = [item or 0.0 for item in (answer.server, answer.value, answer.gain, answer.low, answer.high)]
    if answer.share:
        server, value, gain, low, high = (f"{item * 100 + 0.0:.2f}" for item in figures)
    else:
        server, value, gain, low, high = [*map(number_text, figures[:2]), *number_texts(*figures[2:])]
    return (
        f"the server model's {answer.metric} is {server}{percent}, always answering {constant} gives {value}{percent}: "
        f"a gain of {gain} {unit} (95 % interval {low} to {high}){_next_step(answer, verdict)}"
    )


def _next_step(answer: ConstantAnswer, verdict: Verdict) -> str:
    if verdict is Verdict.PASS:
        return ""
    if verdict is Verdict.FAIL:
        return "; it is no better than that: is it the right file, and are the inputs scaled as in training?"
    if not _most_gain(answer):
        return "; so this data tells no model from none: add samples with other labels"
    gain, low = answer.gain or 0.0, answer.low or 0.0
    if low > 0:
        floor = toml_value({answer.metric: float(f"{answer.server or 0.0:.2g}")})
        return f"; if that little is enough, say so: min_server_accuracy = {floor} in [budget]"
    return "; that it is better is not shown" + (_samples_note(gain, gain - low, answer.n) if gain > 0 else "")


def _samples_note(gain: float, half: float, n: int) -> str:
    """About how many samples would show such a gain, four times of five: the interval's half shrinks as 1/sqrt(n)."""
    needed = max(LEAST_SAMPLES, n * (half / gain * (Z95 + Z_POWER) / Z95) ** 2)
    return f"; about {float(f'{needed:.2g}'):,.0f} samples would decide, there are {n:,}"


def suggest_floors(answers: Mapping[str, ConstantAnswer]) -> Mapping[str, float]:
    """A `min_server_accuracy` by metric that the server model as it is surely reaches; of outputs with one metric the worst's.

    It lies off the server model's figure by what its gain is uncertain by.
    """
    floors: dict[str, float] = {}
    for answer in answers.values():
        if answer.server is None or answer.gain is None or answer.low is None:
            continue
        off = answer.gain - answer.low
        limit = answer.server - off if answer.higher_is_better else answer.server + off
        floor = round_floor(limit, share=answer.share, down=answer.higher_is_better)
        if floor is not None:
            worst = min if answer.higher_is_better else max
            floors[answer.metric] = worst(floor, floors.get(answer.metric, floor))
    return floors


def round_floor(limit: float, *, share: bool, down: bool = True) -> float | None:
    """A limit in hundredths (shares) or two digits, rounded to where it is reached; None where none is left."""
    if limit <= 0:
        return None
    step = 0.01 if share else 10.0 ** (math.floor(math.log10(limit)) - 1)
    whole = math.floor(limit / step + 1e-9) if down else math.ceil(limit / step - 1e-9)
    return float(f"{whole * step:.6g}") or None


def check_server_file(bundle: Bundle, model: Path | None) -> Check | None:
    """Whether a bundle was made from the server model in a file or folder, by content.

    Without a `model` it is the one that lies where the bundle's was copied from; None where that is gone, or is the same. A
    bundle may be anybody's: what it names is only read where it is as large as the bundle's own. Raises InputError for a
    `model` that cannot be read.
    """
    entry, own = bundle.manifest.server, bundle.root / bundle.manifest.server.path
    named = model or _original_place(bundle)
    if named is None:
        return None
    try:
        same = _have_same_content(named, own)
    except InputError:
        if model:
            raise
        return None
    place = printable(model or place_seen_from(Path.cwd(), named))
    if same:
        return Check("", "", "server_model", Verdict.PASS, reason=f"made from {place}") if model else None
    reason = f"{place} is another model than the one that this bundle was made from ({entry.digest[:12]}): ship it anew"
    return Check("", "", "server_model", Verdict.FAIL, reason=reason)


def _original_place(bundle: Bundle) -> Path | None:
    source = bundle.manifest.server.source
    if not source:
        return None
    place = Path(os.path.normpath(bundle.root.resolve() / source))
    return place if os.path.exists(place) else None


def _have_same_content(first: Path, second: Path) -> bool:
    """Of two files, or of the files in two folders; folders that hold none get lost where a bundle is archived."""
    if first.is_dir() != second.is_dir():
        return False
    files = [
        untrusted.tree_files(place) if place.is_dir() else {"": untrusted.regular_file(place, links=True)}
        for place in (first, second)
    ]
    sizes = [{name: path.stat().st_size for name, path in tree.items()} for tree in files]
    if sizes[0] != sizes[1]:
        return False
    return all(digest.of_path(files[0][name]) == digest.of_path(files[1][name]) for name in files[0])
