"""The checks of what an artifact's outputs are worth: parity with the server model, and accuracy beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from edgeship.benchmarks.compare.metrics import OF_VALUES
from edgeship.benchmarks.compare.statistics import (
    LEAST_SAMPLES,
    Interval,
    binomial_error,
    holm_p_values,
    judge_drop,
    samples_needed,
)
from edgeship.benchmarks.gate import group_checks, noise_floor, sample_sizes
from edgeship.benchmarks.gate.budget import AGREEMENT_FLOORS, NO_ANSWERS, SQNR_FLOORS
from edgeship.benchmarks.gate.checks import JudgedMeasurement, class_name
from edgeship.bundle.figures.comparisons import ClassAccuracy, OutputAccuracy, OutputParity
from edgeship.bundle.metric import number_text, number_texts
from edgeship.bundle.verdict import Check
from edgeship.types import Availability, Verdict

LEVEL = 0.025  # one-sided, of what a class may lose by chance
TELLING_FLOOR = 30.0  # dB, as of float16: what lies above is the same computation, labels or not

# Metrics that are shares, though no value of the output is a class or a decision of its own.
OTHER_SHARES = ("map", "wer", "cer", "ndcg")


def check_outputs(subject: JudgedMeasurement) -> Iterator[Check]:
    """Parity with the server model: all values finite, noise below the variant's floor, agreement, largest error."""
    parity = subject.measurement.details.parity
    absent = set(subject.outputs) - set(parity or {})
    if not parity or absent:
        missing = f"not {', '.join(sorted(absent))}" if parity else subject.metric("max_abs_error").reason
        yield subject.make_check("outputs", Verdict.FAIL, f"not compared with the server model: {missing}")
        return
    for name, output in parity.items():
        if output.reason or output.sqnr_db is None or output.max_abs_error is None:
            reason = output.reason or "its errors are not known"
            yield subject.make_check(_check_name("outputs", name, parity), Verdict.FAIL, reason)
            continue
        yield from _check_noise(subject, name, output, output.sqnr_db)
        yield from _check_margins(subject, name, output)
        yield from _check_largest_error(subject, name, output, output.max_abs_error)
        yield from _check_agreement(subject, name, output)


def _check_name(check: str, output: str, outputs: Mapping[str, object]) -> str:
    """A check's name, with the output's where there are several."""
    return check if len(outputs) == 1 else f"{check}:{output}"


def _parity_of(subject: JudgedMeasurement) -> Mapping[str, OutputParity]:
    return subject.measurement.details.parity or {}


def _check_noise(subject: JudgedMeasurement, name: str, output: OutputParity, sqnr_db: float) -> Iterator[Check]:
    floor, because = _noise_floor(subject, name)
    if floor is None:
        return
    check = _check_name("parity", name, _parity_of(subject))
    same = None if subject.budget.replaces_sqnr_floor else AGREEMENT_FLOORS.get(subject.recipe or "")
    stated = subject.budget.min_sqnr_db
    if output.whole and same is not None and (stated is None or sqnr_db >= stated):
        yield _judge_agreement(subject, check, output, same)
        return
    verdict = Verdict.PASS if sqnr_db >= floor else Verdict.FAIL
    reason = f"signal to quantization noise {sqnr_db:.1f} dB, at least {floor:.3g} dB is wanted{because}"
    yield subject.make_check(check, verdict, reason, (sqnr_db, floor, "dB"))


def _noise_floor(subject: JudgedMeasurement, output: str) -> tuple[float | None, str]:
    """The least SQNR of an output in dB, and in words why, where a peer of the artifact raises it above the recipe's."""
    floor, peer = subject.budget.sqnr_floor(subject.recipe), subject.peers.get(output)
    if subject.budget.replaces_sqnr_floor or floor is None or peer is None:
        return floor, ""
    raised = peer.sqnr_db - noise_floor.LIMIT
    return (floor, "") if raised <= floor else (raised, f", as {peer.artifact} has {peer.sqnr_db:.1f} dB")


def _check_margins(subject: JudgedMeasurement, name: str, output: OutputParity) -> Iterator[Check]:
    """Of the server model's answers, surely not more than the limit may have a margin that the artifact's error reaches."""
    share, low, floor = output.margins_reached, output.margins_reached_low, AGREEMENT_FLOORS.get(subject.recipe or "")
    if share is None or low is None or floor is None or subject.budget.replaces_sqnr_floor:
        return
    if not _is_answer(subject, name, output):
        return
    limit = noise_floor.margin_limit(floor, subject.budget.margin(1.0, share=True))
    check = _check_name("margins", name, _parity_of(subject))
    verdict, note = _decide(Verdict.FAIL if low > limit else Verdict.PASS, output.n, output.n)
    reason = (
        f"the error is as large as the server model's own margin in {share:.2%} of its answers "
        f"(at most {100 * limit:.3g} % are allowed)"
    )
    yield subject.make_check(check, verdict, reason + note, (share, limit, "share"))


def _is_answer(subject: JudgedMeasurement, name: str, output: OutputParity) -> bool:
    """Whether an output is surely a class or a decision: numbers of any other kind have a largest one, too."""
    report = subject.measurement.details.accuracy
    scored = report.outputs.get(name) if report else None
    if scored:
        return scored.share and not scored.metric.startswith(OTHER_SHARES)
    return output.probabilities or subject.budget.min_agreement is not None


def _check_largest_error(subject: JudgedMeasurement, name: str, output: OutputParity, value: float) -> Iterator[Check]:
    limit = subject.budget.max_abs_error
    if limit is None:
        return
    verdict = Verdict.PASS if value <= limit else Verdict.FAIL
    reason = f"largest error {value:.4g}, at most {limit:g} is wanted{_why_too_wide(limit, output)}"
    yield subject.make_check(
        _check_name("max_abs_error", name, _parity_of(subject)), verdict, reason, (value, limit, "")
    )


def _check_agreement(subject: JudgedMeasurement, name: str, output: OutputParity) -> Iterator[Check]:
    limit, parity, report = subject.budget.min_agreement, _parity_of(subject), subject.measurement.details.accuracy
    if limit is None:
        return
    scored = report.outputs if report else {}
    values = {other for other, figures in scored.items() if figures.metric in OF_VALUES}
    answers = [other for other, found in parity.items() if found.agreement is not None and other not in values]
    if name in answers:
        yield _judge_agreement(subject, _check_name("agreement", name, parity), output, limit)
    elif not answers and name == next(iter(parity)):
        yield subject.make_check("agreement", Verdict.FAIL, NO_ANSWERS, (None, limit, "share"))


def _judge_agreement(subject: JudgedMeasurement, check: str, output: OutputParity, limit: float) -> Check:
    """The agreement's exact interval against the limit; a limit of 1 allows not a single other answer."""
    value, low, high = output.agreement, output.agreement_low, output.agreement_high
    if value is None or low is None or high is None:
        return subject.make_check(check, Verdict.FAIL, "its agreement is not known", (None, limit, "share"))
    if limit < 1:
        verdict = judge_drop(1 - high, 1 - low, 1 - limit, output.n)
    else:
        verdict = Verdict.FAIL if value < 1 else Verdict.PASS if output.n >= LEAST_SAMPLES else Verdict.INCONCLUSIVE
    reason = f"{value:.2%} same answers (95 % interval {low:.2%} to {high:.2%}), {limit:.2%} are wanted"
    if verdict is Verdict.INCONCLUSIVE:
        interval = Interval(1 - high, 1 - low, binomial_error(value * output.n, output.n))
        needed = samples_needed(1 - value, interval, 1 - limit, output.n)
        return _ask_for_samples(subject.make_check(check, verdict, reason, (value, limit, "share")), needed, output.n)
    return subject.make_check(check, verdict, reason, (value, limit, "share"))


def _ask_for_samples(check: Check, needed: int | None, n: int) -> Check:
    """An undecided check with what would decide it, as two digits of a number of samples; None: no number would."""
    if needed is None:
        return replace(check, reason=f"{check.reason}; no number of samples would decide", samples=n)
    about = sample_sizes.in_two_digits(needed)
    reason = f"{check.reason}; about {about:,} samples would decide, there are {n:,}"
    return replace(check, reason=reason, samples=n, samples_needed=about)


def check_accuracy(subject: JudgedMeasurement) -> Iterator[Check]:
    """The non-inferiority test of every labelled output, of its classes, and of the answers that should not move."""
    budget, report = subject.budget, subject.measurement.details.accuracy
    no_labels = report is None and subject.metric("accuracy").availability is Availability.NO_DATA
    if not budget.judges_accuracy or (no_labels and not budget.wants_accuracy):
        return
    if report is None:
        yield subject.make_check("accuracy", Verdict.FAIL, f"no accuracy: {subject.metric('accuracy').reason}")
        return
    comparisons: Mapping[str, OutputAccuracy] = report.outputs or {report.output: report}
    for name, output in comparisons.items():
        yield _judge_drop(subject, _check_name("accuracy", name, comparisons), output)
        yield from _check_class_drop(subject, _check_name("class_drop", name, comparisons), output)
        yield from _check_sure_flips(subject, _check_name("sure_flips", name, comparisons), output)
        yield from group_checks.check_groups(subject, _check_name("groups", name, comparisons), output)


def check_unjudged_outputs(subject: JudgedMeasurement) -> Iterator[Check]:
    """What no limit speaks of, but a floor that is too low to judge by: outputs without labels beside others that have some."""
    report, budget = subject.measurement.details.accuracy, subject.budget
    if budget.judges_accuracy and report is None and budget.wants_accuracy:
        return  # which fails already
    labelled = (set(report.outputs) or {report.output}) if report and budget.judges_accuracy else set()
    for name, output in sorted(_parity_of(subject).items()):
        if name in labelled or output.reason or _is_limited(subject, output):
            continue
        wide, limits = _why_too_wide(budget.max_abs_error, output), _name_limits(subject, name, output)
        if budget.min_agreement and not _tells_answers(budget.min_agreement, output):
            wide += f" (min_agreement = {budget.min_agreement:g} tells nothing: always its commonest answer agrees in "
            wide += f"{output.constant_agreement or 0.0:.2%})"
        if budget.min_sqnr_db is not None:
            floor = budget.sqnr_floor(subject.recipe)
            wide += f" ({floor:.3g} dB tell nothing: always its mean has {output.constant_sqnr_db or 0.0:.1f} dB)"
        yield subject.make_check(
            f"accuracy:{name}", Verdict.INCONCLUSIVE, f"nothing judges it{wide}: {limits} in [budget]"
        )


def _name_limits(subject: JudgedMeasurement, name: str, output: OutputParity) -> str:
    """What would judge an output, in words: labels, or without them of answers how many stay the same, of values the error."""
    report, single = subject.measurement.details.accuracy, len(_parity_of(subject)) == 1
    if report and name in (report.outputs or {report.output: report}):
        return "it has labels, so set max_drop or accuracy"
    limits = "max_abs_error or min_sqnr_db"
    if output.agreement is not None:
        limits = "min_agreement" if output.probabilities or output.whole else f"min_agreement, or of values {limits}"
    return f"add labels {'y' if single else f'y_{name}'}, or set {limits}"


def _can_tell(limit: float, output: OutputParity) -> bool:
    """Whether a largest error says anything: always the middle of the server model's values errs by half of their span."""
    return output.server_span is not None and limit < output.server_span / 2


def _tells_answers(limit: float, output: OutputParity) -> bool:
    """Whether an agreement says anything: always the commonest answer must not reach it; old bundles do not tell."""
    return output.agreement is None or output.constant_agreement is None or limit > output.constant_agreement


def _why_too_wide(limit: float | None, output: OutputParity) -> str:
    """Why a largest error says nothing of an output, in brackets; empty where it does, and where there is none."""
    if limit is None or _can_tell(limit, output):
        return ""
    if output.server_span is None:
        return " (what its values span was not recorded: measure it again)"
    return f" (max_abs_error = {limit:g} tells nothing: its values span {output.server_span:.3g}, and a constant errs by half)"


def _is_limited(subject: JudgedMeasurement, output: OutputParity) -> bool:
    """Whether a limit that needs no labels speaks of the output."""
    budget, recipe = subject.budget, subject.recipe
    if budget.max_abs_error is not None and _can_tell(budget.max_abs_error, output):
        return True
    asked = budget.min_agreement or (AGREEMENT_FLOORS.get(recipe or "") if output.whole else None)
    if output.agreement is not None and asked and _tells_answers(asked, output):
        return True
    if not budget.replaces_sqnr_floor and SQNR_FLOORS.get(recipe or "", 0.0) >= TELLING_FLOOR:
        return True
    return budget.min_sqnr_db is not None and (budget.sqnr_floor(recipe) or 0.0) > (output.constant_sqnr_db or 0.0)


def _judge_drop(subject: JudgedMeasurement, check: str, output: OutputAccuracy) -> Check:
    if output.drop is not None and output.low is None and output.reason:
        return subject.make_check(check, Verdict.INCONCLUSIVE, f"no interval of {output.metric}: {output.reason}")
    figures = [
        figure
        for figure in (output.value, output.server, output.drop, output.low, output.high)
        if figure is not None and math.isfinite(figure)
    ]
    if len(figures) < 5:
        return subject.make_check(check, Verdict.FAIL, f"no {output.metric}: {output.reason or 'it is not a number'}")
    value, reference, drop, low, high = figures
    margin = subject.budget.margin(reference, output.share)
    if margin is None:
        return subject.make_check(check, Verdict.FAIL, "the budget gives no margin to judge it by")
    if output.higher_is_better and not output.share and margin >= reference > 0:
        reason = (
            f"a drop of {margin:g} may be all of {output.metric} {reference:.4g}, so that nothing would fail: "
            "max_drop is in the metric's own unit here"
        )
        return subject.make_check(check, Verdict.FAIL, reason, (drop, margin, output.metric))
    verdict = judge_drop(low, high, margin, sample_sizes.count_output_samples(output), output.at_least)
    scale, unit = (100, "points") if output.share else (1, output.metric)
    percent = " %" if output.share else ""
    if output.share:
        texts = [f"{figure * scale + 0.0:.2f}" for figure in (value, reference, drop, low, high, margin)]
    else:
        texts = [number_text(value), number_text(reference), *number_texts(drop, low, high), number_text(margin)]
    reason = (
        f"{output.metric} {texts[0]}{percent}, server model {texts[1]}{percent}: drop {texts[2]} {unit} "
        f"(95 % interval {texts[3]} to {texts[4]}), margin {texts[5]}"
    )
    decisive = (drop * scale, margin * scale, unit)
    if verdict is not Verdict.INCONCLUSIVE:
        return subject.make_check(check, verdict, reason, decisive)
    reason += "; worse than the margin, but not by the 99.9 % that a FAIL takes" if low > margin else ""
    about, what = sample_sizes.ask_for_samples(output, margin)
    check_open = subject.make_check(check, verdict, f"{reason}; {what}", decisive)
    return replace(check_open, samples=output.n, samples_needed=about)


def _check_class_drop(subject: JudgedMeasurement, check: str, output: OutputAccuracy) -> Iterator[Check]:
    """No class may surely lose more than the limit: a class that vanished hides in the average of many."""
    rows, limit = output.per_class, subject.budget.max_class_drop
    if not rows:
        return
    losses_only = holm_p_values([_p_of_loss(row) for row in rows])
    lossy_rows = [row for row, p in zip(rows, losses_only, strict=True) if p < LEVEL and row.low * 100 > limit]
    worst = max(rows, key=lambda row: row.drop)
    losses = ", ".join(
        f"{class_name(subject.labels, row.label)} by {row.drop * 100:.3g}" for row in (lossy_rows or [worst])[:3]
    )
    reason = f"{'lost too much' if lossy_rows else 'largest drop'}: {losses} points (limit {limit:g}, Holm-corrected)"
    verdict = Verdict.FAIL if lossy_rows else Verdict.PASS
    verdict, note = _decide(verdict, output.n, output.n)
    yield subject.make_check(check, verdict, reason + note, (worst.drop * 100, limit, "points"))


def _p_of_loss(row: ClassAccuracy) -> float:
    """The one-sided p-value of a class's loss: gains of one must not make another's loss the surer (Holm's correction)."""
    if row.drop <= 0:
        return 1.0
    return (float(not row.significant) if row.p is None else row.p) / 2


def _decide(verdict: Verdict, n: int, samples: int) -> tuple[Verdict, str]:
    """No FAIL by fewer than `LEAST_SAMPLES` of `n` answers, no verdict at all by fewer samples; with what is told of it."""
    if samples >= LEAST_SAMPLES and (n >= LEAST_SAMPLES or verdict is Verdict.PASS):
        return verdict, ""
    return Verdict.INCONCLUSIVE, f"; fewer than {LEAST_SAMPLES} samples decide nothing, there are {min(n, samples)}"


def _check_sure_flips(subject: JudgedMeasurement, check: str, output: OutputAccuracy) -> Iterator[Check]:
    """Of the answers that the server model is sure of, surely not more than the limit may be others."""
    limit, flips = subject.budget.sure_flips(subject.recipe), output.sure_flips
    if limit is None or flips is None:
        return
    surely = flips.low if flips.at_least is None else flips.at_least
    verdict, note = _decide(Verdict.FAIL if surely * 100 > limit else Verdict.PASS, flips.n, output.n)
    reason = (
        f"{flips.flips:,} of the {flips.n:,} answers that the server model is sure of are others (limit {limit:g} %)"
    )
    yield subject.make_check(check, verdict, reason + note, (flips.share * 100, limit, "%"))
