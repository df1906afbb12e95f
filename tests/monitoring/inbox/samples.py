"""A bundle with a profile of 3 classes, and reports of it."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

from edgeship.bundle.bundle import MANIFEST
from edgeship.monitoring.profile.profile import Descriptor, Profile, ProfileInput, ProfileOutput, profile_json
from edgeship.monitoring.reports.windows import find_window
from tests.deploy.channel.bundles import write_bundle
from tests.hostile.bundles import sealed_bundle

Json = dict[str, Any]
EDGES = (0.5, 0.9)
IMAGE = ("mean", "deviation", "low", "high", "step")
ARTIFACT = "tflite/int8"


def write_bundle_with_profile(root: Path, number: int = 1) -> Path:
    """Nothing of it could run; clients can count by it."""
    write_bundle(root, number)
    manifest = json.loads((root / MANIFEST).read_bytes())
    manifest.pop("digest")
    contents = {item["id"]: item["content"] for item in manifest["artifacts"]}
    (root / "profile.json").write_text(json.dumps(profile_json(make_profile(contents))))
    sealed_bundle.seal(root, manifest)
    return root


def make_profile(artifacts: dict[str, str | None]) -> Profile:
    return Profile(
        server_model="f" * 64,
        artifacts=artifacts,
        data="e" * 64,
        samples=10,
        latency=tuple(round(0.1 * 1.1**place, 6) for place in range(135)),
        inputs=(ProfileInput("image", "image", tuple(Descriptor(name, EDGES) for name in IMAGE)),),
        outputs=(ProfileOutput("scores", classes=3, confidence=EDGES, margin=EDGES, entropy=EDGES),),
        answers={},
        not_counted={},
    )


def report_of(bundle: Path, number: int = 0, /, *, window: str | None = None, **fields: Any) -> Json:
    """The report of the installation of that number."""
    content = (bundle / "profile.json").read_bytes()
    n = 20 + number % 7
    low = number % 5
    return {
        "schema": 1,
        "window": window or this_week(),
        "sequence": 0,
        "install": hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest(),
        "bundle": None,
        "artifact": ARTIFACT,
        "content": json.loads(content)["artifacts"][ARTIFACT],
        "profile": hashlib.sha256(content).hexdigest(),
        "arms": {},
        "runtime": "LiteRT 2.3",
        "tier": ("low", "mid", "high")[number % 3],
        "n": n,
        "outputs": {
            "scores": {"kind": "classes", "joint": [1, 5, 8, n - 5], "margin": [low, 0, n - low], "entropy": [n, 0, 0]}
        },
        "inputs": {"image": [[n, 0, 0, 0], *[[low, n - low, 0, 0]] * 4]},
        "latency": [31, 2, 32, 3],
        "switches": 2,
        "errors": {"out_of_memory": 1},
        "fallbacks": number % 2,
        "outcomes": {"accepted": [0, 2], "bought": [1, 1]},
        **fields,
    }  # fmt: skip


def this_week() -> str:
    from datetime import UTC, datetime

    return find_window(datetime.now(UTC).date())


def to_line(report: Json) -> bytes:
    return json.dumps(report, separators=(",", ":")).encode()


def mix_traffic(bundle: Path, count: int, seed: int) -> tuple[list[bytes], set[str], dict[str, int]]:
    """Lines as they arrive: `count` reports, 30 % of them twice or more, and of each hundred one each forged and bad.

    Returns the lines shuffled, the installations whose reports are valid and undisputed, and how many lines there are of each
    kind.
    """
    chance = random.Random(seed)
    reports = [report_of(bundle, number) for number in range(count)]
    lines = [to_line(report) for report in reports]
    few = max(1, count // 100)
    forged_at = set(chance.sample(range(count), few))
    forged = [to_line({**reports[at], "switches": 3}) for at in forged_at]
    kinds = {
        "twice": chance.choices(lines, k=int(0.3 * count)),
        "forged": forged,
        "truncated": [line[: chance.randrange(1, len(line))] for line in chance.choices(lines, k=few)],
        "sums": [to_line({**report, "n": report["n"] + 1}) for report in chance.choices(reports, k=few)],
        "unknown": [to_line({**report, "profile": "9" * 64}) for report in chance.choices(reports, k=few)],
        "bins": [to_line({**report, "latency": [136, 1]}) for report in chance.choices(reports, k=few)],
        "window": [to_line({**report, "window": "2020-W01"}) for report in chance.choices(reports, k=few)],
    }
    every = [*lines, *(line for found in kinds.values() for line in found)]
    chance.shuffle(every)
    good = {report["install"] for at, report in enumerate(reports) if at not in forged_at}
    return every, good, {kind: len(found) for kind, found in kinds.items()}
