"""What the gate decided of a bundle: its checks, and the verdict that they give together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Self

from edgeship.bundle.metric import Count, Figure
from edgeship.light_dataclass import dataclass
from edgeship.types import Verdict


@dataclass(frozen=True)
class Check:
    """One decision. `value` and `limit` are in `unit`; both None where the reason says it all.

    `samples_needed`: about how many samples would decide what `samples` do not.
    """

    artifact: str
    runtime: str
    check: str
    verdict: Verdict
    value: Figure | None = None
    limit: Figure | None = None
    unit: str = ""
    reason: str = ""
    device: str = ""
    samples: Count | None = None
    samples_needed: Count | None = None


@dataclass(frozen=True)
class ArtifactReason:
    """An artifact that was not made or not judged, and why."""

    artifact: str
    reason: str


@dataclass(frozen=True)
class FailedArtifact:
    """An artifact that was asked for and could not be made, or not run when it was made.

    `step`: what was being done (`export`, `convert`, `calibrate`, `quantize`, `check`, `run`). `layers`: the Keras layers that
    it failed at, as far as they are known. `advice`: what to try instead.
    """

    artifact: str
    step: str
    reason: str
    layers: tuple[str, ...] = ()
    advice: str = ""

    @property
    def text(self) -> str:
        """Why there is none, where, and what to try."""
        unnamed = [layer for layer in self.layers if f"'{layer}'" not in self.reason]
        where = f" (layer {', '.join(map(repr, unnamed))})" if unnamed else ""
        return f"{self.reason}{where}" + (f"; {self.advice}" if self.advice else "")


@dataclass(frozen=True)
class Recommendation:
    """The artifact to ship to a `target` (apps, servers, pages), and why it rather than the others of its format."""

    target: str
    artifact: str
    reason: str


@dataclass(frozen=True)
class GateResult:
    """The verdict, every check behind it, the artifacts that were not judged, and the budget as JSON.

    `unknown_origin`: artifacts that edgeship did not make, judged by their figures alone. `recommended`: one per target, of
    those that pass. `remarks`: what an artifact costs more than float32 without gaining. `next_steps`: what to do about what
    did not pass, the most telling first.
    """

    verdict: Verdict
    checks: tuple[Check, ...] = ()
    not_judged: tuple[ArtifactReason, ...] = ()
    budget: Mapping[str, Any] = field(default_factory=dict)
    unknown_origin: tuple[str, ...] = ()
    recommended: tuple[Recommendation, ...] = ()
    remarks: tuple[ArtifactReason, ...] = ()
    next_steps: tuple[str, ...] = ()

    def with_check(self, check: Check) -> Self:
        """The same with one check of the whole bundle more, and the verdict with it.

        Where it does not pass nothing is recommended, and where it fails no other step mends that.
        """
        verdict = combine_verdicts([Check("", "", "", self.verdict), check]) or self.verdict
        result = replace(self, verdict=verdict, checks=(check, *self.checks))
        if check.verdict is Verdict.PASS:
            return result
        steps = () if check.verdict is Verdict.FAIL else self.next_steps
        return replace(result, recommended=(), next_steps=steps)

    def verdict_on(self, artifact: str, runtime: str = "") -> Verdict | None:
        """The verdict on an artifact (on one runtime, with what holds for it everywhere); None: not judged."""
        return combine_verdicts(
            [c for c in self.checks if c.artifact == artifact and (not runtime or c.runtime in ("", runtime))]
        )


def combine_verdicts(checks: Sequence[Check]) -> Verdict | None:
    """FAIL if any check fails, else INCONCLUSIVE if any is, else PASS; None without checks."""
    verdicts = {check.verdict for check in checks}
    for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS):
        if verdict in verdicts:
            return verdict
    return None
