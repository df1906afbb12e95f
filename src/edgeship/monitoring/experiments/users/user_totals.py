"""What an experiment is analysed from: for each user the arm it was assigned to, and sums of what it did.

The user is what was randomized, and so it is the sample: however often a user ran the model, it is one draw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.reports.windows import first_day
from edgeship.untrusted import printable

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class UserTotals:
    """Users of an experiment. `arms` (n,) holds the place of each user's arm in `names`; `sums` by count (n,) float64.

    `before`: the same sums of the period before, where that is known. `regions`: by region how many users of each arm, where a
    table tells. `in_two_arms`: users that were seen in both and left out. `digest` tells two tables apart.
    """

    names: tuple[str, ...]
    arms: Array
    sums: Mapping[str, Array]
    before: Mapping[str, Array]
    digest: str
    in_two_arms: int = 0
    regions: Mapping[str, Mapping[str, int]] | None = None

    def users_of(self, arm: str) -> Array:
        """Which users are in an arm, (n,) bool."""
        return np.asarray(self.arms == (self.names.index(arm) if arm in self.names else -1))


def check_week(week: str, today: date, where: str) -> None:
    """Raise InputError for a week that has not begun."""
    if first_day(week) > today:
        raise InputError(f"{where}: the week {printable(week)[:20]} is in the future (today is {today})")


def group_rows(
    users: Sequence[str] | Array, arms: Sequence[str] | Array, sums: Mapping[str, Array], before: Mapping[str, Array]
) -> UserTotals:
    """Rows (user, arm, sums) as one row for each user; users that are in two arms are left out."""
    ids, places = np.unique(np.asarray(users, dtype=object).astype(str), return_inverse=True)
    names, arm_of_row = np.unique(np.asarray(arms, dtype=object).astype(str), return_inverse=True)
    arm_of_user = np.zeros(len(ids), dtype=np.int64)
    arm_of_user[places] = arm_of_row
    mixed = np.zeros(len(ids), dtype=bool)
    mixed[places[arm_of_user[places] != arm_of_row]] = True

    def add(values: Array) -> Array:
        return np.bincount(places, weights=values, minlength=len(ids))[~mixed]

    added = {name: add(values) for name, values in sums.items()}
    added_before = {name: add(values) for name, values in before.items()}
    digest = hashlib.sha256("\n".join(ids).encode())
    for name, values in (*sorted(added.items()), *sorted(added_before.items())):
        digest.update(f"\n{name}\n".encode() + values.astype("<f8").tobytes())
    digest.update(arm_of_user.astype("<i8").tobytes())
    return UserTotals(
        tuple(map(str, names)), arm_of_user[~mixed], added, added_before, digest.hexdigest(), int(mixed.sum())
    )
