"""The report: one HTML file that needs nothing else, read top down: verdict, what decided it, figures, evidence."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeship.benchmarks.gate.checks import class_name
from edgeship.benchmarks.report import engine_comparison, flipped_samples, group_table, table_rows
from edgeship.benchmarks.report.terminal_table import check_title
from edgeship.bundle import mixed_precision
from edgeship.bundle.figures.comparisons import FlippedSample, OutputParity
from edgeship.bundle.manifest import ArtifactEntry, Manifest, Temperature, parse_manifest
from edgeship.bundle.mixed_precision import MixedPrecisionRecipe, MixedPrecisionStep
from edgeship.bundle.verdict import GateResult
from edgeship.light_dataclass import dataclass
from edgeship.types import Verdict, last_computing_step, to_json
from edgeship.untrusted import printable_value

FILE = "report/index.html"
TEMPLATE = "report.html"
GROUPS = 50  # measurements whose flips have pictures: a page may become as large as a manifest says otherwise


@dataclass(frozen=True)
class FlipView:
    """A flip as it is shown: its sample's picture (`kind`: image, curve, text or none), and classes by name."""

    index: int
    kind: str
    content: str
    label: str
    server: str
    artifact: str
    server_confidence: str
    artifact_confidence: str
    server_is_right: bool
    artifact_is_right: bool


@dataclass(frozen=True)
class FlipGroup:
    """The flips of a measurement that are shown, of `total` in `n` samples."""

    artifact: str
    runtime: str
    flips: tuple[FlipView, ...]
    total: int
    n: float


@dataclass(frozen=True)
class ParityRow:
    """A row of the parity table, its figures as text; where there is a reason it stands instead of them."""

    artifact: str
    runtime: str
    output: str
    max_abs_error: str
    mean_abs_error: str
    cosine: str
    sqnr_db: str
    agreement: str
    reason: str


@dataclass(frozen=True)
class ArtifactRow:
    """How an artifact came to be and what it holds, in a line each."""

    id: str
    path: str
    steps: str
    holds: str


@dataclass(frozen=True)
class PrecisionStep:
    """A step of `auto` as it is shown; `layers`: how many are in higher precision."""

    action: str
    layers: int
    passed: bool
    size: str
    latency: str
    reason: str


@dataclass(frozen=True)
class PrecisionTable:
    """The layers of an artifact that `auto` left in higher `precision`, of how many, and its steps."""

    id: str
    layers: tuple[str, ...]
    of: int
    precision: str
    steps: tuple[PrecisionStep, ...]


def write_report(
    root: Path,
    manifest: Manifest,
    plots: Sequence[str] | None = None,
    compiled: Path | None = None,
    contract: Sequence[Any] | None = None,
) -> Path:
    """Write `report/index.html` of a bundle (a draft of one), and return its path; `plots` and so on: see `render`."""
    target = root / FILE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(render(root, manifest, plots, compiled, contract), encoding="utf-8")
    return target


def render(
    root: Path,
    manifest: Manifest,
    plots: Sequence[str] | None = None,
    compiled: Path | None = None,
    contract: Sequence[Any] | None = None,
) -> str:
    """The HTML. `root` is the bundle's folder, where the samples that flipped lie.

    `plots` are the plots where they are at hand (`draw_plots` makes them; it takes a second or two). `compiled`: a folder of
    the user's own where the compiled template is kept. `contract`: its lines (`ContractLine`) where they are at hand.
    """
    from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    folder, manifest = Path(__file__).parent, printable_value(manifest)
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        bytecode_cache=None if compiled is None else FileSystemBytecodeCache(str(compiled)),
    )
    return environment.get_template(TEMPLATE).render(
        model=Path(manifest.server.path).name,
        gate=manifest.gate or GateResult(Verdict.INCONCLUSIVE),
        headline=verdict_headline(manifest),
        title=check_title,
        table=table_rows.build(manifest),
        columns=table_rows.COLUMNS,
        # Matplotlib escapes every text in what it draws.
        plots=[Markup(plot) for plot in (draw_plots(manifest) if plots is None else plots)],  # noqa: S704
        flips=group_flips(manifest, flipped_samples.read_samples(root)),
        engines=engine_comparison.compare(manifest),
        engine_columns=engine_comparison.COLUMNS,
        engine_note=engine_comparison.NOTE,
        parity=_parity_rows(manifest),
        groups=group_table.build_rows(manifest),
        precision=_precision_tables(manifest),
        contract=_read_contract(root) if contract is None else contract,
        provenance=_provenance_rows(manifest),
        artifacts=[_describe_artifact(item) for item in manifest.artifacts],
        skipped=manifest.skipped,
        failures=manifest.failures,
    )


def _read_contract(root: Path) -> Sequence[Any]:
    from edgeship.deploy.contract.summary import read_summary  # with the contract's types: `ship` has the lines at hand

    return read_summary(root)


def draw_plots(manifest: Manifest) -> list[str]:
    """The plots as SVG: they depend on the manifest's measurements and labels only.

    Matplotlib reads a matplotlibrc of the working folder when it is imported: where there is one, it works in another.
    """
    if not os.path.lexists("matplotlibrc"):
        return draw_here(manifest=printable_value(manifest))

    from edgeship.processes.child import FunctionProcess

    with FunctionProcess("plots", apart=True) as process:
        return process.call(draw_here, manifest=to_json(printable_value(manifest)))


def draw_here(manifest: Mapping[str, Any]) -> list[str]:
    """The plots of a manifest, as JSON, as SVG; drawn by this process."""
    from edgeship.benchmarks.report import plots

    return plots.all_plots(parse_manifest(manifest, part=True))


def verdict_headline(manifest: Manifest) -> str:
    """One sentence under the verdict."""
    gate = manifest.gate
    if not gate:
        return "Nothing has been judged yet."
    count = {verdict: sum(check.verdict is verdict for check in gate.checks) for verdict in Verdict}
    judged = len({check.artifact for check in gate.checks if check.artifact})
    parts = [f"{judged} artifact{'s' if judged != 1 else ''} judged by {len(gate.checks)} checks"]
    parts[0] += f": {count[Verdict.PASS]} passed"
    parts += [f"{count[Verdict.FAIL]} failed"] if count[Verdict.FAIL] else []
    parts += [f"{count[Verdict.INCONCLUSIVE]} could not be decided"] if count[Verdict.INCONCLUSIVE] else []
    parts += [f"{len(gate.not_judged)} not judged"] if gate.not_judged else []
    return ", ".join(parts) + "."


def group_flips(manifest: Manifest, samples: Mapping[int, Mapping[str, Any]]) -> list[FlipGroup]:
    """Per measurement, of the first that have some, the flips that tell most, each with its picture where there is a sample."""
    groups: list[FlipGroup] = []
    for item in table_rows.host_measurements(manifest):
        if len(groups) == GROUPS:
            break
        report = item.details.accuracy
        if report and report.flips:
            flips = flipped_samples.choose_flips(report.flips)
            views = tuple(_flip_view(flip, manifest.labels or (), samples.get(flip.index)) for flip in flips)
            total = len(report.flips) if report.flips_total is None else report.flips_total
            groups.append(FlipGroup(item.artifact, item.runtime, views, total, report.n))
    return groups


def _flip_view(flip: FlippedSample, labels: Sequence[str], sample: Mapping[str, Any] | None) -> FlipView:
    from markupsafe import Markup

    kind, content = flipped_samples.draw_sample(sample) if sample is not None else ("none", "")
    return FlipView(
        index=flip.index,
        kind=kind,
        content=Markup(content) if kind == "curve" else content,  # noqa: S704  # an SVG of numbers only
        label=class_name(labels, flip.label),
        server=class_name(labels, flip.server),
        artifact=class_name(labels, flip.artifact),
        server_confidence=_percent_text(flip.server_confidence),
        artifact_confidence=_percent_text(flip.artifact_confidence),
        server_is_right=flip.server == flip.label,
        artifact_is_right=flip.artifact == flip.label,
    )


def _percent_text(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.0f} %"


def _parity_rows(manifest: Manifest) -> list[ParityRow]:
    rows = []
    for item in manifest.measurements:
        runtime = f"{item.runtime} ({', '.join(table_rows.figure_kinds(item))})"
        outputs = (item.details.parity or {}).items()
        rows += [_parity_row(item.artifact, runtime, output, parity) for output, parity in outputs]
    for pair in manifest.between_formats:
        against = f"against {pair.against}"
        rows += [_parity_row(pair.artifact, against, output, parity) for output, parity in pair.parity.items()]
    return rows


def _parity_row(artifact: str, runtime: str, output: str, parity: OutputParity) -> ParityRow:
    return ParityRow(
        artifact=artifact,
        runtime=runtime,
        output=output,
        max_abs_error=_number_text(parity.max_abs_error),
        mean_abs_error=_number_text(parity.mean_abs_error),
        cosine=_number_text(parity.cosine),
        sqnr_db=_number_text(parity.sqnr_db),
        agreement=_number_text(parity.agreement),
        reason=parity.reason,
    )


def _number_text(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}" if abs(value) >= 0.9 else f"{value:.3g}"


def _provenance_rows(manifest: Manifest) -> list[tuple[str, str]]:
    server = manifest.server
    loader, parameters = server.loader or "?", server.parameters or "?"
    facts = [("server model", f"{server.path} ({loader}, {parameters} parameters)"), ("its sha256", server.digest)]
    for name in ("calibration", "evaluation"):
        data = manifest.data.get(name)
        facts.append((f"{name} data", f"{data.source}, {data.samples} samples, {data.digest}" if data else "none"))
    facts.append(("made", f"{manifest.created or '?'} with edgeship {manifest.edgeship or '(this version)'}"))
    facts.append(("machine", ", ".join(f"{key} {value}" for key, value in manifest.machine.items())))
    facts.append(("tools", ", ".join(f"{key} {value}" for key, value in manifest.tools.items() if value)))
    return facts + [("note", note) for note in server.notes]


def _describe_artifact(item: ArtifactEntry) -> ArtifactRow:
    holds = []
    if receipt := item.receipt:
        holds.append(f"{receipt.int8_op_share:.0%} of ops in int8")
        islands = receipt.float_islands
        if islands and receipt.int8_op_share:
            holds.append(f"float islands: {', '.join(islands[:6])}{', …' if len(islands) > 6 else ''}")
        if receipt.sparsity and receipt.weights.sparsity is not None:
            holds.append(f"{receipt.weights.sparsity:.0%} of the weights are zero")
        if receipt.sparse_encoding:
            holds.append(f"kernels stored without their zeros: {len(receipt.sparse_encoding)}")
    holds += [_describe_temperature(output, fitted) for output, fitted in (item.temperature or {}).items()]
    made = " → ".join(step.name for step in item.steps)
    if item.foreign:
        made = f"of unknown origin: {item.foreign.file}"
        holds += item.foreign.notes
    return ArtifactRow(item.id, item.path, made, "; ".join(holds))


def _describe_temperature(output: str, fitted: Temperature) -> str:
    if fitted.value is None or fitted.ece is None or fitted.ece_repaired is None:
        return f"confidence of '{output}' is shifted, no temperature: {fitted.reason}"
    return (
        f"confidence of '{output}' is repaired by softmax(z / T), T = {fitted.value:.3g}: calibration error "
        f"{fitted.ece:.2%} becomes {fitted.ece_repaired:.2%}"
    )


def _precision_tables(manifest: Manifest) -> list[PrecisionTable]:
    """Per artifact of `quantize = "auto"` the layers in higher precision, and the price of each step to them."""
    tables = []
    for item in manifest.artifacts:
        recipe = last_computing_step(item.steps).recipe if item.steps else {}
        if recipe.get("recipe") == mixed_precision.NAME:
            mixed = MixedPrecisionRecipe.parse(recipe)
            steps = tuple(map(_precision_step, mixed.steps))
            tables.append(PrecisionTable(item.id, mixed.layers, mixed.of, mixed.precision, steps))
    return tables


def _precision_step(step: MixedPrecisionStep) -> PrecisionStep:
    return PrecisionStep(
        action=step.action,
        layers=step.kept,
        passed=step.passed,
        size="-" if step.bytes is None else table_rows.size_text(step.bytes),
        latency=table_rows.latency_of_step(step),
        reason=step.reason,
    )
