"""Figures from the field: a self-test that the demo page or a generated client ran on some device, for the report.

What such a file says was measured on that device, so its figures are `measured`; the device is the browser's user agent, or
what the client's app calls it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from edgeship import typed_json, untrusted
from edgeship.bundle import goldens
from edgeship.bundle.bundle import Bundle
from edgeship.bundle.figures.comparisons import OutputParity
from edgeship.bundle.figures.measurement import Measurement, MeasurementDetails
from edgeship.bundle.manifest import GoldenRun, Manifest
from edgeship.bundle.metric import LARGEST, Count, Metric
from edgeship.bundle.verdict import Check
from edgeship.data import Batch
from edgeship.deploy.contract.contract import read_contract
from edgeship.errors import CheckError, InputError
from edgeship.light_dataclass import dataclass
from edgeship.pipeline.verify import Answers, golden_arrays
from edgeship.types import Availability, Verdict

KIND = "edgeship-selftest"
SCHEMA = 1
LONGEST_AGENT, LONGEST_DEVICE, LONGEST_DETAIL = 1000, 60, 160
ROUNDING = 1e-4  # of an output's range: what numbers lose on their way through a page and its JSON, and more
BROWSERS = ("Edg", "OPR", "Firefox", "HeadlessChrome", "Chrome", "Version")
NAMES = {"Edg": "Edge", "OPR": "Opera", "HeadlessChrome": "Chrome (headless)", "Version": "Safari"}
Positive = Annotated[float, Meta(ge=0, le=LARGEST)]
Share = Annotated[float, Meta(ge=0, le=1)]


class OutputResult(msgspec.Struct, frozen=True, rename="camel"):
    """What was found of one output: largest differences from the artifact's and from the server model's goldens.

    JSON has no infinity: None stands for what is not finite.
    """

    max_abs_error: Positive | None
    passed: bool
    max_abs_error_server: Positive | None = None
    agreement: Share | None = None


class Latency(msgspec.Struct, frozen=True, rename="camel"):
    """Times of one inference in ms."""

    p50_ms: Positive | None = None
    p90_ms: Positive | None = None
    mean_ms: Positive | None = None
    min_ms: Positive | None = None


class Failure(msgspec.Struct, frozen=True):
    """What a client found wrong: the golden's name, of what (raw, tensor, output, label, model, counts), and how."""

    case: str
    what: str
    detail: str


class SelfTest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The file that the page or a client writes; web-demo/src/selftest.ts has the same names.

    The page has a `backend` and a `user_agent`; a generated client its `client` (its language) and `device` instead, and replays
    the raw goldens of the contract, `failures` being what it found wrong. The page of an update channel is a client `web`.
    """

    artifact: str
    artifact_digest: str
    backend: str = ""
    engine: str
    user_agent: str = ""
    client: str = ""
    device: str = ""
    samples: Count
    passed: bool
    outputs: dict[str, OutputResult]
    failures: tuple[Failure, ...] = ()
    latency: Latency | None = None
    load_ms: Positive | None = None
    first_ms: Positive | None = None

    @property
    def runtime(self) -> str:
        """What ran the artifact, as the report names it."""
        return f"client-{self.client}" if self.client else f"tfjs-{self.backend}"

    @property
    def source(self) -> str:
        """Who wrote it, for a sentence."""
        return f"the {self.client} client" if self.client else "the page"

    @property
    def place(self) -> str:
        """The device, as the report names it."""
        return self.device[:LONGEST_DEVICE] or describe_device(self.user_agent)


@dataclass(frozen=True)
class FieldResult:
    """A self-test as a measurement, and what it decides."""

    measurement: Measurement
    check: Check


def read_selftest(path: Path, bundle: Bundle) -> FieldResult:
    """What a self-test's file says. Raises InputError where it is none, or is about another model."""
    if not path.exists():
        raise InputError(
            f"{untrusted.printable(path)}: no such file; the demo page's 'Download as JSON' and clients write one"
        )
    content = untrusted.read_json(path, links=True)
    if not isinstance(content, dict) or content.get("kind") != KIND or content.get("schema") != SCHEMA:
        raise InputError(
            f"{path}: not a self-test of this edgeship's demo page ('Download as JSON') or of a generated client"
        )
    try:
        test = typed_json.convert(SelfTest, content)
        for name in (test.runtime, test.device):
            if untrusted.printable(name) != name:
                raise InputError(f"a name is {untrusted.printable(name)[: untrusted.SHOWN]}")
        if bool(test.client) == bool(test.backend):
            raise InputError("it names either a backend or a client")
    except InputError as error:
        raise InputError(f"{path}: not a self-test of the demo page or a client ({error})") from error
    _check_artifact(path, test, bundle.manifest)
    verdict, why = _judge_selftest(test, bundle)
    runtime, device = test.runtime, test.place
    summary = _summarize_selftest(test, verdict, why)
    compared = {} if test.client else test.outputs  # with the server model
    parity = {name: _page_parity(test, result) for name, result in compared.items()}
    return FieldResult(
        Measurement(test.artifact, runtime, device, _page_metrics(test, summary), MeasurementDetails(parity=parity)),
        Check(test.artifact, runtime, "self-test", verdict, reason=summary, device=device),
    )


def with_field_results(bundle: Bundle, files: list[Path]) -> Manifest:
    """The manifest with the measurements of those files behind its own; the bundle itself stays as it is.

    Each brings a check along: where one failed on its device, or was not decided, the report is no PASS.
    """
    manifest, results = bundle.manifest, [read_selftest(path, bundle) for path in files]
    extended = replace(manifest, measurements=(*manifest.measurements, *(item.measurement for item in results)))
    gate = manifest.gate
    if not gate:
        return extended
    checks = [item.check for item in results]
    verdicts = {gate.verdict, *(check.verdict for check in checks)}
    verdict = next(item for item in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS) if item in verdicts)
    return replace(extended, gate=replace(gate, verdict=verdict, checks=(*gate.checks, *checks)))


def describe_device(user_agent: str) -> str:
    """A user agent in a few words, as `Chrome 126 on Android 10`; all of it where nothing in it is known."""
    user_agent = user_agent[:LONGEST_AGENT]
    browser = next((match for name in BROWSERS if (match := re.search(rf"\b({name})/(\d+)", user_agent))), None)
    system = re.search(r"\(([^)]*)\)", user_agent)
    if browser is None or system is None:
        return user_agent[:60]
    parts = [part.strip() for part in system[1].split(";")]
    systems = [part for part in parts if re.match(r"Android|Windows|CPU (iPhone )?OS|Intel Mac|Linux|CrOS|iP", part)]
    return f"{NAMES.get(browser[1], browser[1])} {browser[2]} on {systems[-1] if systems else parts[0]}"


def _check_artifact(path: Path, test: SelfTest, manifest: Manifest) -> None:
    artifact = manifest.artifact(test.artifact)
    digest = artifact and (
        manifest.files.get(artifact.path) if test.client else artifact.digest
    )  # a client's: of the file
    if artifact is None or digest != test.artifact_digest:
        again = "generate its client again" if test.client else "open the demo of this bundle and run it again"
        raise InputError(
            f"{path}: a self-test of {test.artifact} {test.artifact_digest[:12]}, which is not in this bundle; {again}"
        )


def _page_metrics(test: SelfTest, summary: str) -> tuple[Metric, ...]:
    """The figures; `summary` stands instead of an accuracy: a page replays the goldens, not the evaluation data."""
    latency, nothing = test.latency or Latency(), f"{test.source} took no latency"
    return (
        _page_metric("load_ms", test.load_ms, "ms", f"{test.source} took none"),
        _page_metric("first_inference_ms", test.first_ms, "ms", f"{test.source} took none"),
        _page_metric("latency_p50_ms", latency.p50_ms, "ms", nothing),
        _page_metric("latency_p90_ms", latency.p90_ms, "ms", nothing),
        _page_metric("latency_mean_ms", latency.mean_ms, "ms", nothing),
        _page_metric("latency_min_ms", latency.min_ms, "ms", nothing),
        _page_metric("accuracy", None, "share", summary),
        _page_metric("max_abs_error", *_server_error(test)),
    )


def _server_error(test: SelfTest) -> tuple[float | None, str, str]:
    """The largest difference from the server model, its unit, and why there is none."""
    if test.client:
        return None, "", "a client compares with the artifact's goldens alone"
    return _largest_error(test), "", "not finite"


def _page_metric(name: str, value: float | None, unit: str, reason: str) -> Metric:
    if value is None:
        return Metric(name, None, unit, availability=Availability.UNDEFINED, reason=reason)
    return Metric(name, value, unit)


def _judge_selftest(test: SelfTest, bundle: Bundle) -> tuple[Verdict, str]:
    """The verdict on a self-test, with why it is no pass: by its figures, the bundle's own tolerances and its goldens.

    What the file says of itself can only fail it. Without tolerances (no runtime was there when the bundle was made) it is
    not decided.
    """
    recorded = bundle.manifest.goldens
    golden = (recorded.artifacts.get(test.artifact) if recorded else None) or GoldenRun(None)
    tolerances = golden.tolerance or {}
    if test.failures or not test.passed or not all(result.passed for result in test.outputs.values()):
        return Verdict.FAIL, f"{test.source} found it wrong{_first_failure(test)}"
    samples = _count_goldens(test, bundle)
    if samples is None or test.samples != samples:
        return Verdict.FAIL, f"{test.samples} goldens, and the bundle has {samples}"
    if not tolerances and test.outputs:
        return Verdict.INCONCLUSIVE, "the bundle has no tolerance to judge it by"
    if not test.outputs or test.outputs.keys() != tolerances.keys():
        return Verdict.FAIL, f"its outputs are not the bundle's ({', '.join(sorted(tolerances))})"
    try:
        answers = Answers(golden_arrays(bundle, test.artifact), golden)
        server = golden_arrays(bundle, "outputs")
        why = _beyond_tolerance(test.outputs, answers)
        if not test.client:  # a client compares with the artifact alone
            why = why or _find_contradiction(test.outputs, answers, server)
    except CheckError as error:
        why = str(error)
    return Verdict.FAIL if why else Verdict.PASS, why


def _first_failure(test: SelfTest) -> str:
    if not test.failures:
        return ""
    first = test.failures[0]
    return untrusted.printable(f" ({first.case}, {first.what}: {first.detail})")[:LONGEST_DETAIL]


def _count_goldens(test: SelfTest, bundle: Bundle) -> int | None:
    """How many goldens it must have replayed: a client the raw ones of the contract, the page those of the bundle."""
    if test.client:
        contract = read_contract(bundle.root)
        return contract.goldens.samples if contract else None
    return bundle.manifest.goldens.samples if bundle.manifest.goldens else None


def _beyond_tolerance(outputs: Mapping[str, OutputResult], answers: Answers) -> str:
    """The first output that is off by more than is allowed, or an empty text. Raises CheckError for absurd tolerances."""
    for name, result in outputs.items():
        most, error = answers.tolerance(name), result.max_abs_error
        if error is None or error > most:
            return f"'{name}' is " + ("not finite" if error is None else f"off by {error:.3g}, allowed are {most}")
    return ""


def _find_contradiction(outputs: Mapping[str, OutputResult], answers: Answers, server: Batch) -> str:
    """The first output whose differences from the artifact's goldens and the server model's cannot both be right.

    The goldens lie as far apart as they do, so one difference bounds the other. An empty text where all can be.
    """
    for name, result in outputs.items():
        own, reference = answers.own.get(name), server.get(name)
        if own is None or reference is None or own.shape != reference.shape:
            continue
        apart, error = goldens.largest_error(own, reference), result.max_abs_error_server
        room = (result.max_abs_error or 0.0) + ROUNDING * goldens.value_range(reference)
        if math.isfinite(apart) and (error is None or abs(error - apart) > room):
            return f"'{name}' cannot be off the server model by {error}, as the goldens are by {apart:.3g}"
    return ""


def _summarize_selftest(test: SelfTest, verdict: Verdict, why: str) -> str:
    engine = untrusted.printable(test.engine)[:80]
    if verdict is Verdict.PASS:
        return f"self-test on {test.samples} goldens passed in {test.source} ({engine})"
    worst = _largest_error(test)
    off = (
        "not finite" if worst is None else f"off {'the artifact' if test.client else 'the server model'} by {worst:.3g}"
    )
    word = "FAILED" if verdict is Verdict.FAIL else "not decided"
    return f"self-test on {test.samples} goldens {word} in {test.source} ({engine}): {why}; {off}"


def _largest_error(test: SelfTest) -> float | None:
    """The largest difference from the server model, of a client from the artifact; None where one is not finite."""
    errors = [item.max_abs_error if test.client else item.max_abs_error_server for item in test.outputs.values()]
    finite = [error for error in errors if error is not None]
    return max(finite) if finite and len(finite) == len(errors) else None


def _page_parity(test: SelfTest, result: OutputResult) -> OutputParity:
    return OutputParity(
        "",
        n=test.samples,
        max_abs_error=result.max_abs_error_server,
        agreement=result.agreement,
        agreement_n=test.samples,
    )
