"""Judge a bundle's manifest by its budget. Fails closed: what was not measured, or is not a number, is no pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from edgeship.benchmarks.gate import (
    advice,
    checks,
    device_checks,
    noise_floor,
    quality_checks,
    recommendation,
    server_checks,
    twin_check,
)
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.checks import JudgedMeasurement
from edgeship.bundle.figures.measurement import Measurement
from edgeship.bundle.manifest import ArtifactEntry, Manifest
from edgeship.bundle.verdict import ArtifactReason, Check, GateResult, combine_verdicts
from edgeship.settings.config import Config
from edgeship.types import Verdict, to_json

Recipes = Mapping[str, str | None]


def judge(manifest: Manifest, budget: Budget) -> GateResult:
    """The verdict on all artifacts of a manifest.

    A metric without value counts by its availability: what was not run may be optional, times of a machine that was too
    busy are inconclusive, all else fails. Nothing judged at all is FAIL.
    """
    decisions = list(server_checks.check_server_accuracy(manifest, budget))
    decisions += server_checks.check_constant_answers(manifest, budget)
    not_judged = [ArtifactReason(item.artifact, f"not made: {item.reason}") for item in manifest.skipped]
    failed, excused = _judge_failures(manifest, budget)
    decisions += failed
    not_judged += excused
    asked = {artifact.id: checks.recipe_of(manifest, artifact) for artifact in manifest.artifacts}
    recipes = noise_floor.recipes_of_files(manifest, asked)
    for artifact in manifest.artifacts:
        judged, unjudged = _judge_artifact(manifest, artifact, budget, recipes)
        decisions += judged
        not_judged += unjudged
    decisions += _required_artifacts(manifest, budget, not_judged)
    not_judged += _unmatched_overrides(manifest, budget)
    decisions += device_checks.required_devices(manifest, budget)
    decisions += device_checks.counting_devices(manifest, budget)
    if not any(check.artifact for check in decisions):
        reason = "none of the artifacts was judged" if manifest.artifacts else "the bundle holds no artifact"
        decisions.append(Check("", "", "artifacts", Verdict.FAIL, reason=reason))
    verdict = combine_verdicts(decisions) or Verdict.FAIL
    foreign = tuple(artifact.id for artifact in manifest.artifacts if artifact.foreign)
    result = GateResult(verdict, tuple(decisions), tuple(not_judged), to_json(budget), foreign)
    doubts = tuple(twin_check.remark_twins(manifest))
    recommended = recommendation.recommend(manifest, result, [item.artifact for item in doubts])
    result = replace(result, recommended=recommended, remarks=(*recommendation.remark(manifest, result), *doubts))
    return replace(result, next_steps=advice.next_steps(manifest, result))


def _judge_failures(manifest: Manifest, budget: Budget) -> tuple[list[Check], list[ArtifactReason]]:
    """A failed check for each artifact that was asked for and could not be made, but for those that are optional."""
    failed, excused = [], []
    for item in manifest.failures:
        if budget.is_optional(item.artifact):
            excused.append(ArtifactReason(item.artifact, f"not made: {item.text}"))
        else:
            failed.append(Check(item.artifact, "", "made", Verdict.FAIL, reason=item.text))
    return failed, excused


def missing_artifacts(manifest: Manifest) -> tuple[str, ...]:
    """The artifacts that could not be made and that the bundle's own budget does not let be missing, by id."""
    settings = Config.restore(manifest.config)
    failed, _ = _judge_failures(manifest, Budget.parse(settings.budget, settings.source))
    return tuple(check.artifact for check in failed)


def judge_again(manifest: Manifest) -> Manifest:
    """A bundle's manifest with the verdict that its figures give by its own budget: the one that it holds is a claim.

    One that holds none stays without. Raises InputError where its configuration is none.
    """
    if manifest.gate is None:
        return manifest
    settings = Config.restore(manifest.config)
    return replace(manifest, gate=judge(manifest, Budget.parse(settings.budget, settings.source)))


def record_doubts(manifest: Manifest) -> Manifest:
    """The manifest with what speaks against the origin of each artifact, before new figures take the place of the old ones."""
    artifacts = (
        replace(item, doubt=checks.why_doubted(manifest, item, _telling_measurements(manifest, item)))
        for item in manifest.artifacts
    )
    return replace(manifest, artifacts=tuple(artifacts))


def _telling_measurements(manifest: Manifest, artifact: ArtifactEntry) -> list[Measurement]:
    """Those that say what was measured: those of what ran, and of others as far as they say it."""
    mine = manifest.measurements_of(artifact.id)
    return [item for item in mine if not _is_idle(item) or item.details.content is not None]


def _judge_artifact(
    manifest: Manifest, artifact: ArtifactEntry, budget: Budget, recipes: Recipes
) -> tuple[list[Check], list[ArtifactReason]]:
    own, mine = budget.for_artifact(artifact.id), manifest.measurements_of(artifact.id)
    idle = [item for item in mine if _is_idle(item)]
    active = [item for item in mine if not _is_idle(item)]
    telling = _telling_measurements(manifest, artifact)
    if artifact.foreign:
        decisions = [*checks.check_foreign(manifest, artifact, telling)]
    else:
        decisions = [checks.check_origin(manifest, artifact, telling)]
    decisions += checks.check_sizes(artifact.id, mine, own)
    decisions += twin_check.check_twin(manifest, artifact, active)
    if active:
        peers = noise_floor.peer_noise(manifest, artifact, recipes)
        outputs = tuple(spec.name for spec in manifest.server_model.outputs) if manifest.server_model else ()
        labels, recipe = manifest.labels or (), recipes[artifact.id]
        base = manifest.artifact(f"{artifact.format}/float32")
        is_baseline = base is not None and base.content is not None and base.content == artifact.content
        subjects = [JudgedMeasurement(item, own, recipe, outputs, labels, peers, is_baseline) for item in active]
        decided = not all(map(device_checks.is_partial, active))
        for subject in subjects:
            decisions += _judge_measurement(subject, decided=decided)
        holds, unjudged = device_checks.judge_processors(artifact)
        decisions += [*holds, *device_checks.limits_of_host(subjects)]
        return decisions, [*unjudged, *device_checks.device_failures(idle)]
    reason = "; ".join(dict.fromkeys(map(_why_idle, idle))) or "it was never measured"
    if idle and budget.is_optional(artifact.id):
        # Size and origin hold without a runtime; a failure there is still one.
        failures = [check for check in decisions if check.verdict is not Verdict.PASS]
        return failures, [ArtifactReason(artifact.id, f"not run: {reason}")]
    return [*decisions, Check(artifact.id, "", "runs", Verdict.FAIL, reason=f"not run: {reason}")], []


def _judge_measurement(subject: JudgedMeasurement, *, decided: bool) -> Iterator[Check]:
    """All checks of one measurement that was taken, or that failed; `decided`: all samples are judged somewhere."""
    if device_checks.is_on_device(subject.measurement):
        yield from device_checks.check_device_measurement(subject, decided=decided)
        return
    yield from quality_checks.check_outputs(subject)
    yield from quality_checks.check_accuracy(subject)
    yield from quality_checks.check_unjudged_outputs(subject)
    yield from checks.check_latency(subject)
    yield from checks.check_memory(subject)


def _unmatched_overrides(manifest: Manifest, budget: Budget) -> list[ArtifactReason]:
    """Overrides that no artifact matches: nothing is judged by them, which a misspelt name should not hide."""
    present = [item.id for item in manifest.artifacts]
    absent = (*(item.artifact for item in manifest.skipped), *(item.artifact for item in manifest.failures))
    names = [*present, *absent]
    reason = f"its limits in [budget] hold for no artifact here: {', '.join(present) or 'none'}"
    return [
        ArtifactReason(pattern, reason)
        for pattern in budget.overrides
        if not any(fnmatchcase(name, pattern) for name in names)
    ]


def _is_idle(item: Measurement) -> bool:
    """Whether nothing ran: its runtime is not installed, its device could not, or only estimates."""
    return bool(checks.why_not_run(item)) or device_checks.did_not_run(item) or device_checks.is_estimate(item)


def _why_idle(item: Measurement) -> str:
    if cell := item.details.cell:
        return f"{item.device}: {cell.reason or 'it only estimates'}"
    return f"{item.runtime}: {checks.why_not_run(item)}"


def _required_artifacts(manifest: Manifest, budget: Budget, not_judged: Sequence[ArtifactReason]) -> list[Check]:
    """A failed check for each required artifact (on its runtime) that is not there or did not run."""
    failures = []
    unjudged = {item.artifact: item.reason for item in not_judged}
    unjudged.update({item.artifact: f"not made: {item.reason}" for item in manifest.failures})
    for entry in budget.required:
        name, _, runtime = entry.partition("@")
        # Figures may be left of what is there no longer.
        mine = manifest.measurements_of(name) if manifest.artifact(name) else ()
        if not any(not _is_idle(item) and runtime in ("", item.runtime) for item in mine):
            plain = f"did not run on {runtime}" if runtime else "is not in the bundle, or did not run"
            reason = f"required, but {unjudged.get(name, plain)}"
            failures.append(Check(name, runtime, "required", Verdict.FAIL, reason=reason))
    return failures
