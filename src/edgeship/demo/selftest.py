"""Figures from the field: the self-test that the demo page ran in somebody's browser, as a measurement for the report.

What such a file says was measured on that device, so its figures are `measured`; the device is the browser's user agent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeship import untrusted
from edgeship.bundle import goldens
from edgeship.bundle.bundle import Bundle
from edgeship.data import Batch
from edgeship.errors import CheckError, InputError
from edgeship.pipeline.verify import Answers, golden_arrays
from edgeship.types import Measurement, Metric, Verdict, to_json

KIND = "edgeship-selftest"
SCHEMA = 1
PARITY = ("mean_abs_error", "cosine", "sqnr_db")
LONGEST_AGENT = 1000
ROUNDING = 1e-4  # of an output's range: what numbers lose on their way through a page and its JSON, and more
BROWSERS = ("Edg", "OPR", "Firefox", "HeadlessChrome", "Chrome", "Version")
NAMES = {"Edg": "Edge", "OPR": "Opera", "HeadlessChrome": "Chrome (headless)", "Version": "Safari"}


def read(path: Path, bundle: Bundle) -> Measurement:
    """The measurement in a self-test's file. Raises InputError where it is none, or is about another model."""
    if not path.exists():
        raise InputError(f"{untrusted.printable(path)}: no such file; the demo page's 'Download as JSON' writes one")
    found = untrusted.read_json(path, links=True)
    try:
        if found["kind"] != KIND or found["schema"] != SCHEMA:
            raise InputError(
                f"{path}: not a self-test of this edgeship's demo page (its 'Download as JSON' writes one)"
            )
        _belongs(path, found, bundle.manifest)
        return _measurement(found, bundle)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        told = untrusted.printable(error)[: untrusted.SHOWN]
        raise InputError(f"{path}: not a self-test of the demo page ({type(error).__name__}: {told})") from error


def with_field_results(bundle: Bundle, files: list[Path]) -> dict[str, Any]:
    """The manifest with the measurements of those files behind its own; the bundle itself stays as it is.

    Each brings a check along: where one failed on its device, or was not decided, the report is no PASS.
    """
    manifest, added = bundle.manifest, [to_json(read(path, bundle)) for path in files]
    extended = {**manifest, "measurements": [*manifest["measurements"], *added]}
    if gate := manifest.get("gate"):
        checks = [_check(item) for item in added]
        verdicts = [gate["verdict"], *(check["verdict"] for check in checks)]
        verdict = next(str(item) for item in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS) if item in verdicts)
        extended["gate"] = {**gate, "verdict": verdict, "checks": [*gate.get("checks", []), *checks]}
    return extended


def device(user_agent: str) -> str:
    """A user agent in a few words, as `Chrome 126 on Android 10`; all of it where nothing in it is known."""
    user_agent = user_agent[:LONGEST_AGENT]
    browser = next((match for name in BROWSERS if (match := re.search(rf"\b({name})/(\d+)", user_agent))), None)
    system = re.search(r"\(([^)]*)\)", user_agent)
    if browser is None or system is None:
        return user_agent[:60]
    parts = [part.strip() for part in system[1].split(";")]
    known = [part for part in parts if re.match(r"Android|Windows|CPU (iPhone )?OS|Intel Mac|Linux|CrOS|iP", part)]
    return f"{NAMES.get(browser[1], browser[1])} {browser[2]} on {known[-1] if known else parts[0]}"


def _belongs(path: Path, found: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    artifact = next((item for item in manifest["artifacts"] if item["id"] == found["artifact"]), None)
    if artifact is None or artifact["digest"] != found["artifactDigest"]:
        raise InputError(
            f"{path}: a self-test of {found['artifact']} {str(found['artifactDigest'])[:12]}, which is not in this bundle; "
            "open the demo of this bundle and run it again"
        )


def _measurement(found: Mapping[str, Any], bundle: Bundle) -> Measurement:
    latency, outputs = found["latency"] or {}, found["outputs"]
    name = device(str(found["userAgent"]))
    timed = "" if latency else "the page took no latency"
    verdict, why = _judge(found, bundle)
    metrics = [
        _milliseconds("load_ms", found["loadMs"], "the page took none"),
        _milliseconds("first_inference_ms", found["firstMs"], "the page took none"),
        *(
            _milliseconds(f"latency_{metric}_ms", latency.get(f"{metric}Ms"), timed)
            for metric in ("p50", "p90", "mean", "min")
        ),
        Metric("accuracy", None, "share", reason=_told(found, verdict, why)),
        Metric("max_abs_error", _worst(outputs), "", reason="not finite"),
    ]
    details = {
        "parity": {str(output): _parity(found, result) for output, result in outputs.items()},
        "selftest": dict(found),
        "judged": str(verdict),
    }
    return Measurement(found["artifact"], f"tfjs-{_text(found, 'backend')}", name, tuple(metrics), details)


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found[key]
    if not isinstance(value, str) or untrusted.printable(value) != value:
        raise ValueError(f"{key} is {value!r}")
    return value


def _judge(found: Mapping[str, Any], bundle: Bundle) -> tuple[Verdict, str]:
    """The verdict on a self-test, with why it is no pass: by its figures, the bundle's own tolerances and its goldens.

    What the file says of itself can only fail it. Without tolerances (no runtime was there when the bundle was made) it is
    not decided.
    """
    recorded = bundle.manifest.get("goldens") or {}
    golden = (recorded.get("artifacts") or {}).get(found["artifact"]) or {}
    allowed, outputs = golden.get("tolerance") or {}, found["outputs"]
    if found["passed"] is not True or not all(result["passed"] is True for result in outputs.values()):
        return Verdict.FAIL, "the page found it wrong"
    if found["samples"] != recorded.get("samples"):
        return Verdict.FAIL, f"{_count(found['samples'])} goldens, and the bundle has {recorded.get('samples')}"
    errors = {name: _number(result["maxAbsError"], f"the error of {name}") for name, result in outputs.items()}
    if not allowed and errors:
        return Verdict.INCONCLUSIVE, "the bundle has no tolerance to judge it by"
    if not errors or errors.keys() != allowed.keys():
        return Verdict.FAIL, f"its outputs are not the bundle's ({', '.join(sorted(allowed))})"
    try:
        answers = Answers(golden_arrays(bundle, found["artifact"]), golden)
        why = _off(errors, answers) or _contradicts(outputs, answers, golden_arrays(bundle, "outputs"))
    except CheckError as error:
        why = str(error)
    return Verdict.FAIL if why else Verdict.PASS, why


def _off(errors: Mapping[str, float | None], answers: Answers) -> str:
    """The first output that is off by more than is allowed, or an empty text. Raises CheckError for absurd tolerances."""
    for name, error in errors.items():
        most = answers.tolerance(name)
        if error is None or error > most:
            return f"'{name}' is " + ("not finite" if error is None else f"off by {error:.3g}, allowed are {most}")
    return ""


def _contradicts(outputs: Mapping[str, Any], answers: Answers, server: Batch) -> str:
    """The first output whose differences from the artifact's goldens and the server model's cannot both be right.

    The goldens lie as far apart as they do, so one difference bounds the other. An empty text where all can be.
    """
    for name, result in outputs.items():
        own, expected = answers.own.get(name), server.get(name)
        if own is None or expected is None or own.shape != expected.shape:
            continue
        apart, told = goldens.distance(own, expected), result["maxAbsErrorServer"]
        room = result["maxAbsError"] + ROUNDING * goldens.spread(expected)
        if math.isfinite(apart) and (told is None or abs(told - apart) > room):
            return f"'{name}' cannot be off the server model by {told}, as the goldens are by {apart:.3g}"
    return ""


def _number(value: Any, what: str) -> float | None:
    """A number from 0, or None, which JSON has for what is not finite. Raises ValueError for anything else."""
    if value is not None and not (_plain(value) and math.isfinite(value) and value >= 0):
        raise ValueError(f"{what} is {value!r}")
    number: float | None = value
    return number


def _share(value: Any) -> float | None:
    share = _number(value, "an agreement")
    if share is not None and share > 1:
        raise ValueError(f"an agreement is {value!r}")
    return share


def _plain(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"the number of samples is {value!r}")
    return value


def _milliseconds(name: str, value: Any, reason: str) -> Metric:
    return Metric(name, _number(value, name), "ms", reason=reason)


def _check(item: Mapping[str, Any]) -> dict[str, Any]:
    told = {
        "check": "self-test",
        "verdict": item["details"]["judged"],
        "value": None,
        "limit": None,
        "unit": "",
        "reason": next(metric["reason"] for metric in item["metrics"] if metric["name"] == "accuracy"),
    }
    return {**{key: item[key] for key in ("artifact", "runtime", "device")}, **told}


def _told(found: Mapping[str, Any], verdict: Verdict, why: str) -> str:
    """What stands instead of an accuracy: a page replays the goldens, not the evaluation data."""
    samples, engine = _count(found["samples"]), untrusted.printable(found["engine"])[:80]
    if verdict is Verdict.PASS:
        return f"self-test on {samples} goldens passed in the page ({engine})"
    worst = _worst(found["outputs"])
    off = "not finite" if worst is None else f"off the server model by {worst:.3g}"
    word = "FAILED" if verdict is Verdict.FAIL else "not decided"
    return f"self-test on {samples} goldens {word} in the page ({engine}): {why}; {off}"


def _worst(outputs: Mapping[str, Any]) -> float | None:
    """The largest difference from the server model; JSON has no infinity, so a page writes null for it."""
    values = [_number(result["maxAbsErrorServer"], f"the error of {name}") for name, result in outputs.items()]
    finite = [value for value in values if value is not None]
    return float(max(finite)) if finite and len(finite) == len(values) else None


def _parity(found: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "n": _count(found["samples"]),
        "bad": 0,
        "bad_server": 0,
        "reason": "",
        "max_abs_error": _number(result["maxAbsErrorServer"], "an error"),
        **dict.fromkeys(PARITY),
        "agreement": _share(result["agreement"]),
        "agreement_low": None,
        "agreement_high": None,
        "agreement_n": _count(found["samples"]),
    }
