"""The single checks of the gate. Each turns figures of the manifest and a limit into a verdict with its reason."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgeship.benchmarks.compare.statistics import non_inferior, samples_needed
from edgeship.benchmarks.gate import noise_floor
from edgeship.benchmarks.gate.budget import AGREEMENT_FLOORS, Budget
from edgeship.recipes.quantization import VARIANTS, for_variant
from edgeship.storage import digest
from edgeship.types import Verdict

Json = Mapping[str, Any]
NOT_RUN = "not run: "  # how a metric's reason begins where the runtime is not installed
UNSTABLE = "unstable"  # how it begins where the machine was too busy
PLAIN_STEPS = ("export", "convert", "quantize")


@dataclass(frozen=True)
class Check:
    """One decision. `value` and `limit` are in `unit`; both None where the reason says it all."""

    artifact: str
    runtime: str
    check: str
    verdict: Verdict
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    reason: str = ""
    device: str = ""


@dataclass(frozen=True)
class JudgedMeasurement:
    """One measurement with what is needed to judge it."""

    manifest: Json
    artifact: Json
    measurement: Json
    budget: Budget

    def check(
        self,
        name: str,
        verdict: Verdict,
        reason: str,
        figures: tuple[float | None, float | None, str] = (None, None, ""),
    ) -> Check:
        """A check of this artifact on this runtime; `figures` are value, limit and unit."""
        runtime, device = self.measurement["runtime"], self.measurement.get("device", "")
        return Check(self.artifact["id"], runtime, name, verdict, *figures, reason=reason, device=device)

    def metric(self, name: str) -> tuple[float | None, str]:
        """A metric's value, and why there is none."""
        return metric_of(self.measurement, name)


def metric_of(measurement: Json, name: str) -> tuple[float | None, str]:
    """A measurement's metric: its value if it is a finite number, else None and the reason."""
    for metric in measurement["metrics"]:
        if metric["name"] == name:
            value = metric["value"]
            if value is None:
                return None, metric["reason"] or "no reason given"
            return (value, "") if math.isfinite(value) else (None, f"its value is {value}")
    return None, "it was not measured"


def origin(manifest: Json, artifact: Json, measurements: Sequence[Json] = ()) -> Check:
    """Whether the artifact was made from this server model, is still what was made, and is what was measured.

    One of its steps read the model with this digest; what was made and what was measured has the content that lies there.
    """
    name, model = artifact["id"], manifest.get("server_model", {}).get("digest")
    sources = [step["source"] for step in artifact.get("steps", [])]
    if not model or model not in sources:
        made = "from another model (stale?)" if sources else "by unknown steps"
        reason = f"made {made}: no step read the server model {str(model)[:12]}"
        return Check(name, "", "origin", Verdict.FAIL, reason=reason)
    if reason := _replaced(artifact, measurements, contents(manifest, artifact)):
        return Check(name, "", "origin", Verdict.FAIL, reason=reason)
    return Check(name, "", "origin", Verdict.PASS, reason="made from this server model")


def contents(manifest: Json, artifact: Json) -> tuple[str, ...]:
    """The digest of what lies in an artifact's place, by the manifest's `files`; of a folder also as earlier versions had it.

    Empty where nothing is listed there. `edgeship.bundle.bundle` compares `files` with the disk whenever it opens a bundle.
    """
    files, path = manifest.get("files") or {}, artifact["path"]
    if artifact["format"] != "tfjs":
        return (files[path],) if path in files else ()
    folder = path.rpartition("/")[0] + "/"
    held = {name.removeprefix(folder): content for name, content in files.items() if name.startswith(folder)}
    return (digest.of_tree(held), digest.of_json(held)) if held else ()


def _replaced(artifact: Json, measurements: Sequence[Json], lying: Sequence[str]) -> str:
    """Why the figures are not those of what lies there; empty where they are."""
    if not lying:
        return f"{artifact['path']} is not among the bundle's files"
    measured = {item["details"].get("content") for item in measurements}
    if None in measured:
        return "what was measured is not recorded: run edgeship benchmark again"
    if not measured <= {*lying}:
        return "changed or replaced after it was measured: run edgeship benchmark again"
    if artifact.get("content", lying[0]) not in lying:
        return "changed or replaced after it was made: convert it again"
    return ""


def not_run(measurement: Json) -> str:
    """Why a measurement's runtime was not started (it is not installed); empty where it was started."""
    value, reason = metric_of(measurement, "max_abs_error")
    return reason.removeprefix(NOT_RUN) if value is None and reason.startswith(NOT_RUN) else ""


def server(manifest: Json, budget: Budget) -> Iterator[Check]:
    """The floor on the server model's own figure (a ceiling where lower is better)."""
    floor = budget.min_server_accuracy
    if floor is None:
        return
    details = [item["details"] for item in manifest.get("measurements", [])]
    known = [item["accuracy"] for item in details if (item.get("accuracy") or {}).get("server") is not None]
    if not known:
        yield Check(
            "", "", "server_accuracy", Verdict.FAIL, None, floor, "", "the server model's accuracy is not known"
        )
        return
    value, metric = known[0]["server"], known[0]["metric"]
    good = value >= floor if known[0]["higher_is_better"] else value <= floor
    side = "at least" if known[0]["higher_is_better"] else "at most"
    reason = f"the server model's {metric} is {value:.4g}, {side} {floor:.4g} is wanted"
    yield Check("", "", "server_accuracy", Verdict.PASS if good else Verdict.FAIL, value, floor, metric, reason)


def sizes(artifact: str, measurements: Sequence[Json], budget: Budget) -> Iterator[Check]:
    """Bytes on disk and on the wire, whichever measurement holds them."""
    for check, metric, limit in (
        ("size_disk", "size_disk_bytes", budget.max_size_disk),
        ("size_wire", "size_brotli_bytes", budget.max_size_wire),
    ):
        if limit is None:
            continue
        found = [metric_of(item, metric) for item in measurements]
        values = [value for value, _ in found if value is not None]
        if values:
            yield _at_most(Check(artifact, "", check, Verdict.FAIL), max(values), limit, "bytes")
        else:
            why = found[0][1] if found else "it was not measured"
            yield Check(artifact, "", check, Verdict.FAIL, None, limit, "bytes", f"no size: {why}")


def _at_most(check: Check, value: float, limit: float, unit: str) -> Check:
    reason = f"{value:,.0f} {unit} of {limit:,.0f} allowed"
    verdict = Verdict.PASS if value <= limit else Verdict.FAIL
    return replace(check, verdict=verdict, value=value, limit=limit, unit=unit, reason=reason)


def measurement(subject: JudgedMeasurement) -> Iterator[Check]:
    """All checks of one measurement that was taken, or that failed."""
    yield from outputs(subject)
    yield from accuracy(subject)
    yield from latency(subject)
    yield from memory(subject)


def outputs(subject: JudgedMeasurement) -> Iterator[Check]:
    """Parity with the server model: all values finite, noise below the variant's floor, agreement, largest error."""
    parity = subject.measurement["details"].get("parity")
    expected = {spec["name"] for spec in subject.manifest.get("server_model", {}).get("outputs", [])}
    if not parity or not expected <= set(parity):
        missing = f"not {', '.join(sorted(expected - set(parity)))}" if parity else subject.metric("max_abs_error")[1]
        yield subject.check("outputs", Verdict.FAIL, f"not compared with the server model: {missing}")
        return
    for name, figures in parity.items():
        if figures["reason"]:
            yield subject.check(_named("outputs", name, parity), Verdict.FAIL, figures["reason"])
            continue
        yield from _parity_of(subject, name, figures, parity)


def recipe_of(manifest: Json, artifact: Json) -> str | None:
    """The quantization recipe behind an artifact, by the bundle's configuration or its variant's name.

    None where there is none, or where a step beside conversion and quantization made another model of it (training again).
    """
    variant, steps = artifact["variant"], [step["name"] for step in artifact.get("steps", [])]
    if any(name.partition(".")[0] not in PLAIN_STEPS for name in steps):
        return None
    for item in (manifest.get("config") or {}).get("variants") or []:
        if item["name"] == variant:
            return str(item["quantize"])
    return for_variant(variant).name if variant in VARIANTS else None


def _named(check: str, output: str, outputs: Json) -> str:
    return check if len(outputs) == 1 else f"{check}:{output}"


def _parity_of(subject: JudgedMeasurement, name: str, figures: Json, parity: Json) -> Iterator[Check]:
    budget = subject.budget
    floor, because = _noise_floor(subject, name)
    if floor is not None and figures.get("whole") and budget.min_sqnr_db is None:
        recipe = recipe_of(subject.manifest, subject.artifact)
        yield _agreement(subject, _named("parity", name, parity), figures, AGREEMENT_FLOORS[recipe or ""])
    elif floor is not None:
        value = figures["sqnr_db"]
        verdict = Verdict.PASS if value >= floor else Verdict.FAIL
        reason = f"signal to quantization noise {value:.1f} dB, at least {floor:.3g} dB is wanted{because}"
        yield subject.check(_named("parity", name, parity), verdict, reason, (value, floor, "dB"))
    if budget.max_abs_error is not None:
        value = figures["max_abs_error"]
        verdict = Verdict.PASS if value <= budget.max_abs_error else Verdict.FAIL
        reason = f"largest error {value:.4g}, at most {budget.max_abs_error:g} is wanted"
        yield subject.check(_named("max_abs_error", name, parity), verdict, reason, (value, budget.max_abs_error, ""))
    compared = (subject.measurement["details"].get("accuracy") or {}).get("outputs") or {}
    regression = name in compared and not compared[name]["share"]
    if budget.min_agreement is not None and figures["agreement"] is not None and not regression:
        yield _agreement(subject, _named("agreement", name, parity), figures, budget.min_agreement)
    elif budget.min_agreement is not None and all(item["agreement"] is None for item in parity.values()):
        reason = "min_agreement is set, but no output is a class or a decision; use max_abs_error"
        yield subject.check("agreement", Verdict.FAIL, reason, (None, budget.min_agreement, "share"))


def _noise_floor(subject: JudgedMeasurement, output: str) -> tuple[float | None, str]:
    """The least SQNR of an output in dB, and in words why, where a peer of the artifact raises it above the recipe's."""
    manifest, artifact, budget = subject.manifest, subject.artifact, subject.budget
    recipes = {item["id"]: recipe_of(manifest, item) for item in manifest["artifacts"]}
    floor = budget.sqnr_floor(recipes[artifact["id"]])
    peer = noise_floor.peer_noise_floor(manifest, artifact, recipes, output)
    if budget.min_sqnr_db is not None or floor is None or peer is None or peer[1] - noise_floor.LIMIT <= floor:
        return floor, ""
    return peer[1] - noise_floor.LIMIT, f", as {peer[0]} has {peer[1]:.1f} dB"


def _agreement(subject: JudgedMeasurement, check: str, figures: Json, limit: float) -> Check:
    """The agreement's Wilson interval against the limit; a limit of 1 allows not a single other answer."""
    value, low, high = figures["agreement"], figures["agreement_low"], figures["agreement_high"]
    verdict = non_inferior(1 - high, 1 - low, 1 - limit) if limit < 1 else Verdict.PASS if value == 1 else Verdict.FAIL
    reason = f"{value:.2%} same answers (95 % interval {low:.2%} to {high:.2%}), {limit:.2%} are wanted"
    if verdict is Verdict.INCONCLUSIVE:
        n = figures["agreement_n"]
        reason += _more(samples_needed(1 - value, 1 - high, 1 - low, 1 - limit, n), n)
    return subject.check(check, verdict, reason, (value, limit, "share"))


def _more(needed: int | None, n: int) -> str:
    if needed is None:
        return "; no number of samples would decide"
    return f"; about {int(float(f'{needed:.2g}')):,} samples would decide, there are {n:,}"


def accuracy(subject: JudgedMeasurement) -> Iterator[Check]:
    """The non-inferiority test of every labelled output, of its classes, and of the answers that should not move."""
    if not subject.budget.wants_accuracy:
        return
    found = subject.measurement["details"].get("accuracy")
    if not found:
        reason = f"no accuracy: {subject.metric('accuracy')[1]}"
        yield subject.check("accuracy", Verdict.FAIL, reason)
        return
    compared = found.get("outputs") or {found.get("output", ""): found}
    for name, one in compared.items():
        yield _drop(subject, _named("accuracy", name, compared), one)
        yield from _classes(subject, _named("class_drop", name, compared), one)
        yield from _sure(subject, _named("sure_flips", name, compared), one)


def _drop(subject: JudgedMeasurement, check: str, one: Json) -> Check:
    figures = [one[key] for key in ("value", "server", "drop", "low", "high")]
    if any(figure is None or not math.isfinite(figure) for figure in figures):
        return subject.check(check, Verdict.FAIL, f"no {one['metric']}: {one['reason'] or 'it is not a number'}")
    value, reference, drop, low, high = figures
    margin = subject.budget.margin(reference, one["share"])
    if margin is None:
        return subject.check(check, Verdict.FAIL, "the budget gives no margin to judge it by")
    verdict = non_inferior(low, high, margin)
    scale, unit = (100, "points") if one["share"] else (1, one["metric"])
    form, percent = ("{:.2f}", " %") if one["share"] else ("{:.4g}", "")
    shown = [form.format(figure * scale + 0.0) for figure in (value, reference, drop, low, high, margin)]
    reason = (
        f"{one['metric']} {shown[0]}{percent}, server model {shown[1]}{percent}: drop {shown[2]} {unit} "
        f"(95 % interval {shown[3]} to {shown[4]}), margin {shown[5]}"
    )
    if verdict is Verdict.INCONCLUSIVE:
        reason += _more(samples_needed(drop, low, high, margin, one["n"]), one["n"])
    return subject.check(check, verdict, reason, (drop * scale, margin * scale, unit))


def _classes(subject: JudgedMeasurement, check: str, one: Json) -> Iterator[Check]:
    """No class may surely lose more than the limit: a class that vanished hides in the average of many."""
    rows = one.get("per_class") or []
    if not rows:
        return
    limit = subject.budget.max_class_drop
    lost = [row for row in rows if row["significant"] and row["low"] * 100 > limit]
    worst = max(rows, key=lambda row: row["drop"])
    names = subject.manifest.get("labels") or []
    shown = lost or [worst]
    told = ", ".join(f"{class_name(names, row['class'])} by {row['drop'] * 100:.3g}" for row in shown[:3])
    reason = f"{'lost too much' if lost else 'largest drop'}: {told} points (limit {limit:g}, Holm-corrected)"
    verdict = Verdict.FAIL if lost else Verdict.PASS
    yield subject.check(check, verdict, reason, (worst["drop"] * 100, limit, "points"))


def _sure(subject: JudgedMeasurement, check: str, one: Json) -> Iterator[Check]:
    """Of the answers that the server model is sure of, surely not more than the limit may be others."""
    limit, found = subject.budget.sure_flips(recipe_of(subject.manifest, subject.artifact)), one.get("sure_flips")
    if limit is None or not found:
        return
    verdict = Verdict.FAIL if found["low"] * 100 > limit else Verdict.PASS
    reason = f"{found['flips']:,} of the {found['n']:,} answers that the server model is sure of are others"
    yield subject.check(check, verdict, f"{reason} (limit {limit:g} %)", (found["share"] * 100, limit, "%"))


def class_name(names: Sequence[str], number: int) -> str:
    """A class by its label where there is one, else by its number."""
    return names[number] if 0 <= number < len(names) else f"class {number}"


def latency(subject: JudgedMeasurement) -> Iterator[Check]:
    """The latency ratio's interval against the limit; float32 is what the others are compared with."""
    limit = subject.budget.max_latency_ratio
    if limit is None or subject.artifact["variant"] == "float32":
        return
    value, reason = subject.metric("latency_ratio")
    if value is None:
        verdict = Verdict.INCONCLUSIVE if reason.startswith(UNSTABLE) else Verdict.FAIL
        yield subject.check("latency_ratio", verdict, f"no latency ratio: {reason}", (None, limit, "x"))
        return
    found = subject.measurement["details"].get("latency_ratio") or {}
    against = f"{subject.artifact['format']}/float32"
    if found.get("low") is None or found.get("high") is None or found.get("against") != against:
        why = f"the ratio has no interval, or is not to {against}"
        yield subject.check("latency_ratio", Verdict.FAIL, why, (value, limit, "x"))
        return
    if not found.get("pairs"):
        why = "its interval is of a single pair of processes, which is too narrow; run edgeship benchmark again"
        yield subject.check("latency_ratio", Verdict.INCONCLUSIVE, why, (value, limit, "x"))
        return
    reason = f"{value:.2f}x of {against} (95 % interval {found['low']:.2f} to {found['high']:.2f}), at most {limit:g}x"
    verdict = non_inferior(found["low"], found["high"], limit)
    yield subject.check("latency_ratio", verdict, reason, (value, limit, "x"))


def memory(subject: JudgedMeasurement) -> Iterator[Check]:
    """Peak memory of the worker process."""
    limit = subject.budget.max_peak_memory
    if limit is None:
        return
    value, reason = subject.metric("peak_memory_bytes")
    if value is None:
        yield subject.check("peak_memory", Verdict.FAIL, f"no peak memory: {reason}", (None, limit, "bytes"))
    else:
        yield _at_most(subject.check("peak_memory", Verdict.FAIL, ""), value, limit, "bytes")
