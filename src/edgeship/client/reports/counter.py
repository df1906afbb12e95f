"""What an app calls: `Counter(...)`, `count` after each inference, `save` now and then, `send` when there is a network."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from bisect import bisect_right
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from edgeship.client.outcome import ClientError
from edgeship.client.reports.counts import to_pairs
from edgeship.client.reports.outbox import Json, Outbox, week_of
from edgeship.client.reports.tensors import ClassCounter, DescriptorCounter

if TYPE_CHECKING:
    from edgeship.client.reports.sending import SendResult

KIND, SCHEMA = "edgeship-profile", 1
MOST_CODES, OTHER = 15, "other"
NOT_FINITE = "not_finite"
TIERS = ("low", "mid", "high", "unknown")
_CODE = re.compile(r"[a-z][a-z0-9_]{0,31}")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Counter:
    """Counts the inferences of one artifact on this device, by calendar week. Nothing is sent but by `send`.

    `profile`: the bundle's `profile.json`. `artifact`: the id of the one that runs. `state`: a folder of the counter's own, which
    several processes may share. `runtime`: what runs it, a short text. `arms`: by experiment, the arm that this device was
    assigned to. `bundle`: the sha256 of the bundle's manifest.json, where it is known. `tier`: `low`, `mid` or `high`; by the
    number of processors where it is not said. A counter is used by one thread.

    Raises ClientError for what can be none.
    """

    def __init__(
        self,
        profile: Path | str,
        *,
        artifact: str,
        state: Path | str,
        runtime: str,
        arms: Mapping[str, str] | None = None,
        bundle: str | None = None,
        tier: str | None = None,
    ) -> None:
        content, digest = read_profile(Path(profile))
        known = content["artifacts"]
        if known.get(artifact) is None:
            raise ClientError(f"{profile}: no artifact '{artifact}' in it; known: {', '.join(sorted(known))}")
        if not re.fullmatch(r"[ -~]{1,64}", runtime):
            raise ClientError(f"runtime must be a text of 1 to 64 ASCII characters, not {runtime[:70]!a}")
        if tier not in (None, *TIERS):
            raise ClientError(f"tier must be one of {', '.join(TIERS)}, not {tier[:60]!a}")
        if bundle is not None and not re.fullmatch(r"[0-9a-f]{64}", bundle):
            raise ClientError(f"bundle must be a sha256 in 64 digits, not {bundle[:70]!a}")
        for name in (*(arms or {}), *(arms or {}).values()):
            _check(name, _NAME, "an arm's name of lower-case letters, digits and '-._'")
        self._identity: Json = {
            "bundle": bundle,
            "artifact": artifact,
            "content": known[artifact],
            "profile": digest,
            "arms": dict(sorted((arms or {}).items())),
            "runtime": runtime,
            "tier": tier or _find_tier(),
        }
        self._outbox = Outbox(Path(state))
        self._latency: list[float] = content["latency"]
        self._classes = [ClassCounter(item) for item in content["outputs"] if item["classes"]]
        self._values = [
            DescriptorCounter(item["name"], item["values"]) for item in content["outputs"] if item["values"]
        ]
        self._inputs = [DescriptorCounter(item["name"], item) for item in content["inputs"]]
        self._before: int | None = None
        self._clear()

    def _clear(self) -> None:
        self._week = week_of(time.time())
        self._week_end = (self._week + 1) * 604_800 + 345_600
        self._n = self._switches = self._fallbacks = 0
        self._class_counts = [item.empty() for item in self._classes]
        self._value_counts = [item.empty() for item in self._values]
        self._input_counts = [item.empty() for item in self._inputs]
        self._latencies: dict[int, int] = {}
        self._errors: dict[str, int] = {}
        self._outcomes: dict[str, dict[int, int]] = {}

    def count(
        self, outputs: Mapping[str, Any], inputs: Mapping[str, Any], *, milliseconds: float | None = None
    ) -> int | None:
        """Count one inference, and return the class that outcomes are about, None where the model has none.

        `outputs`: one sample's, as real numbers (after dequantization), with or without the batch's axis; `inputs`: the float32
        tensors that the contract's steps give, before any quantization. An inference whose scores are not finite counts as an
        error. Raises ClientError for tensors that are not those of the profile.
        """
        if time.time() >= self._week_end:
            self._end_week()
        try:
            found = [item.describe(outputs[item.name]) for item in self._classes]
            described = [item.describe(outputs[item.name]) for item in self._values]
            seen = [item.describe(inputs[item.name]) for item in self._inputs]
        except KeyError as error:
            raise ClientError(f"no tensor {error} was given, and the profile counts one") from error
        for answer in found:
            if answer is None:
                self.error(NOT_FINITE)
                return None
        self._n += 1
        for counter, counts, answer in zip(self._classes, self._class_counts, found, strict=True):
            if answer is not None:
                counter.count(counts, answer)
        for descriptors, histograms, values in zip(
            (*self._values, *self._inputs),
            (*self._value_counts, *self._input_counts),
            (*described, *seen),
            strict=True,
        ):
            descriptors.count(histograms, values)
        if milliseconds is not None:
            place = bisect_right(self._latency, milliseconds)
            self._latencies[place] = self._latencies.get(place, 0) + 1
        return self._count_switch(found[0][0] if found and found[0] else None)

    def _end_week(self) -> None:
        """Save the week that is over; where that cannot be, its counts are dropped, as they belong to no other week."""
        with contextlib.suppress(ClientError):
            self.save()
        self._clear()

    def _count_switch(self, predicted: int | None) -> int | None:
        if predicted is not None:
            self._switches += self._before not in (None, predicted)
            self._before = predicted
        return predicted

    def outcome(self, event: str, predicted: int | None = None) -> None:
        """Count what became of an answer: `accepted`, `corrected`, or a word of the app's own.

        `predicted`: what `count` returned of it. Raises ClientError for a class or word that can be none.
        """
        _check(event, _CODE, "an event of lower-case letters, digits and '_'")
        most = self._classes[0].classes if self._classes else 1
        place = predicted or 0
        if not 0 <= place < most:
            raise ClientError(f"class {predicted} is none of the model's {most}")
        event = event if event in self._outcomes or len(self._outcomes) < MOST_CODES else OTHER
        classes = self._outcomes.setdefault(event, {})
        classes[place] = classes.get(place, 0) + 1

    def error(self, code: str) -> None:
        """Count an inference without a result, by a code such as `out_of_memory`; never a message."""
        _check(code, _CODE, "a code of lower-case letters, digits and '_'")
        code = code if code in self._errors or len(self._errors) < MOST_CODES else OTHER
        self._errors[code] = self._errors.get(code, 0) + 1

    def fallback(self) -> None:
        """Count an answer that something else gave in the model's place."""
        self._fallbacks += 1

    def save(self) -> None:
        """Add what was counted to what the folder keeps. Raises ClientError where it cannot be written; it is counted still."""
        self._outbox.add(self._identity, self._counts(), self._week)
        self._clear()

    def preview(self) -> list[Json]:
        """The reports as they would be sent now, for a person to look at; this week's, too."""
        self.save()
        return self._outbox.preview()

    def send(self, url: str, *, current: bool = False, seconds: float = 20.0) -> SendResult:
        """Send what was counted in weeks that are over, with `current` also this week's. `edgeship.client.reports.sending`."""
        from edgeship.client.reports.sending import send_reports

        self.save()
        self._outbox.seal(None if current else week_of(time.time()))
        return send_reports(self._outbox, url, seconds)

    def __enter__(self) -> Self:
        """The counter."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Save what was counted."""
        self.save()

    def _counts(self) -> Json:
        outputs: Json = {
            item.name: {"kind": "classes", "joint": to_pairs(joint), "margin": margin, "entropy": entropy}
            for item, (joint, margin, entropy) in zip(self._classes, self._class_counts, strict=True)
        }
        for item, histograms in zip(self._values, self._value_counts, strict=True):
            outputs[item.name] = {"kind": "values", "values": histograms}
        return {
            "n": self._n,
            "outputs": outputs,
            "inputs": {item.name: parts for item, parts in zip(self._inputs, self._input_counts, strict=True)},
            "latency": to_pairs(self._latencies),
            "switches": self._switches,
            "errors": dict(sorted(self._errors.items())),
            "fallbacks": self._fallbacks,
            "outcomes": {event: to_pairs(classes) for event, classes in sorted(self._outcomes.items())},
        }


def read_profile(path: Path) -> tuple[Json, str]:
    """The profile and the digest of its file. Raises ClientError where it is none of this client's schema."""
    try:
        text = path.read_bytes()
        content = json.loads(text)
    except OSError as error:
        raise ClientError(f"{path}: {error.strerror}; counting needs the bundle's profile.json") from error
    except (ValueError, RecursionError) as error:
        raise ClientError(f"{path}: not valid JSON") from error
    if not isinstance(content, dict) or (content.get("kind"), content.get("schema")) != (KIND, SCHEMA):
        raise ClientError(f"{path}: no profile of schema {SCHEMA}; update the client, or the bundle")
    return content, hashlib.sha256(text).hexdigest()


def _check(text: str, pattern: re.Pattern[str], expected: str) -> None:
    if pattern.fullmatch(text) is None:
        raise ClientError(f"{text[:60]!a} is not {expected}")


def _find_tier() -> str:
    count = os.cpu_count() or 0
    return "unknown" if not count else "low" if count <= 2 else "mid" if count <= 6 else "high"
