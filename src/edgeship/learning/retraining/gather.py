"""What a challenger is trained on and judged by, after everything that would make the judgement worthless is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.data import Batch, RepresentativeDataset, arrays_digest, load, save
from edgeship.errors import InputError
from edgeship.learning.retraining.champion import Champion, LabelForm
from edgeship.learning.retraining.record import Retraining
from edgeship.learning.retraining.request import POOL_SHARE, RetrainRequest
from edgeship.learning.retraining.results import TrainingPlan
from edgeship.learning.samples.sample_digests import digest_dataset, digest_samples
from edgeship.learning.samples.sample_source import open_samples
from edgeship.learning.samples.sample_table import SampleLabels, read_sample_labels
from edgeship.light_dataclass import dataclass
from edgeship.model_registry.store import Store
from edgeship.model_registry.version import DataUse
from edgeship.storage.atomic import atomic_file
from edgeship.untrusted import printable

Array = np.ndarray[Any, Any]
LABELS = "y"
LEAST_CLASSES = 2
WATCHED = 1000  # old samples that are not trained on, and show how the loss goes on what was known before


@dataclass(frozen=True)
class LabelledSamples:
    """Inputs by name (n, ...), labels (n, ...), and the digest of each sample's inputs."""

    inputs: Batch
    labels: Array
    digests: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def content(self) -> str:
        """The digest of all of it."""
        return arrays_digest({**self.inputs, LABELS: self.labels})


@dataclass(frozen=True)
class GatheredData:
    """The labelled pool, the newest audit, former audits and pools as they lie in the registry, and the plan for them.

    `replayed`, `watched`: rows of the old training data.
    """

    pool: LabelledSamples
    audit: LabelledSamples
    old_audits: tuple[tuple[DataUse, LabelledSamples], ...]
    old_pools: tuple[tuple[DataUse, LabelledSamples], ...]
    replayed: Array
    watched: Array
    plan: TrainingPlan


def gather_data(
    request: RetrainRequest, champion: Champion, records: Mapping[int, Retraining], store: Store
) -> GatheredData:
    """All samples of a retraining. Raises InputError where one that judges is trained on, or nothing can be learned."""
    pool, pool_table = _read_labelled(request.labels, request.samples, champion, "labels")
    audit, audit_table = _read_labelled(request.audit, request.audit_samples or request.samples, champion, "audit")
    lineage = records.get(champion.version.number)
    old_pools = tuple(_read_kept(store, use, champion) for use in (lineage.pools if lineage else ()))
    uses = {use.digest: use for record in records.values() for use in record.audits}
    old_audits = tuple(_read_kept(store, use, champion) for use in uses.values())
    old_audits = tuple(item for item in old_audits if {*item[1].digests} != {*audit.digests})
    old = digest_dataset(champion.training, champion.manifest.server.inputs) if champion.training else []
    _check_apart(champion, pool, audit, old, (old_pools, old_audits))
    old_audits = _without(old_audits, audit)
    counts = _check_classes(pool, champion.label_form, request.labels)
    replay = request.count_replay(len(pool), len(old))
    order = np.random.default_rng(request.seed).permutation(len(old))
    known = {digest for _, samples in old_pools for digest in samples.digests}
    again = sum(digest in known for digest in pool.digests) + len({*pool.digests} & {*old})
    return GatheredData(
        pool, audit, old_audits, old_pools,
        replayed=np.sort(order[:replay]),
        watched=np.sort(order[replay : replay + WATCHED]),
        plan=TrainingPlan(
            labels=len(pool),
            repeats=max(1, replay // (POOL_SHARE * len(pool))),
            replay=replay,
            audit=len(audit),
            classes=tuple(f"{name} {count:,}" for name, count in counts.most_common()),
            notes=tuple(_describe(pool_table, audit_table, old_pools, again)),
        ),
    )  # fmt: skip


def _read_labelled(
    table: Path | None, source: Path | None, champion: Champion, what: str
) -> tuple[LabelledSamples, SampleLabels]:
    if table is None:
        how = "`edgeship select` picks samples, `edgeship label` labels them"
        raise InputError(f"it is time to train, and there is nothing to train on or judge by: name --{what} ({how})")
    if source is None:
        raise InputError(f"--samples must say where the inputs of {printable(table)} are")
    labels = read_sample_labels(table)
    if not labels.labels:
        raise InputError(f"{printable(table)}: all labels are disputed; settle some of them")
    samples = open_samples(source, champion.manifest.server.inputs)
    inputs = samples.read(list(labels.labels))
    parsed = champion.label_form.parse(list(labels.labels.values()), table)
    return LabelledSamples(inputs, parsed, tuple(digest_samples(inputs))), labels


def _read_kept(store: Store, use: DataUse, champion: Champion) -> tuple[DataUse, LabelledSamples]:
    """Labelled samples that an earlier retraining left in the registry."""
    arrays = load(store.files.find(use.digest))
    labels = arrays.pop(LABELS)
    if {*arrays} != {spec.name for spec in champion.manifest.server.inputs}:
        raise InputError(
            f"{use.source}: labelled samples of an earlier model with other inputs; say which by a new --name"
        )
    return use, LabelledSamples(arrays, labels, tuple(digest_samples(arrays)))


def _check_apart(
    champion: Champion, pool: LabelledSamples, audit: LabelledSamples, old: Sequence[str],
    kept: tuple[Iterable[tuple[DataUse, LabelledSamples]], Iterable[tuple[DataUse, LabelledSamples]]],
) -> None:  # fmt: skip
    """Raise InputError, with the count, where what judges is, or was, trained on."""
    limit = champion.settings.data.evaluation_samples
    evaluation = {*digest_dataset(champion.evaluation, champion.manifest.server.inputs, limit)}
    old_pools, old_audits = ({digest for _, samples in group for digest in samples.digests} for group in kept)
    new, judges = {*pool.digests}, {*audit.digests}
    cases = (
        ("labelled samples are in the evaluation data, which judges", new & evaluation),
        ("labelled samples are in the audit, which is never trained on", new & judges),
        ("labelled samples are of an earlier audit, which still judges", (new & old_audits) - judges),
        ("audit samples are in the evaluation data, which judges by itself", judges & evaluation),
        ("audit samples were trained on, as they are in the champion's training data", judges & {*old}),
        ("audit samples were trained on, as labels of an earlier retraining", judges & old_pools),
    )
    if found := [f"{len(both):,} {what}" for what, both in cases if both]:
        raise InputError(f"refused: {'; '.join(found)}")


def _without(
    audits: Iterable[tuple[DataUse, LabelledSamples]], newest: LabelledSamples
) -> tuple[tuple[DataUse, LabelledSamples], ...]:
    """Earlier audits without what the newest asks, too, and without what another has."""
    seen, found = {*newest.digests}, []
    for use, samples in audits:
        rows = [row for row, digest in enumerate(samples.digests) if digest not in seen]
        seen |= {*samples.digests}
        if rows:
            inputs = {name: array[rows] for name, array in samples.inputs.items()}
            digests = tuple(samples.digests[row] for row in rows)
            found.append((use, LabelledSamples(inputs, samples.labels[rows], digests)))
    return tuple(found)


def _check_classes(pool: LabelledSamples, form: LabelForm, table: Path | None) -> Counter[str]:
    if form.classes is None:
        return Counter()
    counts = Counter(form.classes[int(label)] for label in pool.labels.reshape(-1))
    if len(counts) < LEAST_CLASSES:
        raise InputError(
            f"{printable(table)}: all {len(pool):,} labels are {printable(next(iter(counts)))!r}: of one class alone nothing "
            "can be learned but to say it always"
        )
    return counts


def _describe(
    pool: SampleLabels, audit: SampleLabels, old_pools: Sequence[tuple[DataUse, LabelledSamples]], again: int
) -> Iterable[str]:
    for what, table in (("labels", pool), ("audit", audit)):
        if table.unlabelled:
            yield f"{what}: {table.unlabelled:,} rows have no label yet"
        if table.disputed:
            yield f"{what}: {len(table.disputed):,} samples with labels that differ are left out"
    if old_pools:
        count = sum(len(samples) for _, samples in old_pools)
        yield f"{count:,} labels of earlier retrainings are trained on again"
    if again:
        yield f"{again:,} labelled samples are known from training before"


def write_training_data(data: GatheredData, champion: Champion, folder: Path) -> tuple[Path, Path, int]:
    """`train.npz` and `watched.npz` in a folder: old samples, former labels, and the new ones repeated.

    The third is how many of the first samples are old ones, whose answers are not to change.
    """
    inputs = champion.manifest.server.inputs
    old, watched = (
        take_rows(champion.training, champion, data.replayed),
        take_rows(champion.training, champion, data.watched),
    )
    former = [samples for _, samples in data.old_pools]
    parts = [*([old] if old else []), *((item.inputs, item.labels) for item in former)]
    parts += [(data.pool.inputs, data.pool.labels)] * data.plan.repeats
    arrays = {spec.name: np.concatenate([part[0][spec.name] for part in parts]) for spec in inputs}
    arrays[LABELS] = np.concatenate([part[1] for part in parts])
    seen = watched or old or (data.pool.inputs, data.pool.labels)
    _write(folder / "train.npz", arrays)
    _write(folder / "watched.npz", {**seen[0], LABELS: seen[1]})
    return folder / "train.npz", folder / "watched.npz", len(data.replayed)


def _write(path: Path, arrays: Batch) -> None:
    with atomic_file(path) as beside:
        save(beside, arrays)


def take_rows(data: RepresentativeDataset | None, champion: Champion, rows: Array) -> tuple[Batch, Array] | None:
    """Those samples of the old training data, in the model's own names and dtypes, with their labels."""
    if data is None or not len(rows):
        return None
    inputs, parts, start = champion.manifest.server.inputs, [], 0
    for batch in data.feeds(inputs, WATCHED):
        count = len(next(iter(batch.values())))
        inside = rows[(rows >= start) & (rows < start + count)] - start
        parts.append({name: array[inside] for name, array in batch.items()})
        start += count
    labels = data.labels(inputs=inputs)
    if len(labels) != 1:
        raise InputError(f"{printable(data.source)}: has labels {', '.join(labels) or 'none'}, one array is trained on")
    truth = next(iter(labels.values()))[rows].reshape(-1, *champion.label_form.shape)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, truth.astype(
        champion.label_form.dtype
    )
