"""Bundles of two artifacts, one for apps and one for servers, with figures that are made up and files that run."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeship.bundle import bundle as bundles
from edgeship.bundle.answers import FOLDER, LABELS, answers_file
from edgeship.bundle.figures.comparisons import AccuracyReport, OutputAccuracy
from edgeship.bundle.figures.measurement import LatencySummary, Measurement, MeasurementDetails
from edgeship.bundle.manifest import ArtifactEntry, Manifest, ServerModelEntry
from edgeship.bundle.metric import Metric
from edgeship.bundle.verdict import Check, GateResult
from edgeship.data import save
from edgeship.types import Availability, Kind, Step, TensorSpec, Verdict

CLIENT, SERVED = "tflite/float32", "onnx/float32"
IMAGE = (8, 8, 1)
BUSY = "unstable: a made-up neighbour wants the cores"


def write_bundle(
    out: Path,
    models: Path | None = None,
    *,
    shape: tuple[int, ...] = IMAGE,
    client_ms: tuple[float, float] | None = (2.0, 4.0),
    server_ms: float | None = 10.0,
    phone_ms: tuple[float, float] | None = None,
    verdict: Verdict = Verdict.PASS,
    served_verdict: Verdict | None = None,
    answers: Any = None,
) -> Path:
    """A sealed bundle. `models`: the folder of tiny models, for files that run; `answers`: (labels, answers of the client).

    `client_ms`: p50 and p99 on the host, `phone_ms` on a simulated phone; `server_ms`: every answer of the server's artifact.
    None: the machine was busy.
    """
    inputs, outputs = (TensorSpec("image", (None, *shape), "float32"),), (TensorSpec("probs", (None, 5), "float32"),)
    files = {CLIENT: "tflite/float32.tflite", SERVED: "onnx/float32.onnx"}
    with bundles.replace_bundle(out) as draft:
        (draft / "server").mkdir()
        (draft / "server/server.keras").write_bytes(b"a server model")
        for name, path in files.items():
            (draft / path).parent.mkdir()
            content = (models / f"cnn{Path(path).suffix}").read_bytes() if models else name.encode()
            (draft / path).write_bytes(content)
        if answers is not None:
            (draft / FOLDER).mkdir()
            save(draft / LABELS, {"y": answers[0]})
            save(draft / answers_file(CLIENT), {"probs": answers[1]})
        measured = [_measure(CLIENT, "litert", "host", client_ms, Kind.MEASURED)]
        measured.append(
            _measure(
                SERVED, "onnxruntime", "host", None if server_ms is None else (server_ms, server_ms), Kind.MEASURED
            )
        )
        if phone_ms:
            measured.append(_measure(CLIENT, "litert-web", "browser-mid-phone", phone_ms, Kind.SIMULATED))
        manifest = Manifest(
            files=bundles.file_digests(draft),
            artifacts=tuple(
                ArtifactEntry(
                    name, path, name.partition("/")[0], "float32", inputs, outputs, (Step("export", "11" * 32),)
                )
                for name, path in files.items()
            ),
            measurements=tuple(measured),
            created="2026-11-29T15:00:00+00:00",
            server_model=ServerModelEntry(
                "server/server.keras", hashlib.sha256(b"a server model").hexdigest(), inputs, outputs
            ),
            config={},
        )
        verdicts = {name: served_verdict or verdict if name == SERVED else verdict for name in files}
        checks = tuple(Check(name, "", "accuracy", each) for name, each in verdicts.items())
        bundles.seal_bundle(draft, replace(manifest, gate=GateResult(verdict, checks)))
    return out


def _measure(artifact: str, runtime: str, device: str, times: Any, kind: Kind) -> Measurement:
    shares = OutputAccuracy("top1", True, True, 1000, 0.9, 0.91, 0.01, -0.005, 0.02)
    details = MeasurementDetails(accuracy=AccuracyReport.of_outputs({"probs": shares}, "probs"))
    metrics = [Metric("size_brotli_bytes", 60_000, "bytes")]
    names = ("latency_p50_ms", "latency_p99_ms")
    if times is None:
        metrics += [Metric(name, None, "ms", kind, Availability.UNSTABLE, BUSY) for name in names]
        return Measurement(artifact, runtime, device, tuple(metrics), details)
    metrics += [Metric(name, value, "ms", kind) for name, value in zip(names, times, strict=True)]
    p50, p99 = times
    summary = LatencySummary(n=1000, min_ms=p50, p50_ms=p50, p90_ms=p50, p99_ms=p99)
    return Measurement(artifact, runtime, device, tuple(metrics), replace(details, latency=summary))
