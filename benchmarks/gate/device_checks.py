"""The gate's checks of devices: what ran is judged, what had to run and did not is a failure, the rest is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgeship.benchmarks.gate import checks, quality_checks
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.checks import JudgedMeasurement
from edgeship.bundle.figures.device_figures import NOT_COMPARED, CellState
from edgeship.bundle.figures.measurement import Measurement
from edgeship.bundle.manifest import ArtifactEntry, Manifest
from edgeship.bundle.verdict import ArtifactReason, Check
from edgeship.types import Verdict


def is_on_device(item: Measurement) -> bool:
    """Whether a measurement comes from a device with a column in the parity matrix."""
    return item.details.cell is not None


def did_not_run(item: Measurement) -> bool:
    """Whether it did not run there."""
    return item.details.cell is not None and item.details.cell.state in NOT_COMPARED


def is_estimate(item: Measurement) -> bool:
    """Whether nothing was run: a compiler has estimated."""
    return item.details.cell is not None and item.details.cell.state is CellState.ESTIMATED


def is_partial(item: Measurement) -> bool:
    """Whether it saw a part of the samples only."""
    samples = item.details.samples
    return samples is not None and samples.n < samples.of


def check_device_measurement(subject: JudgedMeasurement, *, decided: bool) -> Iterator[Check]:
    """The checks of an artifact that ran on a device; `decided`: all samples are judged elsewhere."""
    part = decided and is_partial(subject.measurement)
    yield from quality_checks.check_outputs(subject)
    for check in quality_checks.check_accuracy(subject):
        # A part of the samples can show that something is wrong, but need not decide what all samples decide elsewhere.
        if not (part and check.verdict is Verdict.INCONCLUSIVE):
            yield check
    yield from check_instructions(subject)


def check_instructions(subject: JudgedMeasurement) -> Iterator[Check]:
    """Instructions per inference against the limits, where the device counts them; they vary by far less than a percent."""
    limits = {
        "instructions": subject.budget.max_instructions,
        "instructions_ratio": subject.budget.max_instructions_ratio,
    }
    for name, limit in limits.items():
        if limit is None or subject.measurement.metric(name) is None:
            continue
        metric, unit = subject.metric(name), "x" if name == "instructions_ratio" else "instructions"
        if metric.value is None:
            yield subject.make_check(name, Verdict.FAIL, f"not counted: {metric.reason}", (None, limit, unit))
            continue
        value = metric.value
        verdict = Verdict.PASS if value <= limit else Verdict.FAIL
        count_text = f"{value:,.0f} of {limit:,} allowed"
        reason = f"{value:,.4g}x of float32, at most {limit:g}x" if unit == "x" else count_text
        yield subject.make_check(name, verdict, reason, (value, limit, unit))


def limits_of_host(subjects: Sequence[JudgedMeasurement]) -> Iterator[Check]:
    """The limits on time and memory of an artifact that ran on devices alone: the memory that one has measured is judged.

    `subjects`: its measurements, at least one. A limit that nothing is held to fails.
    """
    if not all(is_on_device(subject.measurement) for subject in subjects):
        return
    with_memory = [subject for subject in subjects if subject.metric("peak_memory_bytes").value is not None]
    for subject in with_memory:
        yield from checks.check_memory(subject)
    artifact, budget = subjects[0].measurement.artifact, subjects[0].budget
    ratio = None if subjects[0].variant == "float32" else budget.max_latency_ratio
    memory = None if with_memory else budget.max_peak_memory
    for name, limit, unit in (("latency_ratio", ratio, "x"), ("peak_memory", memory, "bytes")):
        if limit is not None:
            reason = "limited, but only devices ran it, and this is measured here (--device host,...)"
            yield Check(artifact, "", name, Verdict.FAIL, None, limit, unit, reason)


def counting_devices(manifest: Manifest, budget: Budget) -> Iterator[Check]:
    """A failed check where instructions are limited and no device has counted any: a limit that nobody holds is none."""
    limited = [budget, *(budget.for_artifact(pattern) for pattern in budget.overrides)]
    if not any(one.max_instructions or one.max_instructions_ratio for one in limited):
        return
    if not any(item.metric("instructions") for item in manifest.measurements):
        reason = "instructions are limited, but no device that counts them was measured (--device cortex-a72)"
        yield Check("", "", "instructions", Verdict.FAIL, reason=reason)


def required_devices(manifest: Manifest, budget: Budget) -> Iterator[Check]:
    """A failed check for each required device that was not measured, ran nothing, or failed an artifact that it takes.

    A device that an artifact's own table requires must run that artifact.
    """
    for device in budget.required_devices:
        mine = [item for item in manifest.measurements if item.device == device]
        if not any(not _is_idle(item) for item in mine):
            yield _failed_device("", device, _why_idle(mine) or "it was not measured (--device)")
            continue
        for item in mine:
            if _failed_to_run(item):
                yield _failed_device(item.artifact, device, _why_idle([item]))
    for artifact in manifest.artifacts:
        own = set(budget.for_artifact(artifact.id).required_devices) - set(budget.required_devices)
        for device in sorted(own):
            mine = [item for item in manifest.measurements_of(artifact.id) if item.device == device]
            if not any(not _is_idle(item) for item in mine):
                yield _failed_device(artifact.id, device, _why_idle(mine) or "it was not measured (--device)")


def _is_idle(item: Measurement) -> bool:
    return did_not_run(item) or bool(checks.why_not_run(item))


def _failed_to_run(item: Measurement) -> bool:
    """Whether a device failed at what it takes, or could not try because it is not installed."""
    cell = item.details.cell
    return cell is not None and cell.state in NOT_COMPARED and cell.state is not CellState.REFUSED


def _why_idle(items: Sequence[Measurement]) -> str:
    """Why nothing ran, each reason once."""
    reasons = [item.details.cell.reason if item.details.cell else checks.why_not_run(item) for item in items]
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason))


def _failed_device(artifact: str, device: str, reason: str) -> Check:
    why = f"required, but did not run: {reason}"
    return Check(artifact, "", "device", Verdict.FAIL, reason=why, device=device)


def judge_processors(artifact: ArtifactEntry) -> tuple[list[Check], list[ArtifactReason]]:
    """On which processors an int8 `.onnx` computes what it was judged by, as its weights show; or what was not judged."""
    overflowing = artifact.receipt.overflowing if artifact.receipt else None
    if overflowing is None:
        return [], []
    if not overflowing:
        reason = "no sum of its int8 weights overflows: x86 processors without VNNI compute what those with it do"
        return [Check(artifact.id, "", "processors", Verdict.PASS, reason=reason)], []
    reason = (
        f"8-bit weights of {len(overflowing)} operator(s) may overflow there ({overflowing[0]}), and answers differ: "
        'weights of weight_bits = "auto" do not'
    )
    return [], [ArtifactReason(f"{artifact.id} @ x86 without VNNI", reason)]


def device_failures(items: Sequence[Measurement]) -> list[ArtifactReason]:
    """What a device failed at, or could not try because it is not installed, for the gate's list of what it did not judge."""
    return [
        ArtifactReason(f"{item.artifact} @ {item.device}", item.details.cell.reason)
        for item in items
        if item.details.cell and _failed_to_run(item)
    ]
