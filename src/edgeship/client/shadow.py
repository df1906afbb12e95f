"""Shadow: a second model on a few of the first one's inputs, and what both said. Standard library only.

`edgeship experiment shadow` reads the tables of all devices, one after the other (docs/monitoring/experiment.md).
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from secrets import SystemRandom

from edgeship.client.outcome import ClientError

MOST_SHARE = 0.05
HEAD = ("user", "first", "second", "count")


class ShadowTable:
    """Which inputs the second model runs on, too, and how often both models said which class.

    `share`: of the inferences, above 0 and at most 0.05, since the second model takes time and battery. Used by one thread.
    Raises ClientError for another share.
    """

    def __init__(self, share: float = 0.02) -> None:
        if not 0 < share <= MOST_SHARE:
            raise ClientError(
                f"the share of inferences in shadow must be above 0 and at most {MOST_SHARE}, not {share}"
            )
        self._share, self._random = share, SystemRandom()
        self._counts: Counter[tuple[str, str]] = Counter()

    def is_drawn(self) -> bool:
        """Whether the next inference is one of those, at random: nothing of the input has a say."""
        return self._random.random() < self._share

    def count(self, first: str, second: str) -> None:
        """Count one input by the classes that the first and the second model say."""
        self._counts[first, second] += 1

    def take_csv(self, user: str) -> str:
        """The rows so far, with the pseudonym of this device, as CSV with a header; counting begins anew."""
        rows, self._counts = self._counts, Counter()
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(HEAD)
        writer.writerows((user, *pair, count) for pair, count in sorted(rows.items()))
        return text.getvalue()
