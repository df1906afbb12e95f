"""The checks of an `.npz`: inputs under their names, labels in `y`, as `edgeship ship` takes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeship.data import RepresentativeDataset, is_label
from edgeship.data_checks.checks import check_splits
from edgeship.data_checks.judge import quote
from edgeship.data_checks.methods.duplicates import hash_text
from edgeship.data_checks.methods.features import Array, Feature
from edgeship.data_checks.methods.projection import COMPONENTS, Projection, fit_projection
from edgeship.data_checks.report import ColumnReport, DataReport, Finding
from edgeship.data_checks.split import Split, draw_samples
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.tables.schema import MOST_CLASSES
from edgeship.untrusted import printable

DRAWN = 5_000
BATCH = 256


@dataclass(frozen=True)
class Samples:
    """All samples' hashes, and the drawn ones as a matrix (n, numbers); samples with NaN or infinity (`infinite`)."""

    hashes: Array
    drawn: Array
    matrix: Array
    infinite: int


def check_arrays(path: Path, label: str | None, evaluation: Path | None) -> DataReport:
    """Check an `.npz`. Raises InputError for what cannot be read or learned from."""
    data = RepresentativeDataset(path)
    other_data = RepresentativeDataset(evaluation) if evaluation else None
    if other_data is not None and {name: other_data.shapes.get(name) for name in data.shapes} != dict(data.shapes):
        raise InputError(f"{printable(evaluation)}: its arrays do not match those of {printable(path)}")
    name = _find_label(data, label)
    samples = read_samples(data)
    others = read_samples(other_data) if other_data else None
    matrices = [samples.matrix] if others is None else [samples.matrix, others.matrix]
    projection = fit_projection(matrices) if samples.matrix.shape[1] > COMPONENTS else None
    split = _build_split(data, samples, name, projection)
    other = _build_split(other_data, others, name, projection) if other_data and others else None
    result = check_splits(split, other)
    findings = list(result.findings)
    if samples.infinite:
        text = f"{samples.infinite:,} of {len(data):,} samples hold NaN or infinity"
        findings.append(Finding("infinite", "spoils", text))
    return DataReport(
        path=str(path),
        kind="arrays",
        samples=len(data),
        task="" if split.labels is None else "classification" if split.classes else "regression",
        label=name if split.labels is not None else "",
        evaluation=str(evaluation or ""),
        findings=tuple(findings),
        columns=tuple(_describe(data, array) for array in data.shapes),
        classes=dict(split.class_counts),
        scores=result.scores,
        labels=result.labels,
        shifts=result.shifts,
        skipped=result.skipped,
    )


def _find_label(data: RepresentativeDataset, label: str | None) -> str:
    """The array of labels: the one that is named, else the only one there is, empty where there is none."""
    names = [name for name in data.shapes if is_label(name)]
    if label is not None and label not in names:
        raise InputError(
            f"{printable(data.source)}: no labels '{printable(label)}'; there are: {printable(', '.join(names)) or 'none'}"
        )
    return label or ("y" if "y" in names else names[0] if names else "")


def read_samples(data: RepresentativeDataset) -> Samples:
    """Read all inputs once."""
    drawn = draw_samples(len(data), DRAWN)
    hashes, parts, infinite, start = np.zeros(len(data), np.uint64), [], 0, 0
    for batch in data.batches(BATCH):
        arrays = [np.ascontiguousarray(array) for array in batch.values()]
        count = len(arrays[0])
        here = drawn[slice(*np.searchsorted(drawn, (start, start + count)))] - start
        for row in range(count):
            hashes[start + row] = hash_text(b"".join(array[row].tobytes() for array in arrays))
        flat = [array.reshape(count, -1) for array in arrays if array.dtype.kind in "biuf"]
        whole = np.concatenate([np.zeros((count, 0)), *flat], axis=1).astype(np.float64)
        bad = ~np.isfinite(whole)
        infinite += int(bad.any(axis=1).sum())
        parts.append(np.where(bad, 0.0, whole)[here])
        start += count
    return Samples(hashes, drawn, np.concatenate(parts), infinite)


def _build_split(data: RepresentativeDataset, samples: Samples, name: str, projection: Projection | None) -> Split:
    labels, counts = _read_labels(data, name)
    matrix = samples.matrix
    facts: tuple[Feature, ...] = ()
    if projection is not None:
        features = projection.project(matrix)
        facts = (Feature("mean of a sample", matrix.mean(axis=1)), Feature("deviation of a sample", matrix.std(axis=1)))
    else:
        features = tuple(Feature(f"number {place}", matrix[:, place]) for place in range(matrix.shape[1]))
    return Split(
        path=data.source,
        samples=len(data),
        hashes=samples.hashes,
        drawn=samples.drawn,
        features=features,
        facts=facts,
        label=name,
        labels=None if labels is None else labels[samples.drawn],
        class_counts=counts,
    )


def _read_labels(data: RepresentativeDataset, name: str) -> tuple[Array | None, tuple[tuple[str, int], ...]]:
    """The labels of all samples and the classes' counts; none where they are neither a class nor a number a sample."""
    if not name or data.shapes[name] not in ((), (1,)) or data.dtypes[name].kind not in "biufU":
        return None, ()
    values = data.column(name).reshape(-1)
    where = f"{printable(data.source)}: label {quote(name)}"
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError(f"{where}: {int((~np.isfinite(values)).sum()):,} samples have NaN or infinity")
    kinds, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    if values.dtype.kind == "f" and (len(kinds) > MOST_CLASSES or (kinds != np.floor(kinds)).any()):
        return values.astype(np.float64), ()
    if len(kinds) < 2:
        raise InputError(f"{where}: one class only, {quote(str(kinds[0]))}; there is nothing to tell apart")
    if len(values) < 2 * len(kinds):
        raise InputError(f"{where}: {len(kinds):,} classes in {len(values):,} samples; each needs a few")
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    names = [str(int(kind)) if values.dtype.kind in "biuf" else str(kind) for kind in kinds]
    return rank[codes], tuple((names[place], int(counts[place])) for place in order)


def _describe(data: RepresentativeDataset, name: str) -> ColumnReport:
    shape = " x ".join(map(str, data.shapes[name])) or "one value"
    return ColumnReport(name, "label" if is_label(name) else "input", 0, None, f"{data.dtypes[name]}, {shape}")
