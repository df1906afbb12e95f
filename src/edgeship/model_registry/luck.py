"""Whether a gain was luck: how often its evaluation data was used to choose, and what chance alone would give."""

from __future__ import annotations

from collections.abc import Sequence

from edgeship.light_dataclass import dataclass
from edgeship.model_registry.paired import Answers, PairedFigure, compare_models
from edgeship.model_registry.store import Store
from edgeship.model_registry.version import Promotion, Version

METHOD = (
    "one-sided test of paired answers (McNemar's exact one of right answers, else swaps of answers at random), times the "
    "number of candidates (Bonferroni)"
)


@dataclass(frozen=True)
class Luck:
    """A version's gain over the version `against`, and what chance has to do with it.

    `candidates` versions were evaluated on the same data, beside the one that it is compared with; the data decided
    `promotions` times. `figure` is the pair that is looked at; `p` its one-sided p-value, `corrected` that for the best of so
    many candidates; None with a `reason`.
    """

    candidates: int
    promotions: int
    against: int | None = None
    figure: PairedFigure | None = None
    p: float | None = None
    corrected: float | None = None
    method: str = METHOD
    reason: str = ""


def assess_luck(store: Store, version: Version, rows: Sequence[Version], promotions: Sequence[Promotion]) -> Luck:
    """`rows`: all versions of the registry, of every name; `promotions`: those of this name.

    Compared is the artifact that stands for the version (`VersionRecord.artifact`), and without answers of it the server models.
    """
    use = version.record.evaluation
    if use is None:
        return Luck(0, 0, reason="it was not evaluated")
    same = [row for row in rows if row.record.evaluation and row.record.evaluation.digest == use.digest]
    mine = [row for row in same if row.name == version.name]
    decided = sum(item.evaluation == use.digest for item in promotions)
    against = _baseline(version, mine, promotions)
    candidates = len(same) - (against is not None)
    if against is None:
        return Luck(candidates, decided, reason="no other version was evaluated on the same data")
    figure = _compare(store, against, version)
    if figure.p is None:
        return Luck(candidates, decided, against.number, figure, reason=figure.reason or "there is no figure")
    return Luck(candidates, decided, against.number, figure, figure.p, correct(figure.p, candidates))


def correct(p: float, candidates: int) -> float:
    """The p-value of the best of so many candidates, whatever they have in common (Bonferroni)."""
    return min(1.0, p * max(candidates, 1))


def _baseline(version: Version, mine: Sequence[Version], promotions: Sequence[Promotion]) -> Version | None:
    """What a version has to be better than: the champion that it followed, else the present one, else the version before."""
    numbers = {row.number: row for row in mine if row.number != version.number}
    followed = next((item.champion for item in reversed(promotions) if item.version == version.number), None)
    champion = next((row.number for row in mine if "champion" in row.aliases), None)
    earlier = max((number for number in numbers if number < version.number), default=None)
    return next((numbers[number] for number in (followed, champion, earlier) if number in numbers), None)


def _compare(store: Store, against: Version, version: Version) -> PairedFigure:
    before, after = Answers(store, against), Answers(store, version)
    pair = against.record.artifact, version.record.artifact
    if not (before.holds(pair[0]) and after.holds(pair[1])):
        pair = "server", "server"
    rows = compare_models(before, after, pair, p_values=True)
    return max(rows, key=lambda row: 1.0 if row.p is None else row.p)
