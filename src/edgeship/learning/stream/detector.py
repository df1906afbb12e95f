"""Whether the model got worse: ADWIN (Bifet and Gavalda 2007), as river has it, on right and wrong answers."""

from __future__ import annotations

from collections.abc import Iterable

from edgeship.errors import MissingDependencyError

DELTA = 0.002  # river's own: the confidence with which two means differ
EXTRA = "pip install 'edgeship[stream]'"


class ErrorWatch:
    """Sees where the share of wrong answers rises. Where any change was seen it begins anew, as what was before is over.

    It is made again of the errors since then, so that no object of another version of river has to be read.
    """

    def __init__(self, errors: Iterable[int] = ()) -> None:
        try:
            from river.drift import ADWIN
        except ImportError as error:
            raise MissingDependencyError(f"a stream needs river, which sees drift ({error}): {EXTRA}") from error
        self._detector = ADWIN(delta=DELTA)
        for value in errors:
            self._detector.update(value)

    def update(self, wrong: int) -> tuple[float, float] | None:
        """The shares of wrong answers before and after a change, where this answer shows one; None where it shows none.

        Before are those that ADWIN drops, after those that it keeps.
        """
        rows, sum_of_all = self._detector.width + 1, self._detector.width * self._detector.estimation + wrong
        self._detector.update(wrong)
        if not self._detector.drift_detected:
            return None
        kept, now = self._detector.width, float(self._detector.estimation)
        dropped = max(rows - kept, 1.0)
        return min(max((sum_of_all - kept * now) / dropped, 0.0), 1.0), now
