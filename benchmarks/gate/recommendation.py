"""Which artifact to ship to which target, and which artifacts do not pay: larger or slower than float32 of the same format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edgeship.bundle.manifest import ArtifactEntry, Manifest
from edgeship.bundle.measurement import LatencyRatio
from edgeship.bundle.verdict import ArtifactReason, GateResult, Recommendation
from edgeship.formats import formats
from edgeship.types import Verdict

# Operators that only convert: what 8 bits bring with them.
CONVERSIONS = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast", "QUANTIZE", "DEQUANTIZE", "CAST"}


@dataclass(frozen=True)
class _Cost:
    """What an artifact costs: its bytes, and its latency over float32's as far as the interval leaves no doubt."""

    artifact: ArtifactEntry
    disk: float
    wire: float
    ratio: LatencyRatio | None

    @property
    def sure_ratio(self) -> float:
        """The end of the latency ratio's interval that is nearer to 1; 1 where the interval holds it, or is not known."""
        if self.ratio is None or self.ratio.low is None or self.ratio.high is None or not self.ratio.pairs:
            return 1.0
        return max(1.0, self.ratio.low) if self.ratio.low > 1 else min(1.0, self.ratio.high)


def recommend(manifest: Manifest, gate: GateResult) -> tuple[Recommendation, ...]:
    """Per format the artifact of least bytes on the wire times latency, among those that pass; none where none does.

    What fails the bundle as a whole, such as its server model, leaves nothing to recommend.
    """
    if any(not check.artifact and check.verdict is not Verdict.PASS for check in gate.checks):
        return ()
    unjudged = {item.artifact for item in gate.not_judged}
    found = []
    for name, form in formats.ALL.items():
        costs = [
            cost
            for artifact in manifest.artifacts
            if artifact.format == name
            and artifact.id not in unjudged
            and gate.verdict_on(artifact.id) is Verdict.PASS
            and (cost := _cost_of(manifest, artifact))
        ]
        if costs:
            best = min(costs, key=lambda cost: (cost.wire * cost.sure_ratio, cost.wire))
            found.append(Recommendation(form.target or form.title, best.artifact.id, _why_best(best, costs)))
    return tuple(found)


def remark(manifest: Manifest) -> Iterator[ArtifactReason]:
    """What is larger or surely slower than float32 of its format, and why it is larger."""
    for artifact in manifest.artifacts:
        base = manifest.artifact(f"{artifact.format}/float32")
        if base is None or base.id == artifact.id:
            continue
        cost, plain = _cost_of(manifest, artifact), _cost_of(manifest, base)
        if cost and plain and (text := _why_not(cost, plain)):
            yield ArtifactReason(artifact.id, text)


def _cost_of(manifest: Manifest, artifact: ArtifactEntry) -> _Cost | None:
    """Its costs on this machine (bytes are the same everywhere); None where its bytes are not known."""
    measurements = manifest.measurements_of(artifact.id)
    disk, wire = (
        next(
            (metric.value for item in measurements if (metric := item.metric(name)) and metric.value is not None), None
        )
        for name in ("size_disk_bytes", "size_brotli_bytes")
    )
    here = (item.details.latency_ratio for item in measurements if item.details.cell is None)
    base = f"{artifact.format}/float32"
    ratio = next((ratio for ratio in here if ratio and ratio.against == base), None)
    return None if disk is None or wire is None else _Cost(artifact, disk, wire, ratio)


def _why_best(best: _Cost, costs: list[_Cost]) -> str:
    if len(costs) == 1:
        return "the only one that passes"
    base = next((cost for cost in costs if cost.artifact.variant == "float32"), None)
    if base is None or base is best:
        return "the least to download for its speed"
    time = f", {best.ratio.value:.2g}x its time" if best.sure_ratio != 1 and best.ratio and best.ratio.value else ""
    return f"{best.wire / base.wire:.0%} of the download of float32{time}"


def _why_not(cost: _Cost, plain: _Cost) -> str:
    """Why an artifact does not pay, in words; empty where it does."""
    where, value, base = "to download", cost.wire, plain.wire
    if value <= base:
        where, value, base = "on disk", cost.disk, plain.disk
    larger = f"larger {where} ({value:,.0f} bytes against {base:,.0f})" if value > base else ""
    slower = ""
    if cost.ratio and cost.ratio.value and cost.sure_ratio > 1:
        slower = f"slower ({cost.ratio.value:.2f}x, 95 % interval {cost.ratio.low:.2f} to {cost.ratio.high:.2f})"
    if not larger and not slower:
        return ""
    text = f"{' and '.join(filter(None, (larger, slower)))} than float32"
    if cost.wire >= plain.wire and cost.sure_ratio >= 1:
        text += ": ship that"
    cause = _describe_growth(cost.artifact, plain.artifact) if larger else ""
    return f"{text}; {cause}" if cause else text


def _describe_growth(artifact: ArtifactEntry, base: ArtifactEntry) -> str:
    """Which operators and constants an artifact has more than float32; empty where receipts are missing."""
    mine, other = artifact.receipt, base.receipt
    if mine is None or other is None:
        return ""
    more = {kind: count - other.ops.get(kind, 0) for kind, count in mine.ops.items() if count > other.ops.get(kind, 0)}
    converting = {kind: count for kind, count in more.items() if kind in CONVERSIONS}
    parts = (
        [f"{sum(converting.values())} operators that only convert ({_list_kinds(converting)})"] if converting else []
    )
    parts += [f"{sum(more.values())} more operators ({_list_kinds(more)})"] if more and not converting else []
    tensors, grown = mine.weights.count - other.weights.count, mine.weights.bytes - other.weights.bytes
    parts += [f"{tensors} more constants, as scales and zero points"] if tensors > 0 else []
    parts += [f"{grown:,} bytes more of constants"] if grown > 0 else []
    return f"it has {', '.join(parts)}" if parts else ""


def _list_kinds(counts: Mapping[str, int]) -> str:
    order = sorted(counts, key=lambda kind: (-counts[kind], kind))
    shown = [f"{counts[kind]} {kind}" for kind in order[:3]]
    return ", ".join([*shown, "…"] if len(order) > 3 else shown)
