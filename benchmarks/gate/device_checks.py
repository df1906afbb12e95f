"""The gate's checks of devices: what ran is judged, what had to run and did not is a failure, the rest is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgeship.benchmarks.gate import checks
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.checks import Check, JudgedMeasurement
from edgeship.bundle.manifest import NOT_COMPARED
from edgeship.types import Verdict

Json = Mapping[str, Any]


def is_one(item: Json) -> bool:
    """Whether a measurement comes from a device with a column in the parity matrix."""
    return "cell" in item["details"]


def idle(item: Json) -> bool:
    """Whether it did not run there."""
    return is_one(item) and item["details"]["cell"]["state"] in NOT_COMPARED


def estimated(item: Json) -> bool:
    """Whether nothing was run: a compiler has estimated."""
    return is_one(item) and item["details"]["cell"]["state"] == "estimated"


def partial(item: Json) -> bool:
    """Whether it saw a part of the samples only."""
    samples = item["details"].get("samples") or {}
    return bool(samples.get("n", 0) < samples.get("of", 0))


def measurement(subject: JudgedMeasurement, *, decided: bool) -> Iterator[Check]:
    """The checks of an artifact that ran on a device; `decided`: all samples are judged elsewhere."""
    part = decided and partial(subject.measurement)
    yield from checks.outputs(subject)
    for check in checks.accuracy(subject):
        # A part of the samples can show that something is wrong, but need not decide what all samples decide elsewhere.
        if not (part and check.verdict is Verdict.INCONCLUSIVE):
            yield check
    yield from instructions(subject)


def instructions(subject: JudgedMeasurement) -> Iterator[Check]:
    """Instructions per inference against the limits, where the device counts them; they vary by far less than a percent."""
    names = {metric["name"] for metric in subject.measurement["metrics"]}
    limits = {
        "instructions": subject.budget.max_instructions,
        "instructions_ratio": subject.budget.max_instructions_ratio,
    }
    for name, limit in limits.items():
        if limit is None or name not in names:
            continue
        value, reason = subject.metric(name)
        unit = "x" if name == "instructions_ratio" else "instructions"
        if value is None:
            yield subject.check(name, Verdict.FAIL, f"not counted: {reason}", (None, limit, unit))
            continue
        verdict = Verdict.PASS if value <= limit else Verdict.FAIL
        shown = f"{value:,.4g}x of float32, at most {limit:g}x" if unit == "x" else f"{value:,} of {limit:,} allowed"
        yield subject.check(name, verdict, shown, (value, limit, unit))


def untimed(manifest: Json, artifact: Json, ran: Sequence[Json], budget: Budget) -> Iterator[Check]:
    """The limits on time and memory of an artifact that ran on devices alone: the memory that one has measured is judged.

    A limit that nothing is held to fails.
    """
    if not all(map(is_one, ran)):
        return
    subjects = [JudgedMeasurement(manifest, artifact, item, budget) for item in ran]
    measured = [subject for subject in subjects if subject.metric("peak_memory_bytes")[0] is not None]
    for subject in measured:
        yield from checks.memory(subject)
    ratio = None if artifact["variant"] == "float32" else budget.max_latency_ratio
    memory = None if measured else budget.max_peak_memory
    for name, limit, unit in (("latency_ratio", ratio, "x"), ("peak_memory", memory, "bytes")):
        if limit is not None:
            reason = "limited, but only devices ran it, and this is measured here (--device host,...)"
            yield Check(artifact["id"], "", name, Verdict.FAIL, None, limit, unit, reason)


def uncounted(manifest: Json, budget: Budget) -> Iterator[Check]:
    """A failed check where instructions are limited and no device has counted any: a limit that nobody holds is none."""
    limited = [budget, *(budget.of(pattern) for pattern in budget.overrides)]
    if not any(one.max_instructions or one.max_instructions_ratio for one in limited):
        return
    if not any(metric["name"] == "instructions" for item in manifest["measurements"] for metric in item["metrics"]):
        reason = "instructions are limited, but no device that counts them was measured (--device cortex-a72)"
        yield Check("", "", "instructions", Verdict.FAIL, reason=reason)


def required(manifest: Json, budget: Budget) -> Iterator[Check]:
    """A failed check for each required device that was not measured, ran nothing, or failed an artifact that it takes.

    A device that an artifact's own table requires must run that artifact.
    """
    found = manifest.get("measurements", [])
    for device in budget.required_devices:
        mine = [item for item in found if item.get("device") == device]
        if not any(not _idle_or_absent(item) for item in mine):
            yield _failed("", device, _told(mine) or "it was not measured (--device)")
            continue
        for item in mine:
            if idle(item) and item["details"]["cell"]["state"] != "refused":
                yield _failed(item["artifact"], device, _told([item]))
    for artifact in manifest.get("artifacts", []):
        own = set(budget.of(artifact["id"]).required_devices) - set(budget.required_devices)
        for device in sorted(own):
            mine = [item for item in found if item.get("device") == device and item["artifact"] == artifact["id"]]
            if not any(not _idle_or_absent(item) for item in mine):
                yield _failed(artifact["id"], device, _told(mine) or "it was not measured (--device)")


def _idle_or_absent(item: Json) -> bool:
    return idle(item) or bool(checks.not_run(item))


def _told(items: Sequence[Json]) -> str:
    """Why nothing ran, each reason once."""
    reasons = [item["details"]["cell"]["reason"] if is_one(item) else checks.not_run(item) for item in items]
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason))


def _failed(artifact: str, device: str, why: str) -> Check:
    return Check(artifact, "", "device", Verdict.FAIL, reason=f"required, but did not run: {why}", device=device)


def left_out(items: Sequence[Json]) -> list[Mapping[str, str]]:
    """What a device failed at, or could not try because it is not installed, for the gate's list of what it did not judge."""
    return [
        {"artifact": f"{item['artifact']} @ {item['device']}", "reason": item["details"]["cell"]["reason"]}
        for item in items
        if idle(item) and item["details"]["cell"]["state"] != "refused"
    ]
