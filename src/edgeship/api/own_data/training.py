"""Models from a person's own data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.api.files import check_outside_of_bundles
from edgeship.api.results import OwnDataModel
from edgeship.errors import InputError
from edgeship.notices import set_visibility

if TYPE_CHECKING:
    from edgeship.train.own_data.protocol import ProtocolOptions
    from edgeship.train.own_data.search_results import TuningOptions

AnyPath = str | os.PathLike[str]
LEAST_FOLDS, LEAST_TRIALS = 2, 2


def train_on_data(
    data: AnyPath,
    out: AnyPath,
    *,
    label: str | None = None,
    group: str | None = None,
    time: str | None = None,
    window: int | None = None,
    query: str | None = None,
    seed: int = 0,
    epochs: int | None = None,
    folds: int | None = None,
    repeats: int = 1,
    tune: int | None = None,
    processes: int = 1,
    engine: str = "local",
    progress: bool = False,
) -> OwnDataModel:
    """Train a server model on one's own data into the folder `out`, beside baselines of scikit-learn (docs/training/train.md).

    `data` is a table, a database with the `query` whose rows are one (`sqlite:///FILE`, `postgresql://...`), a folder with one
    folder of pictures or of WAV files a class, a table of such files and their labels, a folder with four idx files, or an
    `.npz`. `label` names the column of a table that is to be predicted. No value of the column `group` is in two splits; by the
    column `time` the latest samples are tested. `window` makes windows of so many rows out of a long table of sensor values, in
    the order of `time`. `folds` and `repeats` ask for (repeated) k-fold, whatever the size of the data.

    `tune` tries so many configurations by their validation loss, `processes` at once, or on the Ray cluster of `engine` "ray";
    what was tried stands in `tuning.journal` in `out`, and the same call goes on from there. Model card, data files and what the
    contract says of the inputs (`inputs.toml`, which `init_model` takes into the configuration) are written beside the model.
    Raises InputError for data that cannot be learned from, or a place that cannot be written.
    """
    from edgeship.tables.database import find_database
    from edgeship.train.own_data import launch, page
    from edgeship.train.own_data.sources.source import Source

    check_outside_of_bundles(Path(out) / "server.keras")
    database = find_database(os.fspath(data))
    path = Path(database.file.name or "query") if database else Path(data)
    source = Source(path, label, group, time, window, os.fspath(data) if database else None, query)
    asked = _check_folds(folds, repeats)
    tuning = choose_tuning(tune, processes, engine)
    with set_visibility(progress):
        card = launch.train(source, Path(out), seed=seed, epochs=epochs, protocol=asked, tuning=tuning)
    return OwnDataModel(Path(out) / "server.keras", card, page.describe_quality(card))


def choose_tuning(tune: int | None, processes: int, engine: str) -> TuningOptions | None:
    """The search that is asked for, if any. Raises InputError for too few of anything."""
    from edgeship.train.own_data.search_results import TuningOptions

    _check_least("tune", tune, LEAST_TRIALS)
    _check_least("processes", processes, 1)
    return None if tune is None else TuningOptions(tune, processes, engine)


def _check_folds(folds: int | None, repeats: int) -> ProtocolOptions:
    from edgeship.train.own_data.protocol import ProtocolOptions

    _check_least("folds", folds, LEAST_FOLDS)
    _check_least("repeats", repeats, 1)
    return ProtocolOptions(folds, repeats)


def _check_least(name: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise InputError(f"{name}: {value}; it takes at least {least}")
