"""How an artifact compares with its twin: the same artifact made anew from the bundle's server model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeship.bundle.metric import Count, Digest, Number


@dataclass(frozen=True)
class FileComparison:
    """What of two files is other than rounding explains: the `differences` in words, none where nothing is.

    `numbers` of the constants were compared; a `remark` says which could not be.
    """

    differences: tuple[str, ...] = ()
    numbers: Count = 0
    remark: str = ""


@dataclass(frozen=True)
class TwinComparison:
    """An artifact of that `content` beside its twin; `same`: they are equal bit for bit, and there is nothing more to say.

    `files` are their constants and operators. `sqnr_db`: the twin's own SQNR by output, on the evaluation data, where it is
    calibrated alike. Without a twin the `reason` says why.
    """

    content: Digest
    same: bool = False
    files: FileComparison = field(default_factory=FileComparison)
    sqnr_db: Mapping[str, Number] = field(default_factory=dict)
    reason: str = ""
