"""How many evaluation samples a margin needs, by the gate's own interval: writes the table of docs/data.md.

`python -m scripts.maintain.evaluation_samples` writes it (a quarter of a minute); `--check` simulates every cell besides.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence

import numpy as np

from edgeship.benchmarks.compare.statistics import Z95, non_inferior, paired_difference
from edgeship.types import Verdict
from scripts import ROOT

PAGE = ROOT / "docs" / "data.md"
MARKS = ("<!-- samples: begin -->\n", "<!-- samples: end -->\n")
POWER = 0.9
Z_POWER = 1.2815515655446004  # the normal distribution's 90 % point
MARGINS = (0.005, 0.01, 0.02)
DISAGREEMENTS = (0.0, 0.01, 0.03, 0.05, 0.1)
TRIALS = 2000


def passes(lost: int, gained: int, n: int, margin: float) -> bool:
    """Whether the gate's accuracy check says PASS: `lost` of `n` samples are right only with the server model."""
    drop = paired_difference(lost, gained, n)
    return non_inferior(drop.low, drop.high, margin) is Verdict.PASS


def pass_probability(n: int, disagreement: float, margin: float) -> float:
    """How likely `n` samples give PASS where both models are right equally often, summed over all that can happen.

    `disagreement` is the share of samples on which one is right and the other wrong, `margin` a share too.
    """
    from scipy.stats import binom

    low, high = (int(binom.ppf(tail, n, disagreement)) for tail in (1e-7, 1 - 1e-7))
    counts = np.arange(low, high + 1)
    most: list[int] = []
    lost = low // 2
    for count in range(low, high + 1):
        # The most losses that still pass hardly change from one number of disagreements to the next.
        while lost < count and passes(lost + 1, count - lost - 1, n, margin):
            lost += 1
        while lost >= 0 and not passes(lost, count - lost, n, margin):
            lost -= 1
        most.append(lost)
    return float((binom.pmf(counts, n, disagreement) * binom.cdf(most, counts, 0.5)).sum())


def samples_for(disagreement: float, margin: float) -> int:
    """The number of samples, in two digits, from which on PASS is at least 90 % likely where there is no drop.

    The search begins at r * ((1.96 + 1.28) / margin)^2: the interval's half-width is 1.96 * sqrt(r / n), and the drop
    that is seen varies by sqrt(r / n) itself. Where few samples disagree more are needed.
    """
    begin = max(10, disagreement * ((Z95 + Z_POWER) / margin) ** 2)
    found = 0
    for n in _two_digits(begin):
        enough = pass_probability(n, disagreement, margin) >= POWER
        found = (found or n) if enough else 0
        if found and n > 1.3 * found:  # counts are whole: a few samples more can be less likely to pass
            return found
    raise AssertionError("the numbers have no end")


def _two_digits(begin: float) -> Iterator[int]:
    """Numbers of two significant digits, upwards."""
    n = begin
    while True:
        step = 10 ** (math.floor(math.log10(n)) - 1)
        n = math.ceil(n / step - 1e-9) * step
        yield int(n)
        n += step


def simulate(n: int, disagreement: float, margin: float, trials: int, seed: int = 0) -> float:
    """The share of `trials` evaluations of `n` samples in which the gate says PASS, models drawn without a true drop."""
    shares = (disagreement / 2, disagreement / 2, 1 - disagreement)
    drawn = np.random.default_rng(seed).multinomial(n, shares, size=trials)
    pairs, times = np.unique(drawn[:, :2], axis=0, return_counts=True)
    passed = [passes(int(lost), int(gained), n, margin) for lost, gained in pairs]
    return float(times[passed].sum() / trials)


def table(margins: Sequence[float] = MARGINS, disagreements: Sequence[float] = DISAGREEMENTS) -> str:
    """The page's table in Markdown."""
    heads = [f"{share * 100:g} %" for share in disagreements]
    lines = ["| margin | " + " | ".join(f"r = {head}" for head in heads) + " |", "|---|" + "---|" * len(heads)]
    for margin in margins:
        cells = [f"{samples_for(share, margin):,}" for share in disagreements]
        points = "point" if margin == 0.01 else "points"
        lines.append(f"| {margin * 100:g} {points} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table into the page, or check it by simulation."""
    if "--check" in sys.argv[1:]:
        for margin in MARGINS:
            for share in DISAGREEMENTS:
                n = samples_for(share, margin)
                exact, drawn = pass_probability(n, share, margin), simulate(n, share, margin, TRIALS)
                print(
                    f"margin {margin:.1%}, r {share:.0%}: n {n:6,}, PASS {exact:.1%}, in {TRIALS:,} simulated {drawn:.1%}"
                )
        return
    before, rest = PAGE.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    PAGE.write_text(before + MARKS[0] + "\n" + table() + "\n" + MARKS[1] + after, encoding="utf-8")


if __name__ == "__main__":
    main()
