"""What is asked of a retraining."""

from __future__ import annotations

from dataclasses import field
from datetime import UTC, datetime
from pathlib import Path

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass

FINE_TUNE = "fine-tune"
REPLAY_LEAST, REPLAY_TIMES = 8000, 16  # of old samples beside the labelled ones; the more of both counts
POOL_SHARE = (
    4  # labelled samples are repeated until they are about a fifth of what is trained on: a quarter of the old ones
)


@dataclass(frozen=True)
class RetrainRequest:
    """A retraining of the champion of `name`.

    `labels` and `audit` are CSV files with the columns sample and label, whose inputs are in `samples` (and `audit_samples`);
    the audit's are never trained on. `drift`: results of `monitor drift` as JSON, `inbox`: where it looks itself. `data`: folders
    in which the champion's own data is found again by its digest; `train`: its training data by name. `config` stands in for
    what the champion was made with. `recipe`: fine-tune, or a command with the places {model}, {train}, {out} and {seed}.
    `replay`: how many old samples are trained on beside the new (None: 16 times as many, at least 8,000). `now` is when it is.
    `tolerance`: points of accuracy that the audit may show lost without that being a reason to train.
    """

    name: str | None
    store: str
    out: Path
    labels: Path | None = None
    samples: Path | None = None
    audit: Path | None = None
    audit_samples: Path | None = None
    drift: tuple[Path, ...] = ()
    inbox: str | None = None
    data: tuple[Path, ...] = ()
    train: str | None = None
    config: Path | None = None
    recipe: str = FINE_TUNE
    replay: int | None = None
    epochs: int = 8
    learning_rate: float = 5e-4
    seed: int = 0
    tolerance: float = 1.0
    days: int = 30
    force: bool = False
    dry_run: bool = False
    promote: bool = False
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < 100:
            raise InputError(f"--tolerance: points of accuracy, above 0 and below 100, not {self.tolerance:g}")
        if self.recipe != FINE_TUNE and not ("{train}" in self.recipe and "{out}" in self.recipe):
            raise InputError(f"--recipe is {FINE_TUNE}, or a command with the places {{train}} and {{out}}")

    def count_replay(self, labels: int, old: int) -> int:
        """How many of so many old samples are trained on beside so many labelled ones."""
        wanted = max(REPLAY_LEAST, REPLAY_TIMES * labels) if self.replay is None else self.replay
        return min(wanted, old)
