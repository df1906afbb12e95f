"""What an experiment measures of a user: a share of users, a sum for each user, or a ratio of two sums."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import SHOWN, printable

Array = np.ndarray[Any, Any]
FORMS = "'any bought' (the share of users who did), 'bought' (how often a user did) or 'bought / inferences'"
_TEXT = re.compile(r"(?P<any>any +)?(?P<numerator>[\w.:-]+)(?: */ *(?P<denominator>[\w.:-]+))?")


@dataclass(frozen=True)
class Metric:
    """A metric as a plan writes it (`text`): names of counts that are summed for each user.

    With `any` a user counts as 1 who has any of the numerator. Without `denominator` it is the mean over users.
    """

    text: str
    numerator: str
    denominator: str | None = None
    any: bool = False

    @property
    def counts(self) -> tuple[str, ...]:
        """The names of its counts."""
        return (self.numerator, self.denominator) if self.denominator else (self.numerator,)

    def pair(self, sums: Mapping[str, Array]) -> tuple[Array, Array]:
        """Each user's numerator and denominator (n,) float64, of sums (n,) by name."""
        top = sums[self.numerator]
        if self.any:
            top = (top > 0).astype(np.float64)
        return top, sums[self.denominator] if self.denominator else np.ones(len(top))


def parse_metric(text: str) -> Metric:
    """The metric of a text. Raises InputError that shows the forms."""
    match = _TEXT.fullmatch(text.strip())
    if match is None or (match["any"] and match["denominator"]):
        raise InputError(f"metric {printable(text)[:SHOWN]!r} is none; as {FORMS}")
    return Metric(text.strip(), match["numerator"], match["denominator"], bool(match["any"]))


def check_counts(metrics: Iterable[Metric], known: Iterable[str], where: str) -> None:
    """Raise InputError, with the known counts, for a metric of which a count was never reported."""
    names = sorted(known)
    for metric in metrics:
        for name in metric.counts:
            if name not in names:
                shown = ", ".join(map(printable, names[:30])) or "none"
                raise InputError(
                    f"{where}: '{printable(name)}' of the metric '{printable(metric.text)}' was never reported; "
                    f"counts that are there: {shown}"
                )
