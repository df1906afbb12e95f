"""Figures from the field: the self-test that the demo page ran in somebody's browser, as a measurement for the report.

What such a file says was measured on that device, so its figures are `measured`; the device is the browser's user agent.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeship.errors import InputError
from edgeship.types import Measurement, Metric, Verdict, to_json

KIND = "edgeship-selftest"
SCHEMA = 1
PARITY = ("mean_abs_error", "cosine", "sqnr_db")
BROWSERS = ("Edg", "OPR", "Firefox", "HeadlessChrome", "Chrome", "Version")
NAMES = {"Edg": "Edge", "OPR": "Opera", "HeadlessChrome": "Chrome (headless)", "Version": "Safari"}


def read(path: Path, manifest: Mapping[str, Any]) -> Measurement:
    """The measurement in a self-test's file. Raises InputError where it is none, or is about another model."""
    try:
        found = json.loads(path.read_text())
        if found["kind"] != KIND or found["schema"] != SCHEMA:
            raise InputError(
                f"{path}: not a self-test of this edgeship's demo page (its 'Download as JSON' writes one)"
            )
        _belongs(path, found, manifest)
        return _measurement(found)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; the demo page's 'Download as JSON' writes one") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not a self-test of the demo page ({type(error).__name__}: {error})") from error


def with_field_results(manifest: Mapping[str, Any], files: list[Path]) -> dict[str, Any]:
    """The manifest with the measurements of those files behind its own; the bundle itself stays as it is.

    Each brings a check along, and one that failed on its device fails the report.
    """
    added = [to_json(read(path, manifest)) for path in files]
    extended = {**manifest, "measurements": [*manifest["measurements"], *added]}
    if gate := manifest.get("gate"):
        checks = [_check(item) for item in added]
        failed = any(check["verdict"] == Verdict.FAIL for check in checks)
        verdict = str(Verdict.FAIL) if failed else gate["verdict"]
        extended["gate"] = {**gate, "verdict": verdict, "checks": [*gate["checks"], *checks]}
    return extended


def device(user_agent: str) -> str:
    """A user agent in a few words, as `Chrome 126 on Android 10`; all of it where nothing in it is known."""
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


def _measurement(found: Mapping[str, Any]) -> Measurement:
    latency, outputs = found["latency"] or {}, found["outputs"]
    name = device(str(found["userAgent"]))
    timed = "" if latency else "the page took no latency"
    metrics = [
        _milliseconds("load_ms", found["loadMs"], "the page took none"),
        _milliseconds("first_inference_ms", found["firstMs"], "the page took none"),
        *(
            _milliseconds(f"latency_{metric}_ms", latency.get(f"{metric}Ms"), timed)
            for metric in ("p50", "p90", "mean", "min")
        ),
        Metric("accuracy", None, "share", reason=_verdict(found)),
        Metric("max_abs_error", _worst(outputs), "", reason="not finite"),
    ]
    details = {
        "parity": {str(output): _parity(found, result) for output, result in outputs.items()},
        "selftest": dict(found),
    }
    return Measurement(found["artifact"], f"tfjs-{found['backend']}", name, tuple(metrics), details)


def _milliseconds(name: str, value: Any, reason: str) -> Metric:
    if value is not None and not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} is {value!r}")
    return Metric(name, value, "ms", reason=reason)


def _check(item: Mapping[str, Any]) -> dict[str, Any]:
    found = item["details"]["selftest"]
    verdict = Verdict.PASS if found["passed"] is True else Verdict.FAIL
    told = {
        "check": "self-test",
        "verdict": str(verdict),
        "value": None,
        "limit": None,
        "unit": "",
        "reason": _verdict(found),
    }
    return {**{key: item[key] for key in ("artifact", "runtime", "device")}, **told}


def _verdict(found: Mapping[str, Any]) -> str:
    """What stands instead of an accuracy: a page replays the goldens, not the evaluation data."""
    samples, engine = int(found["samples"]), str(found["engine"])[:80]
    if found["passed"] is True:
        return f"self-test on {samples} goldens passed in the page ({engine})"
    worst = _worst(found["outputs"])
    off = "not finite" if worst is None else f"off the server model by {worst:.3g}"
    return f"self-test on {samples} goldens FAILED in the page ({engine}): {off}"


def _worst(outputs: Mapping[str, Any]) -> float | None:
    """The largest difference from the server model; JSON has no infinity, so a page writes null for it."""
    values = [result["maxAbsErrorServer"] for result in outputs.values()]
    return None if None in values or not values else float(max(values))


def _parity(found: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "n": int(found["samples"]),
        "bad": 0,
        "bad_server": 0,
        "reason": "",
        "max_abs_error": result["maxAbsErrorServer"],
        **dict.fromkeys(PARITY),
        "agreement": result["agreement"],
        "agreement_low": None,
        "agreement_high": None,
        "agreement_n": int(found["samples"]),
    }
