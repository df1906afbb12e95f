"""`edgeship verify`: replay a bundle's goldens through every runtime that is present."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeship import goldens
from edgeship.bundle import Bundle
from edgeship.data import Batch
from edgeship.errors import EdgeshipError
from edgeship.runtimes import registry
from edgeship.runtimes.session import open_session
from edgeship.types import Artifact


@dataclass(frozen=True)
class Replay:
    """One artifact on one runtime: `worst` is the largest error over its tolerance, None where it did not run."""

    artifact: str
    runtime: str
    passed: bool
    worst: float | None
    reason: str = ""
    optional: bool = False


def replay(bundle: Bundle) -> list[Replay]:
    """Replay the goldens of every artifact; an artifact that no runtime could replay is not passed.

    An artifact that the bundle's budget lists as optional may be left out, and is marked so.
    """
    inputs = goldens.read(bundle.root / "goldens", "inputs")
    budget = bundle.manifest["config"]["budget"]
    replays = []
    for artifact in bundle.artifacts:
        optional = any(fnmatch.fnmatch(artifact.id, pattern) for pattern in budget.get("optional", ()))
        fitting = [item for item in registry.for_format(artifact.format) if not item.refuses(artifact)]
        present = [runtime for runtime in fitting if not runtime.unavailable()]
        told = bundle.manifest["goldens"]["artifacts"][artifact.id]
        if not present or told["runtime"] is None:
            reason = registry.for_format(artifact.format)[0].unavailable() or "it was not run when the bundle was made"
            replays.append(Replay(artifact.id, "", False, None, f"not replayed: {reason}", optional))
            continue
        own = goldens.read(bundle.root / "goldens", artifact.id)
        replays += [replay_artifact(artifact, runtime.name, inputs, own, told) for runtime in present]
    return replays


def replay_artifact(
    artifact: Artifact, runtime: str, inputs: Batch, expected: Batch, golden: Mapping[str, Any]
) -> Replay:
    """Run `inputs` through an artifact and compare with the `expected` outputs, as far as `golden` allows.

    `golden`: the manifest's entry, `golden_runs.GoldenRun` as JSON.
    """
    try:
        with open_session(runtime, artifact.path) as session:
            outputs = session.run(inputs)
    except EdgeshipError as error:
        return Replay(artifact.id, runtime, False, None, str(error))
    worst, reason = 0.0, ""
    for name, wanted in expected.items():
        if outputs[name].shape != wanted.shape:
            return Replay(
                artifact.id,
                runtime,
                False,
                None,
                f"output '{name}' has shape {outputs[name].shape}, not {wanted.shape}",
            )
        distance = goldens.distance(outputs[name], wanted)
        allowed = golden["tolerance"][name]
        share = distance / allowed
        clear = (golden.get("clear") or {}).get(name, [])  # earlier bundles name none
        if not share <= 1:
            reason = f"output '{name}' is off by {distance:.3g}, allowed are {allowed:.3g}"
        elif changed := int((outputs[name][clear].argmax(-1) != wanted[clear].argmax(-1)).sum()) if clear else 0:
            reason = f"output '{name}' gives another answer for {changed} of {len(clear)} samples whose answer is clear"
        worst = max(worst, share) if np.isfinite(share) else float("1e9")
    return Replay(artifact.id, runtime, not reason, worst, reason)


def print_replays(replays: list[Replay]) -> None:
    """A table on standard output."""
    from rich.text import Text

    from edgeship.terminal import Column, console, table
    from edgeship.untrusted import shown

    out = console()
    columns = [Column("artifact", folds=True), Column("runtime", folds=True), Column("goldens")]
    columns += [Column("error / tolerance", right=True), Column("why", folds=True)]
    body: list[list[str | Text]] = []
    for item in replays:
        verdict, style = (
            ("match", "green") if item.passed else ("optional", "yellow") if item.optional else ("FAIL", "red")
        )
        share = "-" if item.worst is None else f"{item.worst:.2g}"
        body.append(
            [*shown([item.artifact, item.runtime or "-"]), Text(verdict, style=style), share, shown(item.reason)]
        )
    legend = "error / tolerance: the largest error of an output, as a share of what it may be off; 1 or less is a match"
    out.print(table(columns, body, out.width), Text(legend, style="dim"), sep="\n")
