"""Judge a bundle's manifest by its budget. Fails closed: what was not measured, or is not a number, is no pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from edgeship.benchmarks.gate import checks, device_checks
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.checks import Check, JudgedMeasurement
from edgeship.settings.config import Config
from edgeship.types import Verdict, to_json

Json = Mapping[str, Any]


@dataclass(frozen=True)
class GateResult:
    """The verdict, every check behind it, and the artifacts that were not judged: `{"artifact", "reason"}`."""

    verdict: Verdict
    checks: tuple[Check, ...]
    not_judged: tuple[Mapping[str, str], ...] = ()
    budget: Json = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The `gate` entry of a manifest."""
        result: dict[str, Any] = to_json(self)
        return result

    def of(self, artifact: str, runtime: str = "") -> Verdict | None:
        """The verdict on an artifact (on one runtime, with what holds for it everywhere); None: not judged."""
        return overall(
            [c for c in self.checks if c.artifact == artifact and (not runtime or c.runtime in ("", runtime))]
        )


def overall(found: Sequence[Check]) -> Verdict | None:
    """FAIL if any check fails, else INCONCLUSIVE if any is, else PASS; None without checks."""
    verdicts = {check.verdict for check in found}
    for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS):
        if verdict in verdicts:
            return verdict
    return None


def judge(manifest: Json, budget: Budget) -> GateResult:
    """The verdict on all artifacts of a manifest (its shape: see `edgeship.bundle.bundle`).

    Of each measurement's `details` it reads `parity` (`parity.compare`), `accuracy` (`accuracy.measure`) and
    `latency_ratio` (`latency.ratio` with `against`). A metric without value counts as its reason says: "not run: ..."
    where the runtime is not installed, "unstable: ..." where the machine was too busy. Nothing judged at all is FAIL.
    """
    found: list[Check] = list(checks.server(manifest, budget))
    not_judged: list[Mapping[str, str]] = [
        {"artifact": item["artifact"], "reason": f"not made: {item['reason']}"} for item in manifest.get("skipped", [])
    ]
    artifacts = list(manifest.get("artifacts", []))
    for artifact in artifacts:
        judged, unjudged = _artifact(manifest, artifact, budget)
        found += judged
        not_judged += unjudged
    found += _required(manifest, budget, not_judged)
    not_judged += _strayed(manifest, budget)
    found += device_checks.required(manifest, budget)
    found += device_checks.uncounted(manifest, budget)
    if not any(check.artifact for check in found):
        found.append(Check("", "", "artifacts", Verdict.FAIL, reason=_nothing(artifacts)))
    return GateResult(overall(found) or Verdict.FAIL, tuple(found), tuple(not_judged), to_json(budget))


def judged_again(manifest: Json) -> dict[str, Any]:
    """A bundle's manifest with the verdict that its figures give by its own budget: the one that it holds is a claim.

    One that holds none stays without. Raises InputError where its configuration is none.
    """
    if not manifest.get("gate"):
        return dict(manifest)
    settings = Config.restore(manifest.get("config"))
    return {**manifest, "gate": judge(manifest, Budget.parse(settings.budget, settings.source)).as_json()}


def _nothing(artifacts: Sequence[Json]) -> str:
    return "none of the artifacts was judged" if artifacts else "the bundle holds no artifact"


def _artifact(manifest: Json, artifact: Json, budget: Budget) -> tuple[list[Check], list[Mapping[str, str]]]:
    name = artifact["id"]
    mine = [item for item in manifest.get("measurements", []) if item["artifact"] == name]
    idle = list(filter(_idle, mine))
    active = [item for item in mine if item not in idle]
    telling = [item for item in mine if item in active or "content" in item["details"]]
    found = [checks.origin(manifest, artifact, telling), *checks.sizes(name, mine, budget.of(name))]
    decided = not all(map(device_checks.partial, active))
    for item in active:
        subject, device = JudgedMeasurement(manifest, artifact, item, budget.of(name)), device_checks.is_one(item)
        found += device_checks.measurement(subject, decided=decided) if device else checks.measurement(subject)
    if active:
        return [*found, *device_checks.untimed(manifest, artifact, active, budget.of(name))], device_checks.left_out(
            idle
        )
    reason = "; ".join(dict.fromkeys(map(_why_idle, idle))) or "it was never measured"
    if idle and any(fnmatchcase(name, pattern) for pattern in budget.optional):
        # Size and origin hold without a runtime; a failure there is still one.
        failed = [check for check in found if check.verdict is not Verdict.PASS]
        return failed, [{"artifact": name, "reason": f"not run: {reason}"}]
    return [*found, Check(name, "", "runs", Verdict.FAIL, reason=f"not run: {reason}")], []


def _strayed(manifest: Json, budget: Budget) -> list[Mapping[str, str]]:
    """Overrides that no artifact matches: nothing is judged by them, which a misspelt name should not hide."""
    made = [item["id"] for item in manifest.get("artifacts", [])]
    known = [*made, *(item["artifact"] for item in manifest.get("skipped", []))]
    return [
        {
            "artifact": pattern,
            "reason": f"its limits in [budget] hold for no artifact here: {', '.join(made) or 'none'}",
        }
        for pattern in budget.overrides
        if not any(fnmatchcase(name, pattern) for name in known)
    ]


def _idle(item: Json) -> bool:
    """Whether nothing ran: its runtime is not installed, its device could not, or only estimates."""
    return bool(checks.not_run(item)) or device_checks.idle(item) or device_checks.estimated(item)


def _why_idle(item: Json) -> str:
    if device_checks.is_one(item):
        return f"{item['device']}: {item['details']['cell']['reason'] or 'it only estimates'}"
    return f"{item['runtime']}: {checks.not_run(item)}"


def _required(manifest: Json, budget: Budget, not_judged: Sequence[Mapping[str, str]]) -> list[Check]:
    """A failed check for each required artifact (on its runtime) that is not there or did not run."""
    found = []
    unjudged = {item["artifact"]: item["reason"] for item in not_judged}
    made = {item["id"] for item in manifest.get("artifacts", [])}  # figures may be left of what is there no longer
    for wanted in budget.required:
        name, _, runtime = wanted.partition("@")
        ran = [
            item
            for item in manifest.get("measurements", [])
            if item["artifact"] == name and name in made and not _idle(item) and runtime in ("", item["runtime"])
        ]
        if not ran:
            plain = f"did not run on {runtime}" if runtime else "is not in the bundle, or did not run"
            reason = f"required, but {unjudged.get(name, plain)}"
            found.append(Check(name, runtime, "required", Verdict.FAIL, reason=reason))
    return found
