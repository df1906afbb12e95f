"""Batch prediction: rows of a source through an artifact into a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeship.api.bundles import AnyBundle, open_bundle
from edgeship.errors import InputError, MissingDependencyError
from edgeship.notices import set_visibility

if TYPE_CHECKING:
    from edgeship.serving.batch.run import BatchRun
    from edgeship.serving.batch.sinks.sink import Current

STORE = "sqlite:///registry.db"
THIS_RUN, UNCHANGED = "run", "keep"  # what `current` may be beside a version of the registry


def predict_batch(
    bundle: AnyBundle,
    source: str,
    sink: str,
    *,
    table: str = "predictions",
    artifact: str | None = None,
    key: str = "id",
    query: str | None = None,
    version: str | None = None,
    batch: int | None = None,
    since: str | None = None,
    current: str = THIS_RUN,
    name: str | None = None,
    store: str = STORE,
    engine: str = "local",
    progress: bool = False,
) -> BatchRun:
    """Predict every row of `source` and write the predictions to `sink`, each row once whatever interrupts it.

    `source` is a CSV or Parquet file, a folder or pattern of them, a folder of pictures, or a database with a `query`; `sink` is
    `sqlite:///FILE`, `postgresql://...`, a `.parquet` file or a folder. Rows are kept under `version` (default: of the bundle's
    digest and the artifact) and `key`. `batch`: rows of a transaction. `since`: a column; only rows from the greatest value of
    earlier runs on are read. `current`: whose rows the view `<table>_current` shows in the end, those of this "run", "keep" for
    no change, or an alias or number in the registry (`name`, `store`).

    Raises InputError where they do not fit together, before anything is written, and MissingDependencyError.
    """
    if batch is not None and batch < 1:
        raise InputError(f"batch: at least one row, not {batch}")
    opened = open_bundle(bundle)
    try:
        from edgeship.serving.batch.addresses import parse_sink, parse_source
        from edgeship.serving.batch.predict import predict_rows
        from edgeship.serving.batch.run import Options
    except ImportError as error:
        raise MissingDependencyError(f"batches need pyarrow ({error}): pip install 'edgeship[batch]'") from error
    target = parse_sink(sink)
    if target.kind != "postgresql":
        from edgeship.bundle.bundle import check_outside

        check_outside(target.root)
    chosen = _choose_current(current, name, store)
    options = Options(table, artifact, key, query, version, batch, since, chosen, engine)
    with set_visibility(progress):
        return predict_rows(opened, parse_source(source), target, options)


def _choose_current(current: str, name: str | None, store: str) -> Current | None:
    from edgeship.serving.batch.sinks.sink import Current

    if current == THIS_RUN:
        return None
    if current == UNCHANGED:
        return Current()
    from edgeship.model_registry.store import open_store

    with open_store(store) as opened:
        return Current(bundle=opened.version(opened.resolve_name(name), current).record.bundle)
