"""The champion of a name: its bundle, its data found again by digest, and the settings that its challengers are shipped with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.bundle.bundle import MANIFEST, Bundle, open_bundle
from edgeship.bundle.manifest import Manifest
from edgeship.data import RepresentativeDataset
from edgeship.errors import EdgeshipError, InputError
from edgeship.learning.retraining.request import RetrainRequest
from edgeship.light_dataclass import dataclass
from edgeship.model_registry.adding import export_version
from edgeship.model_registry.store import Store
from edgeship.model_registry.version import TRAINING, DataUse, Version
from edgeship.settings import permissions
from edgeship.settings.config import Config
from edgeship.storage import digest
from edgeship.untrusted import is_code, printable

Array = np.ndarray[Any, Any]
KEYS = ("evaluation", "calibration", "validation")


@dataclass(frozen=True)
class LabelForm:
    """What a label of the only labelled output is: a class of `classes` (by name or number), or a value (None)."""

    classes: tuple[str, ...] | None
    dtype: str
    shape: tuple[int, ...]

    def parse(self, texts: Sequence[str], place: object) -> Array:
        """Labels as the evaluation data has them, (n, ...). Raises InputError for what is no class, or no number."""
        if self.classes is None:
            try:
                values = np.array([float(text) for text in texts])
            except ValueError as error:
                raise InputError(
                    f"{printable(place)}: a label is no number ({error}); labels here are values"
                ) from error
            return values.astype(self.dtype).reshape(-1, *self.shape)
        numbers = {name: number for number, name in enumerate(self.classes)}
        numbers |= {str(number): number for number in range(len(self.classes))}
        if strange := sorted({text for text in texts if text not in numbers}):
            known = ", ".join(self.classes[:20])
            raise InputError(
                f"{printable(place)}: {len(strange)} labels are no class: {printable(', '.join(strange))[:200]} (known: {known})"
            )
        return np.array([numbers[text] for text in texts]).astype(self.dtype).reshape(-1, *self.shape)


@dataclass(frozen=True)
class Champion:
    """A version with its bundle on disk. `training`: its old training data (None: neither known nor needed).

    `label_form`: of the labels of its output.
    """

    version: Version
    bundle: Bundle
    settings: Config
    evaluation: RepresentativeDataset
    training: RepresentativeDataset | None
    label_form: LabelForm

    @property
    def manifest(self) -> Manifest:
        """Of its bundle."""
        return self.bundle.manifest


def find_champion(store: Store, name: str) -> Version:
    """The version that is champion. Raises InputError where none is."""
    if "champion" not in store.aliases(name):
        how = f"edgeship registry promote VERSION --name {name} --to champion --why ..."
        raise InputError(f"{name} has no champion yet, so that there is nothing to be better than: {how}")
    return store.version(name, "champion")


def open_champion(store: Store, version: Version, request: RetrainRequest) -> Champion:
    """The champion with its data. Raises InputError where that is not found, or its labels cannot be written in a table."""
    bundle = open_version(store, version, request.out / f"champion-{version.number}")
    use = version.record.evaluation
    if use is None or bundle.manifest.server_measurement is None:
        raise InputError(
            f"champion {version.number} was not evaluated on labelled data, so nothing can be compared with it"
        )
    settings = _find_settings(bundle, version, request)
    evaluation = RepresentativeDataset(str(settings.data.evaluation))
    training = _find_training(version, request, settings)
    needed = request.replay != 0
    if needed and training is None:
        known = version.record.data.get(TRAINING)
        what = f" ({known.source}, {known.digest[:12]})" if known else ""
        raise InputError(
            f"the old training data{what} is not here, and without it a model forgets: name its folder by --data, the file by "
            "--train, or say --replay 0"
        )
    form = _find_label_form(bundle.manifest, evaluation)
    return Champion(version, bundle, settings, evaluation, training, form)


def open_version(store: Store, version: Version, place: Path) -> Bundle:
    """The bundle of a version, in that folder; what an interrupted run left there is written again."""
    if place.is_dir():
        try:
            if digest.of_path(place / MANIFEST) == version.record.bundle:
                return open_bundle(place)
        except (EdgeshipError, OSError):
            pass  # half of it, or changed
        shutil.rmtree(place)
    return export_version(store, version, place)


def _find_settings(bundle: Bundle, version: Version, request: RetrainRequest) -> Config:
    """What the champion was made with, or the file that stands in for it, with data as it lies here."""
    if request.config:
        settings = Config.read(request.config)
    else:
        permissions.refuse_grants(bundle.root, permissions.find_grants(bundle.manifest.config))
        settings = Config.restore(bundle.manifest.config)
    found: dict[str, str | None] = {}
    for key in KEYS:
        use = version.record.data.get(key)
        named = getattr(settings.data, key)
        if use is None:
            found[key] = named if key == "calibration" and request.config else None
            continue
        place = _find_data(use, named, request.data)
        if place is None and key != "validation":
            raise InputError(
                f"the champion's {key} data ({printable(use.source)}, sha256 of content {use.digest[:12]}) is not here: name its "
                "folder by --data"
            )
        found[key] = None if place is None else str(place)
    return replace(settings, data=replace(settings.data, **found))  # type: ignore[arg-type]


def _find_training(version: Version, request: RetrainRequest, settings: Config) -> RepresentativeDataset | None:
    use = version.record.data.get(TRAINING) or version.record.data.get("train")
    if request.train is not None:
        data = RepresentativeDataset(request.train)
        if use is not None and use.digest != data.digest:
            raise InputError(
                f"{printable(request.train)}: is not what champion {version.number} was trained on, which is {use.source} "
                f"({use.digest[:12]}) by its lineage"
            )
        return data
    if use is None:  # a model that was not trained by edgeship: its configuration names a file, if anything does
        named = settings.data.train
        if not named or is_code(named):
            return None
        places = [Path(named), *(folder / Path(named).name for folder in request.data)]
        return next((RepresentativeDataset(place) for place in places if place.exists()), None)
    place = _find_data(use, settings.data.train, request.data)
    return None if place is None else RepresentativeDataset(place)


def _find_data(use: DataUse, named: str | None, folders: Sequence[Path]) -> Path | None:
    """Where data of that digest lies: under the name that the settings give, or in one of the folders."""
    for place in _candidates(use, named, folders):
        try:
            if RepresentativeDataset(place).digest == use.digest:
                return place
        except InputError:
            continue  # something else of that name
    return None


def _candidates(use: DataUse, named: str | None, folders: Sequence[Path]) -> Iterator[Path]:
    if named and not is_code(named) and Path(named).exists():
        yield Path(named)
    for folder in folders:
        first = folder / use.source
        if use.source and first.exists():
            yield first
        yield from (path for path in sorted(folder.glob("*.npz")) if path != first)


def _find_label_form(manifest: Manifest, evaluation: RepresentativeDataset) -> LabelForm:
    """What labels are, as the evaluation data has them."""
    labels = evaluation.labels(inputs=manifest.server.inputs)
    outputs = manifest.server.outputs
    if len(outputs) != 1:
        raise InputError(f"the model has {len(outputs)} outputs: a table of labels is for models with one")
    names = {"y", *(f"y_{output.name}" for output in outputs)} & set(labels)
    if len(labels) != 1 or not names:
        raise InputError(
            f"the evaluation data has labels {', '.join(labels) or 'none'}: a table of labels is for one labelled output"
        )
    key = next(iter(labels))
    array = labels[key]
    if array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 1):
        raise InputError(f"labels of shape {array.shape[1:]} a sample cannot be written in a table of labels")
    if array.dtype.kind == "f":
        return LabelForm(None, array.dtype.str, array.shape[1:])
    output = next(item for item in outputs if key in ("y", f"y_{item.name}"))
    wide = output.shape[-1] if len(output.shape) > 1 and output.shape[-1] and output.shape[-1] > 1 else 2
    given = manifest.labels or ()
    classes = tuple(given[number] if number < len(given) else str(number) for number in range(wide))
    return LabelForm(classes, array.dtype.str, array.shape[1:])
