"""The looks that were taken: kept beside the plan, so that nobody looks more often than planned and forgets it."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.experiments.planning.plan import Plan
from edgeship.monitoring.experiments.planning.plan_file import render_plan
from edgeship.storage.atomic import atomic_file
from edgeship.typed_json import convert
from edgeship.types import to_json
from edgeship.untrusted import printable, read_json

Count = Annotated[int, Meta(ge=1)]


@dataclass(frozen=True)
class Look:
    """A look: users so far, the metric in both arms, the standard error of their difference, and which data it was taken of.

    `fraction`: the share of the planned users that are as many in two equal arms. `reduction`: the share of the variance that
    the period before took off. `taken`: a day, ISO 8601.
    """

    users_control: Count
    users_treatment: Count
    fraction: Annotated[float, Meta(gt=0)]
    control: float
    treatment: float
    error: Annotated[float, Meta(gt=0)]
    reduction: float
    digest: str
    taken: str

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.fraction, self.control, self.treatment, self.error, self.reduction))):
            raise ValueError("its figures must be finite")

    @property
    def z(self) -> float:
        """The difference in standard errors."""
        return (self.treatment - self.control) / self.error


@dataclass(frozen=True)
class Ledger:
    """The looks of the plan with that digest."""

    plan: str
    looks: tuple[Look, ...]
    schema: Literal[1] = 1


def read_ledger(plan: Plan, plan_file: Path) -> Ledger:
    """The looks that were taken by a plan; none where there is no such file yet.

    Raises InputError where the plan was changed since, or the file is none of ours.
    """
    place, digest = ledger_place(plan_file), _digest_plan(plan)
    if not place.exists():
        return Ledger(digest, ())
    try:
        ledger = convert(Ledger, read_json(place))
    except InputError as error:
        raise InputError(f"{printable(place)}: {error}") from error
    fractions = [look.fraction for look in ledger.looks]
    if fractions != sorted({*fractions}) or len(fractions) > plan.looks:
        raise InputError(f"{printable(place)}: its looks are not those of one experiment")
    if ledger.plan != digest and ledger.looks:
        raise InputError(
            f"{printable(plan_file)}: was changed after look {len(ledger.looks)} was taken; a plan holds until the end"
        )
    return Ledger(digest, ledger.looks)


def write_ledger(ledger: Ledger, plan_file: Path) -> None:
    """Write the looks beside their plan."""
    with atomic_file(ledger_place(plan_file)) as beside:
        beside.write_text(json.dumps(to_json(ledger), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def ledger_place(plan_file: Path) -> Path:
    """Where the looks of a plan are kept: experiment.looks.json for experiment.toml."""
    return plan_file.with_suffix(".looks.json")


def _digest_plan(plan: Plan) -> str:
    return hashlib.sha256(render_plan(plan).encode()).hexdigest()
