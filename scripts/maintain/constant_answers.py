"""How often the gate takes a server model for one that has learned nothing: writes the table of docs/measuring.md.

`python -m scripts.maintain.constant_answers` draws evaluations of models whose skill is known, and judges them by the gate's own
check (a minute on one core).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from edgeship.benchmarks.compare.constant_answers import compare_with_constants
from edgeship.benchmarks.gate.server_checks import judge_skill
from edgeship.types import Verdict
from scripts import ROOT

PAGE = ROOT / "docs" / "measuring.md"
MARKS = ("<!-- constant answers: begin -->\n", "<!-- constant answers: end -->\n")
SIZES = (30, 100, 300, 1000, 3000)
TRIALS = 60
GUESS = -1.0  # in place of a skill: answers drawn by the classes' frequencies
SKILLS = {"always one answer": 0.0, "guesses": GUESS, "skill 10 %": 0.1, "skill 30 %": 0.3}
Array = np.ndarray[Any, Any]
Draw = Callable[[np.random.Generator, int, float], tuple[Array, Array]]


def draw_classes(shares: tuple[float, ...]) -> Draw:
    """Labels (n,) of classes of such shares, the first the most frequent, and the scores (n, C) of a model of a skill.

    It is right on that share of the samples, and gives the most frequent class to the others.
    """

    def draw(generator: np.random.Generator, n: int, skill: float) -> tuple[Array, Array]:
        labels = generator.choice(len(shares), n, p=shares)
        guesses = generator.choice(len(shares), n, p=shares)
        answers = guesses if skill == GUESS else np.where(generator.random(n) < skill, labels, 0)
        return labels, np.eye(len(shares))[answers]

    return draw


def draw_values(generator: np.random.Generator, n: int, skill: float) -> tuple[Array, Array]:
    """Values with heavy tails and a model's answers (n, 1), whose absolute errors are the rest of theirs; or others' values."""
    labels, others = generator.standard_t(3, (2, n, 1))
    return labels, others if skill == GUESS else skill * labels


TASKS: dict[str, tuple[str, Draw]] = {
    "10 classes alike": ("top1", draw_classes((0.1,) * 10)),
    "2 classes, 9 to 1": ("top1", draw_classes((0.9, 0.1))),
    "values": ("mae", draw_values),
}


def simulate(task: str, n: int, skill: float, trials: int, seed: int = 0) -> Counter[Verdict]:
    """The verdicts on so many evaluations of `n` samples each, where nobody has stated what is enough."""
    metric, draw = TASKS[task]
    generator, verdicts = np.random.default_rng(seed), Counter[Verdict]()
    for _ in range(trials):
        labels, outputs = draw(generator, n, skill)
        (answer,) = compare_with_constants({"y": labels}, {"out": outputs}, {"out": metric}).values()
        verdicts[judge_skill(answer, stated=False)] += 1
    return verdicts


def table(trials: int = TRIALS) -> str:
    """The page's table in Markdown: PASS / INCONCLUSIVE / FAIL in percent."""
    lines = ["| evaluation data | server model | " + " | ".join(f"n = {n:,}" for n in SIZES) + " |"]
    lines.append("|---|---|" + "---|" * len(SIZES))
    for task in TASKS:
        for name, skill in SKILLS.items():
            counts = [simulate(task, n, skill, trials) for n in SIZES]
            cells = [
                " / ".join(
                    f"{100 * count[verdict] / trials:.0f}"
                    for verdict in (Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL)
                )
                for count in counts
            ]
            lines.append(f"| {task} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table into the page."""
    written = f"{MARKS[0]}\n{table()}\n{MARKS[1]}"
    before, rest = PAGE.read_text(encoding="utf-8").split(MARKS[0])
    PAGE.write_text(before + written + rest.split(MARKS[1])[1], encoding="utf-8")


if __name__ == "__main__":
    main()
