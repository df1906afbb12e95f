"""Which version is out there: an alias moves only where the gate's comparison with the present champion holds."""

from __future__ import annotations

import math
from collections.abc import Iterator

from edgeship.benchmarks.compare.statistics import LEAST_SAMPLES, judge_drop
from edgeship.benchmarks.gate.budget import Budget
from edgeship.bundle.manifest import Manifest
from edgeship.bundle.metric import number_texts
from edgeship.errors import CheckError, InputError
from edgeship.light_dataclass import dataclass
from edgeship.model_registry.adding import time_now, user_name
from edgeship.model_registry.paired import Answers, PairedFigure, compare_models, recommended_pairs
from edgeship.model_registry.store import Store
from edgeship.model_registry.version import Promotion, Version
from edgeship.settings.config import Config
from edgeship.types import Verdict
from edgeship.untrusted import printable

CLAIMS = ("not-worse", "better")
REFUSAL = "edgeship.refusal"  # the tag of a version: why it was refused as a challenger
WITHIN = "within-margin"  # what was seen is no worse than the margin, which proves nothing; for nothing that an alias points to
LONGEST = 1000  # characters of why


@dataclass(frozen=True)
class Finding:
    """Whether a version may take the champion's place, in one respect, and why."""

    holds: bool
    reason: str


def promote_version(
    store: Store, version: Version, alias: str, why: str, claim: str = CLAIMS[0], *, despite_refusal: bool = False
) -> Promotion:
    """Point `alias` to a version, if it passes its gate and is not worse than the champion (or better, where that is claimed).

    `despite_refusal`: also one that was refused as a challenger, as by `edgeship retrain`. Raises CheckError where that does not
    hold or cannot be decided, InputError for a version that the alias points to already.
    """
    why = _check_why(why)
    with store.writing():
        aliases = store.aliases(version.name)
        if aliases.get(alias) == version.number:
            raise InputError(f"version {version.number} of {version.name} is {alias} already")
        if version.record.verdict != Verdict.PASS:
            verdict = version.record.verdict or "not judged"
            raise CheckError(f"version {version.number} of {version.name} is {verdict}: only a PASS is promoted")
        refusal = store.read_tags(version.name, REFUSAL).get(version.number)
        if refusal and not despite_refusal:
            raise CheckError(
                f"version {version.number} of {version.name} was refused as a challenger ({printable(refusal)}); "
                "--despite-refusal promotes it nevertheless"
            )
        champion = aliases.get("champion")
        findings: list[Finding] = []
        if champion is not None and champion != version.number:
            findings = list(compare_with_champion(store, store.version(version.name, str(champion)), version, claim))
        elif claim == CLAIMS[1]:
            raise CheckError(f"there is no other champion of {version.name} to be better than")
        if refused := [item.reason for item in findings if not item.holds]:
            message = f"version {version.number} is not promoted over champion {champion}: {'; '.join(refused)}"
            error = CheckError(message)
            error.reasons = tuple(item.reason for item in findings)
            raise error
        promotion = Promotion(
            entry=0,
            alias=alias,
            version=version.number,
            previous=aliases.get(alias),
            who=user_name(),
            when=time_now(),
            why=why,
            champion=champion,
            claim=claim,
            evaluation=version.record.evaluation.digest if version.record.evaluation else "",
            reasons=tuple(item.reason[:500] for item in findings[:6]),
        )
        return store.record_promotion(version.name, promotion)


def roll_back(store: Store, name: str, alias: str, why: str) -> Promotion:
    """Point `alias` to the version that it pointed to before the present one came.

    Raises InputError where it points nowhere, or to its first version.
    """
    why = _check_why(why)
    with store.writing():
        now, stack = store.aliases(name).get(alias), version_stack(store.promotions(name), alias)
        if now is None:
            raise InputError(f"{name} has no {alias}; `edgeship registry promote VERSION --to {alias}` makes one")
        if len(stack) < 2 or stack[-1] != now:
            raise InputError(f"{name}: {alias} is version {now}, and none is known that was it before")
        promotion = Promotion(
            entry=0,
            alias=alias,
            version=stack[-2],
            previous=now,
            who=user_name(),
            when=time_now(),
            why=why,
            rollback=True,
        )
        return store.record_promotion(name, promotion)


def version_stack(promotions: list[Promotion], alias: str) -> list[int]:
    """The versions that an alias pointed to, without those that were rolled back; the present one is the last."""
    stack: list[int] = []
    for item in promotions:
        if item.alias != alias:
            continue
        if item.previous is not None and (not stack or stack[-1] != item.previous):
            stack.append(item.previous)  # it was changed by other means
        if item.rollback:
            stack.pop()
        if not stack or stack[-1] != item.version:
            stack.append(item.version)
    return stack


def compare_with_champion(store: Store, champion: Version, version: Version, claim: str) -> Iterator[Finding]:
    """A finding for each labelled output of each target that the champion has an artifact for (apps, servers, pages)."""
    before, after = Answers(store, champion), Answers(store, version)
    pairs = list(recommended_pairs(before.manifest, after.manifest))
    if not pairs:
        yield Finding(False, "the champion recommends no artifact, so that there is nothing to compare with")
    for target, one, two in pairs:
        if two is None:
            yield Finding(False, f"it has nothing to ship to {target}, where the champion has {one}")
            continue
        for figure in compare_models(before, after, (one, two)):
            yield _judge(target, figure, before.manifest, after.manifest, claim)


def _judge(target: str, figure: PairedFigure, before: Manifest, after: Manifest, claim: str) -> Finding:
    who = f"{target} ({figure.before if figure.before == figure.after else f'{figure.before} -> {figure.after}'})"
    if figure.same:
        return Finding(claim != CLAIMS[1], f"{who}: the same file as the champion's")
    if figure.gain is None or figure.low is None or figure.high is None or figure.value_before is None:
        return Finding(False, f"{who}: cannot be decided, {figure.reason or 'there is no interval'}")
    told = f"{who}: {_gain_text(figure)}"
    if claim == CLAIMS[1]:
        holds = figure.low > 0 and figure.n >= LEAST_SAMPLES
        return Finding(holds, f"{told}, {'better' if holds else 'not surely better'}")
    margin = strictest_margin(figure, before, after)
    if margin is None:
        return Finding(
            False, f"{who}: cannot be decided, as no budget gives a margin (accuracy or max_drop in [budget])"
        )
    if claim == WITHIN:
        holds = figure.gain >= -margin and figure.n >= LEAST_SAMPLES
        return Finding(holds, f"{told}, margin {_scaled(figure, margin)}: {'within' if holds else 'beyond'} it")
    verdict = judge_drop(-figure.high, -figure.low, margin, figure.n, figure.at_least_loss)
    words = {Verdict.PASS: "not worse", Verdict.FAIL: "worse", Verdict.INCONCLUSIVE: "cannot be decided"}
    return Finding(verdict is Verdict.PASS, f"{told}, margin {_scaled(figure, margin)}: {words[verdict]}")


def strictest_margin(figure: PairedFigure, before: Manifest, after: Manifest) -> float | None:
    """What may be lost to the champion, in the metric's unit: the less of what both bundles' budgets allow to their artifacts."""
    margins = []
    for manifest, artifact in ((before, figure.before), (after, figure.after)):
        settings = Config.restore(manifest.config)
        budget = Budget.parse(settings.budget, settings.source).for_artifact(artifact)
        margins.append(budget.margin(figure.value_before or 0.0, figure.share))
    return min((item for item in margins if item is not None and math.isfinite(item)), default=None)


def _gain_text(figure: PairedFigure) -> str:
    scale = 100 if figure.share else 1
    unit = " points" if figure.share else ""
    values = [scale * (value or 0.0) for value in (figure.gain, figure.low, figure.high)]
    gain, low, high = number_texts(*values, digits=3, sign="+")
    return f"{figure.metric} {gain}{unit} (95 % interval {low} to {high}, {figure.n:,} samples)"


def _scaled(figure: PairedFigure, value: float) -> str:
    return f"{100 * value:.3g}" if figure.share else f"{value:.3g}"


def _check_why(why: str) -> str:
    text = " ".join(why.split())
    if not text or len(text) > LONGEST:
        raise InputError(f"--why must say in 1 to {LONGEST:,} characters why")
    return text
