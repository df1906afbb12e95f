"""Which samples to label: half those that the model is least sure of, half at random; and a random audit beside them.

What is picked for being hard says nothing of how good a model is, so the audit is drawn first, at random, and never trained on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.bundle.bundle import Bundle
from edgeship.data import Batch, RepresentativeDataset
from edgeship.errors import InputError
from edgeship.learning.samples.sample_digests import digest_dataset, digest_samples
from edgeship.learning.samples.sample_source import SampleSource, open_samples
from edgeship.learning.samples.sample_table import (
    LABEL,
    MARGIN,
    PICKED,
    PREDICTED,
    SAMPLE,
    USER,
    read_table,
    write_table,
)
from edgeship.learning.samples.scores import answer_samples, choose_artifact, find_margins, predict_labels
from edgeship.light_dataclass import dataclass
from edgeship.pipeline.data_checks import is_recorded
from edgeship.pipeline.run_settings.of_bundle import located_config
from edgeship.settings.config import Config
from edgeship.untrusted import is_code, printable

Array = np.ndarray[Any, Any]
BY_MARGIN, AT_RANDOM = "margin", "random"  # as the clients mark what they kept
BATCH = 1024


@dataclass(frozen=True)
class SelectRequest:
    """What is to be drawn from `samples`: `count` samples to label into `out`, and an audit of `audit` into `audit_out`.

    `bundle`: its main artifact scores samples that no client did, and its evaluation data (`data`, where it is named) is left
    out. `labelled`: tables of samples that are left out.
    """

    samples: Path
    out: Path
    count: int
    audit: int = 0
    audit_out: Path | None = None
    bundle: Bundle | None = None
    data: str | None = None
    labelled: tuple[Path, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if bool(self.audit) != (self.audit_out is not None):
            raise InputError("--audit says how many, --audit-out to which file: give both or neither")
        for path in (self.out, self.audit_out):
            if path is not None and path.exists():
                raise InputError(f"{printable(path)}: is there already; name another file, so that no labels are lost")
        if self.out == self.audit_out:
            raise InputError(f"{printable(self.out)}: the audit needs a file of its own")


@dataclass(frozen=True)
class Selection:
    """What was drawn: `hard` samples by margin and `random` ones, `audit`, from so many `candidates`.

    Left out were samples `labelled` before, of the `evaluation` data (None: where it lies is not known), and `repeated` ones,
    which are the same as another.
    """

    samples: int
    candidates: int
    hard: int
    random: int
    audit: int
    labelled: int
    evaluation: int | None
    repeated: int
    users: int | None


@dataclass(frozen=True)
class _Candidates:
    """What may be drawn: names, and for each the margin, what was predicted, its user, and whether it was kept at random."""

    names: tuple[str, ...]
    margins: Array
    predicted: tuple[str, ...]
    users: tuple[str, ...] | None
    at_random: Array


def select_samples(request: SelectRequest) -> Selection:
    """Draw samples and write their tables, with an empty `label`; the same seed draws the same.

    Raises InputError where there are too few, and for samples without a margin where no bundle scores them.
    """
    source, left_out = _open_source(request)
    candidates = _list_candidates(request, source, {*left_out})
    rng = np.random.default_rng(request.seed)
    audit = _draw_audit(request, candidates, rng)
    rest = np.setdiff1d(np.arange(len(candidates.names)), audit)
    if len(rest) < request.count:
        raise InputError(
            f"{printable(request.samples)}: {len(rest):,} samples are left to label, {request.count:,} are asked for"
        )
    hard, at_random = _draw_pool(candidates, rest, request.count, rng)
    _write(request.out, candidates, rng.permutation(np.concatenate([hard, at_random])), {*hard.tolist()})
    if request.audit_out is not None:
        _write(request.audit_out, candidates, audit, set())
    reasons = [*left_out.values()]
    return Selection(
        samples=len(source.names),
        candidates=len(candidates.names),
        hard=len(hard),
        random=len(at_random),
        audit=len(audit),
        labelled=reasons.count("labelled"),
        evaluation=reasons.count("evaluation") if request.data else None,
        repeated=reasons.count("repeated"),
        users=None if candidates.users is None else len({*candidates.users}),
    )


def find_evaluation(bundle: Bundle | None) -> str | None:
    """Where a bundle's evaluation data lies, by its configuration; None where it is not there, or is something else now."""
    if bundle is None:
        return None
    named = Config.restore(located_config(bundle)).data.evaluation
    if not named or is_code(named) or not Path(named).exists():
        return None
    return named if is_recorded(bundle.manifest, "evaluation", named) else None


def _open_source(request: SelectRequest) -> tuple[SampleSource, dict[str, str]]:
    """The samples, and those of them that are left out, with the reason."""
    if request.bundle is None and not request.samples.is_dir():
        raise InputError(
            f"{printable(request.samples)}: nothing is known of these samples yet: name the --bundle that scores them"
        )
    inputs = request.bundle.manifest.server.inputs if request.bundle else ()
    source = open_samples(request.samples, inputs)
    left_out: dict[str, str] = {}
    labelled = {row[SAMPLE] for path in request.labelled for row in read_table(path)[1]}
    left_out |= {name: "labelled" for name in source.names if name in labelled}
    if request.bundle is None:
        return source, left_out
    evaluation = {*digest_dataset(RepresentativeDataset(request.data), inputs)} if request.data else set[str]()
    seen: set[str] = set()
    for name, content in _digests(source):
        if content in evaluation:
            left_out.setdefault(name, "evaluation")
        elif content in seen:
            left_out.setdefault(name, "repeated")
        seen.add(content)
    return source, left_out


def _digests(source: SampleSource) -> Iterable[tuple[str, str]]:
    for start in range(0, len(source.names), BATCH):
        names = source.names[start : start + BATCH]
        yield from zip(names, digest_samples(source.read(names)), strict=True)


def _list_candidates(request: SelectRequest, source: SampleSource, left_out: set[str]) -> _Candidates:
    rows = [row for row in source.rows if row[SAMPLE] not in left_out]
    if not rows:
        raise InputError(f"{printable(request.samples)}: no sample is left to label")
    names = tuple(row[SAMPLE] for row in rows)
    told = all(row.get(MARGIN) for row in rows)
    if told:
        try:
            margins = np.array([float(row[MARGIN]) for row in rows])
        except ValueError as error:
            raise InputError(f"{printable(request.samples)}: a margin is no number ({error})") from error
        predicted = tuple(row.get(PREDICTED, "") for row in rows)
    elif request.bundle is None:
        raise InputError(
            f"{printable(request.samples)}: not every sample has a margin: name the --bundle that scores them"
        )
    else:
        margins, predicted = _score(request.bundle, source, names)
    users = tuple(row[USER] for row in rows) if all(row.get(USER) for row in rows) else None
    at_random = np.array([row.get(PICKED, AT_RANDOM) in ("", AT_RANDOM) for row in rows])
    return _Candidates(names, margins, predicted, users, at_random)


def _score(bundle: Bundle, source: SampleSource, names: Sequence[str]) -> tuple[Array, tuple[str, ...]]:
    """Margins and predicted labels by the bundle's own artifact."""
    artifact = choose_artifact(bundle.manifest)
    parts: list[Batch] = []
    for start in range(0, len(names), BATCH * 8):
        parts.append(answer_samples(bundle, artifact, source.read(names[start : start + BATCH * 8])))
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    scores = outputs[next(iter(outputs))]
    return find_margins(scores), tuple(predict_labels(scores, bundle.manifest.labels or ()))


def _draw_audit(request: SelectRequest, candidates: _Candidates, rng: np.random.Generator) -> Array:
    """Samples at random, of a user at most one; never of those that a client kept for being hard."""
    places = rng.permutation(np.flatnonzero(candidates.at_random))
    if not request.audit:
        return places[:0]
    users = candidates.users
    if users is not None:
        first = {users[place]: place for place in places[::-1]}
        places = np.array([place for place in places if first[users[place]] == place], np.int64)
    if len(places) < request.audit:
        what = "users" if users is not None else "samples"
        raise InputError(
            f"{printable(request.samples)}: {len(places):,} {what} have a sample that was kept at random, an audit of "
            f"{request.audit:,} is asked for"
        )
    return places[: request.audit]


def _draw_pool(candidates: _Candidates, rest: Array, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Half by the smallest margin, the others at random of what is left, as clients kept it at random where there is enough."""
    order = rest[np.argsort(candidates.margins[rest], kind="stable")]
    hard = order[: (count + 1) // 2]
    others = rng.permutation(order[len(hard) :])
    unbiased = np.concatenate([others[candidates.at_random[others]], others[~candidates.at_random[others]]])
    return hard, unbiased[: count - len(hard)]


def _write(path: Path, candidates: _Candidates, places: Array, hard: set[int]) -> None:
    def row(place: int) -> dict[str, str]:
        margin = candidates.margins[place]
        told = {USER: candidates.users[place]} if candidates.users else {}
        return {
            SAMPLE: candidates.names[place],
            PICKED: BY_MARGIN if place in hard else AT_RANDOM,
            PREDICTED: candidates.predicted[place],
            MARGIN: f"{margin:.6g}" if np.isfinite(margin) else "",
            LABEL: "",
            **told,
        }

    fields = [SAMPLE, *([USER] if candidates.users else []), PICKED, PREDICTED, MARGIN, LABEL]
    write_table(path, fields, (row(int(place)) for place in places))
