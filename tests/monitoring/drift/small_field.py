"""A small field: the digits of scikit-learn, a linear model, and reports of users with a taste of their own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from edgeship.light_dataclass import dataclass
from edgeship.monitoring.inbox.arrival import KnownBundle, check_report
from edgeship.monitoring.inbox.bundles import BundleProfile
from edgeship.monitoring.inbox.inbox import Inbox
from edgeship.monitoring.inbox.place import parse_store
from edgeship.monitoring.profile.build import Evaluation, build_profile
from edgeship.monitoring.profile.classes import count_answers
from edgeship.monitoring.profile.descriptors import describe_samples
from edgeship.monitoring.profile.edges import count_values
from edgeship.monitoring.profile.profile import Profile, profile_json
from edgeship.monitoring.reports.read import read_report
from edgeship.monitoring.reports.report import Report
from edgeship.monitoring.reports.windows import find_window

ARTIFACT, CONTENT = "tflite/int8", "a" * 64
MONDAY = date(2026, 8, 3)


@dataclass(frozen=True)
class SmallField:
    """Images (n, 8, 8, 1) with their digits, and a model of them."""

    profile: Profile
    body: bytes
    images: np.ndarray[Any, Any]
    digits: np.ndarray[Any, Any]
    model: Any

    def scores(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The model's probabilities (n, 10)."""
        return np.asarray(self.model.predict_proba(images.reshape(len(images), -1)), dtype=np.float32)


def make_field() -> SmallField:
    """The model learns from a third, a third is the evaluation data, and users have the rest."""
    loaded = load_digits()
    images = loaded.images[..., None].astype(np.float32)
    digits = loaded.target
    model = LogisticRegression(max_iter=1000, C=0.002).fit(images[::3].reshape(-1, 64), digits[::3])
    data = images[1::3]
    scores = np.asarray(model.predict_proba(data.reshape(len(data), -1)), dtype=np.float32)
    evaluation = Evaluation(
        "e" * 64, "f" * 64, {ARTIFACT: CONTENT}, lambda: iter([{"image": data}]), {"scores": scores},
        {ARTIFACT: {"scores": scores}}, {"scores": digits[1::3]},
    )  # fmt: skip
    profile = build_profile(evaluation, None)
    return SmallField(profile, json.dumps(profile_json(profile)).encode(), images[2::3], digits[2::3], model)


def window_of(week: int) -> str:
    """The window of the week of that number, from 0 on."""
    return find_window(MONDAY + timedelta(weeks=week))


def make_reports(
    field: SmallField, week: int, users: int, *, noise: float = 0.0, tier_noise: float = 0.0, share: float = 1.0,
    outcomes: float = 0.0, renamed: float = 0.0, seed: int = 0,
) -> list[Report]:  # fmt: skip
    """The reports of a week, of 20 inferences each, of new users.

    `noise`: the deviation of noise on the images, of a `share` of users; `tier_noise`: on those of tier low. `outcomes`: the
    share of inferences that users tell about; `renamed`: of the digit 1 that is a 7 now.
    """
    rng = np.random.default_rng((seed, week))
    reports = []
    for number in range(users):
        taste = rng.gamma(1.0, size=10)
        weight = taste[field.digits]
        chosen = rng.choice(len(field.digits), 20, p=weight / weight.sum())
        tier = ("low", "mid", "mid", "high")[number % 4]
        deviation = noise * (rng.random() < share) + tier_noise * (tier == "low")
        images = field.images[chosen] + rng.normal(0, deviation, (20, 8, 8, 1)).astype(np.float32)
        truth = np.where((field.digits[chosen] == 1) & (rng.random(20) < renamed), 7, field.digits[chosen])
        told = rng.random(20) < outcomes
        install = hashlib.md5(f"{seed} {week} {number}".encode(), usedforsecurity=False).hexdigest()
        reports.append(_make_report(field, week, install, tier, images, truth, told))
    return reports


def _make_report(
    field: SmallField, week: int, install: str, tier: str, images: np.ndarray[Any, Any], truth: np.ndarray[Any, Any],
    told: np.ndarray[Any, Any],
) -> Report:  # fmt: skip
    scores = field.scores(images)
    found = count_answers(scores, field.profile.outputs[0], None)
    source = field.profile.inputs[0]
    described = describe_samples(images, source)
    right = scores.argmax(axis=1) == truth
    outcomes: Mapping[str, list[int]] = {
        name: [0, int(which.sum())]
        for name, which in (("accepted", told & right), ("corrected", told & ~right))
        if which.any()
    }
    content = {
        "schema": 1, "window": window_of(week), "sequence": 0, "install": install, "bundle": None, "artifact": ARTIFACT,
        "content": CONTENT, "profile": hashlib.sha256(field.body).hexdigest(), "arms": {}, "runtime": "LiteRT 2.3",
        "tier": tier, "n": len(images), "latency": [30, len(images)], "switches": 0, "errors": {}, "fallbacks": 0,
        "outputs": {"scores": {"kind": "classes", "joint": found.joint, "margin": found.margin, "entropy": found.entropy}},
        "inputs": {"image": [count_values(described[:, place], item.edges) for place, item in enumerate(source.descriptors)]},
        "outcomes": outcomes,
    }  # fmt: skip
    return read_report(json.dumps(content).encode())


def fill_inbox(
    field: SmallField, store: Path | str, weeks: Mapping[int, list[Report]], days_late: int = 0
) -> Path | str:
    """An inbox with reports that arrived on the Monday after their week, or so many days later."""
    import msgspec

    known = {hashlib.sha256(field.body).hexdigest(): KnownBundle(field.profile, frozenset())}
    with Inbox(parse_store(str(store)), create=True) as inbox:
        inbox.add_profiles([BundleProfile(field.body)])
        for week, reports in weeks.items():
            day = MONDAY + timedelta(weeks=week + 1, days=days_late)
            received = (day.toordinal() - date(1970, 1, 1).toordinal()) * 86_400
            inbox.add([check_report(msgspec.json.encode(report), known, received) for report in reports])
    return store
