"""The checks of what an artifact is and costs: origin, size, latency, memory. Each turns figures and a limit into a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace

from edgeship.benchmarks.compare.statistics import non_inferior
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.noise_floor import PeerNoise
from edgeship.bundle.figures.measurement import Measurement
from edgeship.bundle.manifest import ArtifactEntry, Manifest
from edgeship.bundle.metric import Metric
from edgeship.bundle.verdict import Check
from edgeship.formats import formats
from edgeship.light_dataclass import dataclass
from edgeship.recipes.quantization import VARIANTS, for_variant
from edgeship.storage import digest
from edgeship.types import Availability, Step, Verdict

NOT_RUN = "not run: "  # what the reasons of metrics begin with that are NOT_RUN; checks say it in their own place
PLAIN_STEPS = ("export", "convert", "quantize", "metadata")


@dataclass(frozen=True)
class JudgedMeasurement:
    """One measurement with what is needed to judge it.

    `recipe`: the artifact's quantization recipe, None where it was trained again. `outputs`: the server model's.
    `labels`: names of classes. `peers`: by output the least noise of an artifact that is made alike. `is_baseline`: latency is
    compared with this file, whatever its variant is called.
    """

    measurement: Measurement
    budget: Budget
    recipe: str | None = None
    outputs: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    peers: Mapping[str, PeerNoise] = field(default_factory=dict)
    is_baseline: bool = False

    @property
    def variant(self) -> str:
        """The artifact's variant."""
        return self.measurement.artifact.partition("/")[2]

    @property
    def baseline(self) -> str:
        """The artifact that latency is compared with."""
        return f"{self.measurement.artifact.partition('/')[0]}/float32"

    def make_check(
        self,
        name: str,
        verdict: Verdict,
        reason: str,
        figures: tuple[float | None, float | None, str] = (None, None, ""),
    ) -> Check:
        """A check of this artifact on this runtime; `figures` are value, limit and unit."""
        item = self.measurement
        return Check(item.artifact, item.runtime, name, verdict, *figures, reason=reason, device=item.device)

    def metric(self, name: str) -> Metric:
        """The metric of that name; see `metric_of`."""
        return metric_of(self.measurement, name)


def metric_of(measurement: Measurement, name: str) -> Metric:
    """A measurement's metric; without a value where it was not taken, or is not a finite number."""
    metric = measurement.metric(name)
    if metric is None:
        return Metric(name, None, "", availability=Availability.UNDEFINED, reason="it was not measured")
    if metric.value is None or math.isfinite(metric.value):
        return metric
    reason = f"its value is {metric.value}"
    return replace(metric, value=None, availability=Availability.FAILED, reason=reason)


def why_not_run(measurement: Measurement) -> str:
    """Why a measurement's runtime was not started (it is not installed); empty where it was started."""
    metric = metric_of(measurement, "max_abs_error")
    return metric.reason.removeprefix(NOT_RUN) if metric.availability is Availability.NOT_RUN else ""


def class_name(names: Sequence[str], number: int) -> str:
    """A class by its label where there is one, else by its number."""
    return names[number] if 0 <= number < len(names) else f"class {number}"


def is_only_converted(steps: Iterable[Step]) -> bool:
    """Whether no step made another model of it, as training again does."""
    return all(step.name.partition(".")[0] in PLAIN_STEPS for step in steps)


def recipe_of(manifest: Manifest, artifact: ArtifactEntry) -> str | None:
    """The quantization recipe behind an artifact, by the bundle's configuration or its variant's name.

    None where there is none, or where it was trained again.
    """
    if artifact.foreign or not is_only_converted(artifact.steps):
        return None
    return recipe_of_variant(manifest, artifact.variant)


def recipe_of_variant(manifest: Manifest, variant: str) -> str | None:
    """The quantization recipe that a variant asks for, by the bundle's configuration or its name; None where there is none."""
    for item in (manifest.config or {}).get("variants") or []:
        if item["name"] == variant:
            return str(item["quantize"])
    return for_variant(variant).name if variant in VARIANTS else None


def check_origin(manifest: Manifest, artifact: ArtifactEntry, measurements: Sequence[Measurement] = ()) -> Check:
    """Whether the artifact was made from this server model, is still what was made, and is what was measured.

    One of its steps read the model with this digest; what was made and what was measured has the content that lies there.
    """
    model = manifest.server_model.digest if manifest.server_model else ""
    sources = [step.source for step in artifact.steps]
    if not model or model not in sources:
        other = "from another model (stale?)" if sources else "by unknown steps"
        reason = f"made {other}: no step read the server model {model[:12]}; convert it again"
        return Check(artifact.id, "", "origin", Verdict.FAIL, reason=reason)
    if reason := why_doubted(manifest, artifact, measurements):
        return Check(artifact.id, "", "origin", Verdict.FAIL, reason=reason)
    return Check(artifact.id, "", "origin", Verdict.PASS, reason="made from this server model")


def check_foreign(manifest: Manifest, artifact: ArtifactEntry, measurements: Sequence[Measurement]) -> Iterator[Check]:
    """A failure where a file that somebody else made is not what was measured: no check of an origin that it lacks."""
    if reason := why_doubted(manifest, artifact, measurements):
        yield Check(artifact.id, "", "origin", Verdict.FAIL, reason=reason)


def content_digests(manifest: Manifest, artifact: ArtifactEntry) -> tuple[str, ...]:
    """The digest of what lies in an artifact's place, by the manifest's `files`; of a folder also as earlier versions had it.

    Empty where nothing is listed there. `edgeship.bundle.bundle` compares `files` with the disk whenever it opens a bundle.
    """
    files, path = manifest.files, artifact.path
    if not formats.find(artifact.format).is_folder:
        return (files[path],) if path in files else ()
    folder = path.rpartition("/")[0] + "/"
    contents = {name.removeprefix(folder): content for name, content in files.items() if name.startswith(folder)}
    return (digest.of_tree(contents), digest.of_json(contents)) if contents else ()


def why_doubted(manifest: Manifest, artifact: ArtifactEntry, measurements: Sequence[Measurement]) -> str:
    """Why what lies in an artifact's place may not be what was made and measured; empty where it is.

    Only the conversion lifts that: whoever replaced the file may have changed what the manifest says of the one or the other.
    """
    present = content_digests(manifest, artifact)
    measured = {item.details.content for item in measurements}
    if artifact.doubt:
        return artifact.doubt
    if not present:
        return f"{artifact.path} is not among the bundle's files"
    if artifact.content is None or None in measured:
        return f"what was {'made' if artifact.content is None else 'measured'} is not recorded: convert it again"
    if not measured <= {*present}:
        return "changed or replaced after it was measured: convert it again"
    return "" if artifact.content in present else "changed or replaced after it was made: convert it again"


def check_sizes(artifact: str, measurements: Sequence[Measurement], budget: Budget) -> Iterator[Check]:
    """Bytes on disk and on the wire, whichever measurement holds them."""
    for check, name, limit in (
        ("size_disk", "size_disk_bytes", budget.max_size_disk),
        ("size_wire", "size_brotli_bytes", budget.max_size_wire),
    ):
        if limit is None:
            continue
        metrics = [metric_of(item, name) for item in measurements]
        values = [metric.value for metric in metrics if metric.value is not None]
        if values:
            yield _judge_bytes(Check(artifact, "", check, Verdict.FAIL), max(values), limit)
        else:
            why = metrics[0].reason if metrics else "it was not measured"
            yield Check(artifact, "", check, Verdict.FAIL, None, limit, "bytes", f"no size: {why}")


def _judge_bytes(check: Check, value: float, limit: float) -> Check:
    reason = f"{value:,.0f} bytes of {limit:,.0f} allowed"
    verdict = Verdict.PASS if value <= limit else Verdict.FAIL
    return replace(check, verdict=verdict, value=value, limit=limit, unit="bytes", reason=reason)


def check_latency(subject: JudgedMeasurement) -> Iterator[Check]:
    """The latency ratio's interval against the limit; float32 is what the others are compared with."""
    limit = subject.budget.max_latency_ratio
    if limit is None or subject.variant == "float32" or subject.is_baseline:
        return
    metric, ratio = subject.metric("latency_ratio"), subject.measurement.details.latency_ratio
    figures = (metric.value, limit, "x")
    if metric.value is None:
        verdict = Verdict.INCONCLUSIVE if metric.availability is Availability.UNSTABLE else Verdict.FAIL
        yield subject.make_check("latency_ratio", verdict, f"no latency ratio: {metric.reason}", figures)
    elif ratio is None or ratio.low is None or ratio.high is None or ratio.against != subject.baseline:
        reason = f"the ratio has no interval, or is not to {subject.baseline}"
        yield subject.make_check("latency_ratio", Verdict.FAIL, reason, figures)
    elif not ratio.pairs:
        reason = "its interval is of a single pair of processes, which is too narrow; run edgeship benchmark again"
        yield subject.make_check("latency_ratio", Verdict.INCONCLUSIVE, reason, figures)
    else:
        interval = f"95 % interval {ratio.low:.2f} to {ratio.high:.2f}"
        reason = f"{metric.value:.2f}x of {subject.baseline} ({interval}), at most {limit:g}x"
        yield subject.make_check("latency_ratio", non_inferior(ratio.low, ratio.high, limit), reason, figures)


def check_memory(subject: JudgedMeasurement) -> Iterator[Check]:
    """Peak memory of the worker process."""
    limit = subject.budget.max_peak_memory
    if limit is None:
        return
    metric = subject.metric("peak_memory_bytes")
    if metric.value is None:
        yield subject.make_check(
            "peak_memory", Verdict.FAIL, f"no peak memory: {metric.reason}", (None, limit, "bytes")
        )
    else:
        yield _judge_bytes(subject.make_check("peak_memory", Verdict.FAIL, ""), metric.value, limit)
