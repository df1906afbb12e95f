"""Which artifact to ship to which target, and which artifacts do not pay: larger or slower than float32 of the same format."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from edgeship.bundle.figures.measurement import LatencyRatio
from edgeship.bundle.manifest import ArtifactEntry, Manifest
from edgeship.bundle.verdict import ArtifactReason, GateResult, Recommendation
from edgeship.formats import formats
from edgeship.light_dataclass import dataclass
from edgeship.types import Verdict

# Operators that only convert: what 8 bits bring with them.
CONVERSIONS = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast", "QUANTIZE", "DEQUANTIZE", "CAST"}
AS_FAST = 1.05  # times this near to each other are one: what is left of them goes with the machine


@dataclass(frozen=True)
class _Cost:
    """What an artifact costs: its bytes, and its latency over float32's as far as the interval leaves no doubt."""

    artifact: ArtifactEntry
    disk: float
    wire: float
    ratio: LatencyRatio | None

    @property
    def installed(self) -> bool:
        """Whether it is brought to its place once, so that time counts and not the download."""
        return formats.find(self.artifact.format).installed

    @property
    def bytes(self) -> float:
        """The bytes that matter there: on disk where it is installed, else to download."""
        return self.disk if self.installed else self.wire

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of its time over float32's; None where that is not known."""
        ratio = self.ratio
        if ratio is None or ratio.value is None or ratio.low is None or ratio.high is None or not ratio.pairs:
            return None
        return ratio.low, ratio.high

    @property
    def sure_ratio(self) -> float:
        """The end of the latency ratio's interval that is nearer to 1; 1 where the interval holds it, or is not known."""
        low, high = self.interval or (1.0, 1.0)
        return max(1.0, low) if low > 1 else min(1.0, high)


def recommend(manifest: Manifest, gate: GateResult, doubted: Collection[str] = ()) -> tuple[Recommendation, ...]:
    """The artifact for each format's target among those that pass (`_find_best`); none where none does.

    What fails the bundle as a whole, such as its server model, leaves nothing to recommend; nor are those that are `doubted`.
    Processors and devices that it was not judged on are named with it.
    """
    if any(not check.artifact and check.verdict is not Verdict.PASS for check in gate.checks):
        return ()
    unjudged = [item.artifact for item in gate.not_judged]
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
        known = [cost for cost in costs if cost.artifact.id not in doubted]
        if known:
            best = _find_best(known)
            places = [name.partition(" @ ")[2] for name in unjudged if name.startswith(f"{best.artifact.id} @ ")]
            doubt = f"; not judged on {', '.join(places)}" if places else ""
            found.append(
                Recommendation(form.target or form.title, best.artifact.id, _why_best(best, known, costs) + doubt)
            )
    return tuple(found)


def _find_best(costs: list[_Cost]) -> _Cost:
    """What is installed once: the fastest, and of those within `AS_FAST` of it the one with the fewest bytes on disk.

    A time that is not known recommends nothing there, if float32's or another's is. Else: the least bytes to download times
    latency.
    """
    if not costs[0].installed:
        return min(costs, key=lambda cost: (cost.wire * cost.sure_ratio, cost.wire))
    timed = [cost for cost in costs if cost.interval or cost.artifact.variant == "float32"] or costs
    fastest = min(cost.sure_ratio for cost in timed)
    return min((cost for cost in timed if cost.sure_ratio <= fastest * AS_FAST), key=lambda cost: cost.disk)


def remark(manifest: Manifest, gate: GateResult) -> Iterator[ArtifactReason]:
    """What is larger or surely slower than float32 of its format, and why it is larger; a float32 that passes is to ship."""
    for artifact in manifest.artifacts:
        base = manifest.artifact(f"{artifact.format}/float32")
        if base is None or base.id == artifact.id:
            continue
        cost, plain = _cost_of(manifest, artifact), _cost_of(manifest, base)
        passes = gate.verdict_on(base.id) is Verdict.PASS
        if cost and plain and (text := _why_not(cost, plain, plain_passes=passes)):
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


def _why_best(best: _Cost, costs: list[_Cost], passing: list[_Cost]) -> str:
    if len(costs) == 1:
        return f"the only one that passes{'' if len(passing) == 1 else ' and is not in doubt'}"
    base = next((cost for cost in costs if cost.artifact.variant == "float32"), None)
    time = f"{best.ratio.value:.2g}x" if best.sure_ratio != 1 and best.ratio and best.ratio.value else ""
    if not best.installed:
        if base is None or base is best:
            return "the least to download for its speed"
        return f"{best.wire / base.wire:.0%} of the download of float32{time and f', {time} its time'}"
    if not all(cost.interval for cost in costs if cost is not base):
        return "the times of the others are not known" if base else "the least on disk; times are not known"
    if base is best:
        return "none is faster"
    of_disk = f", {best.disk / base.disk:.0%} of its bytes on disk" if base else ""
    return f"{f'{time} the time of' if time else 'as fast as'} float32{of_disk}"


def _why_not(cost: _Cost, plain: _Cost, *, plain_passes: bool) -> str:
    """Why an artifact does not pay, in words; empty where it does."""
    kinds = [("to download", cost.wire, plain.wire), ("on disk", cost.disk, plain.disk)]
    where, value, base = next((kind for kind in kinds if kind[1] > kind[2]), kinds[-1])
    larger = f"larger {where} ({value:,.0f} bytes against {base:,.0f})" if value > base else ""
    slower = ""
    if cost.ratio and cost.ratio.value and cost.sure_ratio > 1:
        slower = f"slower ({cost.ratio.value:.2f}x, 95 % interval {cost.ratio.low:.2f} to {cost.ratio.high:.2f})"
    if not larger and not slower:
        return ""
    text = f"{' and '.join(filter(None, (larger, slower)))} than float32"
    worse = cost.bytes >= plain.bytes and cost.sure_ratio >= 1 and (cost.interval or not cost.installed)
    if worse and plain_passes:
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
