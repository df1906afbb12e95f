"""What to do about what did not pass: few steps, each with a line to paste and what it is expected to give."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from edgeship.benchmarks.gate import checks
from edgeship.benchmarks.gate.budget import SQNR_FLOORS
from edgeship.benchmarks.gate.budget_values import PRESETS
from edgeship.bundle.figures.comparisons import LayerErrors, LayerSensitivity, OutputAccuracy
from edgeship.bundle.manifest import ArtifactEntry, Manifest
from edgeship.bundle.metric import number_text
from edgeship.bundle.verdict import Check, GateResult
from edgeship.types import Verdict

# Checks of what outputs are worth: more precision is what helps.
DROPS = {"accuracy", "class_drop", "sure_flips", "groups"}
QUALITY = {"parity", "margins", "agreement", "max_abs_error", *DROPS}
# Checks of whether a file is the one that was made: one that is not has to be made again.
OTHER_FILE = {"origin", "twin"}
MOST = 4
SHOWN = 3  # names in a line


def next_steps(manifest: Manifest, gate: GateResult) -> tuple[str, ...]:
    """The steps, the most telling first. `BUNDLE` and `DATA` stand for the user's own paths.

    None for a PASS, and where the bundle fails as a whole, as for its server model: no artifact can mend that, and the check
    says what to do.
    """
    whole = any(not check.artifact and check.verdict is Verdict.FAIL for check in gate.checks)
    if gate.verdict is Verdict.PASS or whole:
        return ()
    steps = [*_about_precision(manifest, gate), *_about_samples(manifest, gate), *_about_times(gate)]
    return tuple(dict.fromkeys(steps))[:MOST]


def is_within_limit(check: Check) -> bool:
    """Whether a figure that may not be decided is on the good side of its limit."""
    if check.value is None or check.limit is None:
        return False
    higher_is_better = check.check.startswith(("agreement", "parity"))
    return check.value >= check.limit if higher_is_better else check.value <= check.limit


def _takes_up_its_limit(check: Check) -> bool:
    """Whether an undecided figure is beyond its limit, or lost beyond half of what it may: that takes four times the samples."""
    if not is_within_limit(check) or check.value is None or check.limit is None:
        return True
    lost = {"agreement": (1 - check.value, 1 - check.limit), **dict.fromkeys(DROPS, (check.value, check.limit))}
    value, limit = lost.get(_kind_of(check), (0.0, 1.0))
    return 2 * value > limit


def _kind_of(check: Check) -> str:
    """What a check looks at, whichever the output."""
    return check.check.partition(":")[0]


def find_static_failures(manifest: Manifest, gate: GateResult) -> list[ArtifactEntry]:
    """Full-integer artifacts whose outputs fail though float32 of their format does not, and not for their inputs alone."""
    broken = _with_bad_outputs(manifest, gate)
    return [
        item
        for item in broken
        if gate.verdict_on(f"{item.format}/float32") in (None, Verdict.PASS)
        and checks.recipe_of(manifest, item) == "static_w8a8"
        and not _insists_on_int8(item)
    ]


def _with_bad_outputs(manifest: Manifest, gate: GateResult) -> list[ArtifactEntry]:
    replaced = {check.artifact for check in gate.checks if check.check in OTHER_FILE and check.verdict is Verdict.FAIL}
    bad = {
        check.artifact
        for check in gate.checks
        if _kind_of(check) in QUALITY
        and check.value is not None  # what was not taken says nothing of precision
        and (check.verdict is Verdict.FAIL or (check.verdict is Verdict.INCONCLUSIVE and _takes_up_its_limit(check)))
    }
    bad -= replaced
    return [item for item in manifest.artifacts if item.id in bad]


def _about_precision(manifest: Manifest, gate: GateResult) -> Iterator[str]:
    """What to try for quantized artifacts whose outputs fail; float32 that fails as well is no matter of precision."""
    broken = _with_bad_outputs(manifest, gate)
    floats = [item for item in broken if item.variant == "float32" and not item.foreign]
    if changed := [item.id for item in floats if _noise_of(manifest, item) < SQNR_FLOORS["float32"]]:
        names = ", ".join(changed)
        yield f"{names}: it is the conversion that changes the answers, which no other precision mends: please report it"
    if strict := [item.id for item in floats if item.id not in changed]:
        yield (
            f"{', '.join(strict)}: its answers are the server model's but for the rounding of float32, which no file does "
            "without: a limit that this fails asks for too much"
        )
    kinds = {item.format for item in floats}
    if insisting := [item for item in broken if item.format not in kinds and _insists_on_int8(item)]:
        names = ", ".join(item.id for item in insisting)
        yield (
            f'{names}: int8 inputs are too coarse for some features; with --io auto (in the variant: io = "auto") they become '
            f"float32{_expected_of_float(manifest, gate, insisting)}"
        )
    static = find_static_failures(manifest, gate)
    if static:
        yield from _about_static(manifest, gate, static)
    yield from _about_passing(manifest, gate, [item.id for item in static])


def _noise_of(manifest: Manifest, item: ArtifactEntry) -> float:
    """The least SQNR of any output of an artifact in dB; -inf where it is not known."""
    outputs = [found for part in manifest.measurements_of(item.id) for found in (part.details.parity or {}).values()]
    return min((-math.inf if found.sqnr_db is None else found.sqnr_db for found in outputs), default=-math.inf)


def _insists_on_int8(item: ArtifactEntry) -> bool:
    """Whether int8 inputs were asked for where int8 loses features: then operators behind them stayed float."""
    recipe = item.steps[-1].recipe if item.steps else {}
    integers = any(spec.dtype in ("int8", "uint8") for spec in item.inputs)
    return recipe.get("io") == "int8" and bool(recipe.get("float_operators")) and integers


def _about_static(manifest: Manifest, gate: GateResult, broken: Sequence[ArtifactEntry]) -> Iterator[str]:
    names = ", ".join(item.id for item in broken)
    found = next((manifest.debug[item.id] for item in broken if item.id in manifest.debug), None)
    told = found is not None and _is_of_open_output(manifest, gate, found)
    worst = _worst_layer(found) if found and told else None
    if found and worst:
        yield f"{found.artifact}: layer '{worst.name}' costs most{_gain_of_layer(found, worst)}"
    elif found and told and any(not layer.in_float for layer in found.layers):
        yield f"{found.artifact}: no single layer in float32 gives much of it back ({found.samples} samples): it takes several"
    failed = (failure.artifact.rpartition("/")[2] for failure in manifest.failures)
    searched = any(checks.recipe_of_variant(manifest, variant) == "auto" for variant in failed)
    if not searched and all(checks.recipe_of(manifest, item) != "auto" for item in manifest.artifacts):
        yield (
            f'{names}: ship with --variant float32,auto (a variant with quantize = "auto"), which keeps the layers that cost '
            f"most in float32, as few as the checks ask for{_expected_of_float(manifest, gate, broken)}"
        )
    tflite = next((item for item in broken if item.format == "tflite"), None)
    if tflite and not found:
        yield f"edgeship debug BUNDLE --artifact {tflite.id} names the layer that costs most"
    calibration = manifest.data.get("calibration")
    if calibration and min(calibration.samples, calibration.limit or calibration.samples) < 100:
        yield f"calibrate with more samples than {calibration.samples}: some hundred give ranges that hold"


def find_open_output(manifest: Manifest, artifact: str) -> str:
    """The first output of an artifact, by name, that the bundle's verdict does not let pass; empty without one."""
    outputs = _open_outputs(manifest, manifest.gate, artifact) if manifest.gate else []
    return next(iter(outputs), "")


def _open_outputs(manifest: Manifest, gate: GateResult, artifact: str) -> list[str]:
    """The outputs that some check of what they are worth does not let pass. A check names none where only one has labels."""
    checks_open = [item for item in gate.checks if item.artifact == artifact and item.verdict is not Verdict.PASS]
    names = [item.check.partition(":")[2] for item in checks_open if _kind_of(item) in QUALITY]
    scored = [part.details.accuracy.output for part in manifest.measurements_of(artifact) if part.details.accuracy]
    return list(dict.fromkeys(name for found in names for name in ([found] if found else scored) if name))


def _is_of_open_output(manifest: Manifest, gate: GateResult, found: LayerSensitivity) -> bool:
    """Whether all figures of the layers are of one output, and of one that does not pass.

    Figures are of the output that is worst, which may be another one than what the gate asks about.
    """
    details = [item.details for item in manifest.measurements_of(found.artifact)]
    outputs = {name for part in details for name in part.parity or {}}
    if len(outputs) <= 1:
        return True
    tried = [layer.only_layer_float for layer in found.layers if not layer.in_float]
    compared = {found.quantized.output, *(item.output for item in tried if not item.reason)}
    return len(compared) == 1 and compared <= {*_open_outputs(manifest, gate, found.artifact)}


def _about_passing(manifest: Manifest, gate: GateResult, failing: Sequence[str]) -> Iterator[str]:
    """Per format what is recommended, where full-integer artifacts fail or could not be made and other quantized ones pass."""
    recipes = {
        item.artifact: checks.recipe_of_variant(manifest, item.artifact.rpartition("/")[2])
        for item in manifest.failures
    }
    unmade = [name for name, recipe in recipes.items() if recipe in ("static_w8a8", "auto")]
    by_format = dict[str, list[str]]()
    for name in (*failing, *unmade):
        by_format.setdefault(name.partition("/")[0], []).append(name)
    for file_format, names in by_format.items():
        passes = any(
            item.format == file_format
            and not item.foreign
            and checks.recipe_of(manifest, item) in ("float16", "dynamic_w8", "weight_only_w8", "auto")
            and gate.verdict_on(item.id) is Verdict.PASS
            for item in manifest.artifacts
        )
        best = next((item.artifact for item in gate.recommended if item.artifact.startswith(f"{file_format}/")), "")
        if passes and best:
            yield f"{best} passes: ship that in place of {', '.join(names)}"


def _worst_layer(found: LayerSensitivity) -> LayerErrors | None:
    """The layer that is worth most in float32; None where none gives back a tenth of what is lost, or 1 dB."""
    gains = [(_gain(found, layer), layer) for layer in found.layers if not layer.in_float]
    best, worst = max(gains, key=lambda item: item[0], default=(0.0, None))
    lost = found.quantized.drop
    return worst if best >= (1.0 if lost is None else max(lost / 10, 1e-9)) else None


def _gain(found: LayerSensitivity, layer: LayerErrors) -> float:
    """How much less the model loses with the layer alone in float32: of the metric, without labels of the noise in dB."""
    better, now = layer.only_layer_float, found.quantized
    if better.drop is not None and now.drop is not None:
        return now.drop - better.drop
    if better.sqnr_db is not None and now.sqnr_db is not None:
        return better.sqnr_db - now.sqnr_db
    return 0.0


def _gain_of_layer(found: LayerSensitivity, worst: LayerErrors) -> str:
    """What the model is worth with that layer alone in float32, in words."""
    better, now = worst.only_layer_float, found.quantized
    if better.value is not None and now.value is not None:
        first, then = (
            f"{value * 100:.1f} %" if better.share else number_text(value) for value in (now.value, better.value)
        )
        figures = f"{first} becomes {then}"
        return f": with it alone in float32, {better.metric} {figures} ({found.samples} samples)"
    if better.sqnr_db is not None and now.sqnr_db is not None:
        return (
            f": with it alone in float32, {now.sqnr_db:.0f} dB become {better.sqnr_db:.0f} dB ({found.samples} samples)"
        )
    return ""


def _expected_of_float(manifest: Manifest, gate: GateResult, broken: Sequence[ArtifactEntry]) -> str:
    """What float32 of the format reaches in the output that did not pass, which more precision comes near to."""
    for item in broken:
        outputs = [
            check.check.partition(":")[2]
            for check in gate.checks
            if check.artifact == item.id and check.verdict is not Verdict.PASS and check.check.startswith("accuracy")
        ]
        for measurement in manifest.measurements_of(f"{item.format}/float32"):
            report = measurement.details.accuracy
            scored = report.outputs.get(next(iter(outputs), ""), report) if report else None
            if scored and scored.value is not None:
                figure = f"{scored.value * 100:.2f} %" if scored.share else number_text(scored.value)
                return f"; expected: next to the {figure} of {measurement.artifact}"
    return ""


def _about_samples(manifest: Manifest, gate: GateResult) -> Iterator[str]:
    """How many samples are missing for what keeps to its limit on those there are: first for what loses little of it."""
    told = _decidable(gate, lambda item: not _takes_up_its_limit(item)) or _decidable(gate, is_within_limit)
    if told:
        most = max(told, key=lambda item: item.samples_needed or 0)
        of_group = " of a group" if _kind_of(most) == "groups" else ""
        costly = ", which has lost most of what it may" if _takes_up_its_limit(most) else ""
        yield (
            f"give more evaluation data (--evaluation DATA): about {most.samples_needed:,} samples{of_group} decide "
            f"{_name_decided(gate, told)}{costly}; there are {most.samples:,}"
        )
    if preset := _wider_margin(manifest, gate):
        undecided = [item for item in gate.checks if _is_open(item) and _kind_of(item) in QUALITY]
        yield (
            f"if no more can be had: {preset} in [budget] is a margin that these samples decide for {_name_artifacts(undecided)}"
        )
    if any(_kind_of(item) == "groups" and not item.samples_needed for item in gate.checks if _is_open(item)):
        yield "groups that have no figure or too few samples: give more of them, or join them with others in the data"


def _wider_margin(manifest: Manifest, gate: GateResult) -> str:
    """The strictest of the presets that lies beyond the intervals of all drops that are open; of an error, else, the points.

    Empty where none does, where points are given, where something else is open that no margin decides, and where a drop fails:
    a wider margin would let that through, or not help.
    """
    rest = [item for item in gate.checks if item.verdict is not Verdict.PASS and _kind_of(item) in QUALITY]
    if gate.budget.get("max_drop") is not None or any(_kind_of(item) != "accuracy" for item in rest if _is_open(item)):
        return ""
    drops = [item for item in rest if _kind_of(item) == "accuracy"]
    if not drops or not all(map(_is_open, drops)):
        return ""
    figures = [_figures_of(manifest, item) for item in drops]
    ends = [(item.high, item.server) if item else (None, None) for item in figures]
    furthest = max(math.inf if high is None or not server else high / abs(server) for high, server in ends)
    wider = [name for name, share in PRESETS.items() if share > furthest]
    if wider:
        return f'accuracy = "{min(wider, key=lambda name: PRESETS[name])}"'
    metrics = {(item.metric, item.share or item.higher_is_better) if item else None for item in figures}
    if len(metrics) > 1 or any(item is None or item[1] for item in metrics):
        return ""  # of a share it would be most of what there is
    drop = _round_up(max(high or 0.0 for high, _ in ends))
    return f"max_drop = {drop:.2g} (in the unit of {drops[0].unit}) in place of accuracy"


def _round_up(value: float) -> float:
    """Upwards to two digits."""
    step: float = 10.0 ** (math.floor(math.log10(value)) - 1) if value > 0 else 1.0
    return math.ceil(value / step + 1e-9) * step


def _figures_of(manifest: Manifest, check: Check) -> OutputAccuracy | None:
    """The comparison that a check of a drop is about."""
    for item in manifest.measurements_of(check.artifact):
        report = item.details.accuracy
        if report and (item.runtime, item.device) == (check.runtime, check.device):
            return report.outputs.get(check.check.partition(":")[2], report)
    return None


def _decidable(gate: GateResult, is_near: Callable[[Check], bool]) -> list[Check]:
    """The undecided checks that more samples would decide, of artifacts of which everything that is open is such a check."""
    rest = [item for item in gate.checks if item.verdict is not Verdict.PASS]
    near = [item for item in rest if _is_open(item) and item.samples_needed and is_near(item)]
    lost = {item.artifact for item in rest if item not in near}
    return [item for item in near if item.artifact not in lost]


def _is_open(item: Check) -> bool:
    return item.verdict is Verdict.INCONCLUSIVE


def _name_decided(gate: GateResult, told: Sequence[Check]) -> str:
    """The artifacts of these checks, or all where nothing else is open."""
    if all(item in told for item in gate.checks if item.verdict is not Verdict.PASS):
        return "all of it"
    return _name_artifacts(told)


def _name_artifacts(found: Sequence[Check]) -> str:
    names = list(dict.fromkeys(item.artifact for item in found))
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _about_times(gate: GateResult) -> Iterator[str]:
    if any(check.check == "latency_ratio" and check.verdict is Verdict.INCONCLUSIVE for check in gate.checks):
        yield "edgeship benchmark BUNDLE, on a quieter machine, takes the times again"
