"""The figures and texts of a bundle by the names that a search takes.

`accuracy.tflite-int8` is of an artifact on this machine, `runtime.tfjs-web.latency_p50_ms.tfjs-float32` of a further runtime,
`device.cortex-a76.instructions.tflite-int8` of a device, `class.Sandal.accuracy.tflite-int8` of a class, `accuracy.server` of the
server model. Without the artifact's name a figure is that of the version's own `artifact`. Ends of 95 % intervals have the
figure's name with `_low` and `_high`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from edgeship.bundle.figures.comparisons import OutputAccuracy
from edgeship.bundle.figures.measurement import Measurement
from edgeship.bundle.manifest import Manifest
from edgeship.bundle.metric import Figure

HOST = "host"
TARGETS = ("apps", "servers and desktops", "pages")  # in this order one of their artifacts stands for the version
Figures = Iterator[tuple[str, Figure]]
_STRANGE = re.compile(r"[^\w-]+")


def artifact_slug(artifact: str) -> str:
    """An artifact's id as a part of a figure's name: tflite-int8."""
    return _slug(artifact)


def _slug(text: str) -> str:
    return _STRANGE.sub("-", text).strip("-") or "-"


def main_artifact(manifest: Manifest) -> str:
    """The artifact that stands for a version, by id; empty where there is none."""
    recommended = {item.target: item.artifact for item in manifest.gate.recommended} if manifest.gate else {}
    best = next((recommended[target] for target in TARGETS if target in recommended), None)
    return best or (manifest.artifacts[0].id if manifest.artifacts else "")


def collect_figures(manifest: Manifest) -> dict[str, Figure]:
    """Every figure of a bundle that has a value, by name. Of two of one name the first counts, as in tables."""
    figures: dict[str, Figure] = {}
    main, places = main_artifact(manifest), set()
    for item in manifest.measurements:
        place = (item.artifact, item.device)
        prefix = "" if item.device == HOST else f"device.{_slug(item.device)}."
        if place in places:
            prefix += f"runtime.{_slug(item.runtime)}."
        places.add(place)
        for name, value in _figures_of_measurement(item, manifest.labels or ()):
            figures.setdefault(f"{prefix}{name}.{artifact_slug(item.artifact)}", value)
            if item.artifact == main:
                figures.setdefault(f"{prefix}{name}", value)
    for name, value in _figures_of_server(manifest):
        figures.setdefault(name, value)
    return figures


def _figures_of_measurement(item: Measurement, labels: tuple[str, ...]) -> Figures:
    for metric in item.metrics:
        if metric.value is not None:
            yield metric.name, metric.value
    details = item.details
    if report := details.accuracy:
        yield from _figures_of_output(report, labels)
        for name, output in report.outputs.items() if len(report.outputs) > 1 else ():
            inner = chain([("accuracy", output.value), ("accuracy_drop", output.drop)], _figures_of_output(output, ()))
            yield from ((f"output.{_slug(name)}.{key}", value) for key, value in inner if value is not None)
    if ratio := details.latency_ratio:
        yield from _present(("latency_ratio_low", ratio.low), ("latency_ratio_high", ratio.high))


def _figures_of_output(output: OutputAccuracy, labels: tuple[str, ...]) -> Figures:
    yield from _present(("accuracy_drop_low", output.low), ("accuracy_drop_high", output.high))
    for row in output.per_class:
        name = labels[row.label] if row.label < len(labels) else str(row.label)
        yield f"class.{_slug(name)}.accuracy", row.artifact
        yield f"class.{_slug(name)}.accuracy_drop", row.drop


def _figures_of_server(manifest: Manifest) -> Figures:
    if server := manifest.server_measurement:
        yield from _present(("accuracy.server", server.server), ("ece.server", server.ece_server))
        yield "samples", server.n
    classes: dict[str, float] = {}
    for item in manifest.measurements:
        for row in item.details.accuracy.per_class if item.details.accuracy else ():
            labels = manifest.labels or ()
            classes.setdefault(labels[row.label] if row.label < len(labels) else str(row.label), row.server)
    yield from ((f"class.{_slug(name)}.accuracy.server", value) for name, value in classes.items())
    if manifest.server_model and manifest.server_model.parameters is not None:
        yield "parameters.server", manifest.server_model.parameters


def _present(*figures: tuple[str, Figure | None]) -> Figures:
    return ((name, value) for name, value in figures if value is not None)


def collect_texts(manifest: Manifest, verdict: str) -> dict[str, str]:
    """What a search may compare with a text: the verdict, the artifact, recipes, tools, digests of data and server model."""
    texts = {
        "verdict": verdict,
        "artifact": main_artifact(manifest),
        "created": manifest.created,
        "edgeship": manifest.edgeship,
        "server": manifest.server_model.digest if manifest.server_model else "",
        "metric": manifest.server_measurement.metric if manifest.server_measurement else "",
    }
    texts |= {f"data.{role}": data.digest for role, data in manifest.data.items() if data}
    texts |= {f"tool.{_slug(name)}": str(version) for name, version in manifest.tools.items()}
    for item in manifest.artifacts:
        recipes = [str(step.recipe["recipe"]) for step in item.steps if "recipe" in step.recipe]
        texts[f"recipe.{artifact_slug(item.id)}"] = " + ".join(recipes) or item.variant
    return {name: text for name, text in texts.items() if text}
