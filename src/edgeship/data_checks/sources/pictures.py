"""The checks of a folder of pictures, with a folder for each class."""

from __future__ import annotations

import base64
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.data_checks.checks import check_splits
from edgeship.data_checks.judge import quote
from edgeship.data_checks.methods.duplicates import hash_text
from edgeship.data_checks.methods.features import Array, Feature, encode_categories
from edgeship.data_checks.methods.projection import Projection, fit_projection
from edgeship.data_checks.report import DataReport, Finding
from edgeship.data_checks.split import Split, draw_samples
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import printable

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
DRAWN = 5_000
SIDE = 16  # pixels of a picture as models take it
MOST_UNREADABLE = 100
NAMED = 10
SHEET, SHEET_SIDE = 36, 96  # pictures on the page, and pixels of their longer side
HINT = "a folder of pictures holds a folder for each class"


@dataclass(frozen=True)
class Pictures:
    """Readable pictures: `names` and `classes` (class numbers) of all, `hashes` of their pixels, and the drawn ones.

    Of the drawn: `pixels` of shape (n, 16 * 16 * 3), and `facts` that should not tell the class. `unreadable` names.
    """

    names: tuple[str, ...]
    codes: Array
    hashes: Array
    drawn: Array
    pixels: Array
    facts: tuple[Feature, ...]
    unreadable: tuple[str, ...]
    sheet: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Picture:
    digest: int
    width: int
    height: int
    mode: str
    format: str
    size: int
    pixels: Array
    thumbnail: Any


def check_pictures(path: Path, evaluation: Path | None) -> DataReport:
    """Check a folder. Raises InputError where it has no classes, one without pictures, or too many that cannot be read."""
    classes = list_classes(path)
    found = {path: (classes, read_pictures(path, classes))}
    if evaluation:
        others = list_classes(evaluation)
        if unknown := sorted({*others} - {*classes}):
            raise InputError(f"{printable(evaluation)}: class {quote(unknown[0])} is none of {printable(path)}")
        found[evaluation] = (others, read_pictures(evaluation, others))
    projection = fit_projection([pictures.pixels for _, pictures in found.values()])
    split, *other = (_build_split(place, *parts, projection) for place, parts in found.items())
    findings = [item for place, (_, pictures) in found.items() for item in _judge_unreadable(place, pictures)]
    result = check_splits(split, other[0] if other else None)
    return DataReport(
        path=str(path),
        kind="pictures",
        samples=split.samples,
        task="classification",
        label=split.label,
        evaluation=str(evaluation or ""),
        findings=(*result.findings, *findings),
        classes=dict(split.class_counts),
        scores=result.scores,
        labels=result.labels,
        shifts=result.shifts,
        skipped=result.skipped,
        pictures=found[path][1].sheet,
    )


def list_classes(path: Path) -> list[str]:
    """The names of the folders in a folder, in order. Raises InputError where there are fewer than two."""
    names = sorted(entry.name for entry in os.scandir(path) if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise InputError(f"{printable(path)}: holds no folder; {HINT}")
    if len(names) < 2:
        raise InputError(f"{printable(path)}: one class only, {quote(names[0])}; there is nothing to tell apart")
    return names


def list_files(folder: Path) -> list[Path]:
    """The pictures below a folder by their endings, in the order of their paths."""
    return sorted(
        Path(root) / name
        for root, folders, names in os.walk(folder)
        for name in names
        if name.lower().endswith(SUFFIXES) and not name.startswith(".")
    )


def read_pictures(path: Path, classes: list[str]) -> Pictures:
    """Read all pictures once. Raises InputError for a class without any, and where too many cannot be read."""
    files = [(file, code) for code, name in enumerate(classes) for file in list_files(path / name)]
    for code, name in enumerate(classes):
        if not any(found == code for _, found in files):
            raise InputError(f"{printable(path / name)}: no picture in it ({', '.join(SUFFIXES)}); {HINT}")
    drawn = set(draw_samples(len(files), DRAWN).tolist())
    shown = set(_choose_shown([code for _, code in files]))
    kept: list[tuple[str, int, int]] = []
    unreadable, pictures, sheet = [], [], []
    for index, (file, code) in enumerate(files):
        picture = _read_picture(file, thumbnail=index in shown)
        name = file.relative_to(path).as_posix()
        if picture is None:
            unreadable.append(name)
            if len(unreadable) > MOST_UNREADABLE:
                names = ", ".join(map(printable, unreadable[:NAMED]))
                raise InputError(
                    f"{printable(path)}: more than {MOST_UNREADABLE} pictures cannot be read: {names}, ..."
                )
            continue
        if index in drawn:
            pictures.append((len(kept), picture))
        if picture.thumbnail:
            sheet.append((name, picture.thumbnail))
        kept.append((name, code, picture.digest))
    if not kept:
        raise InputError(f"{printable(path)}: none of its {len(unreadable):,} pictures can be read")
    return Pictures(
        tuple(name for name, _, _ in kept),
        np.array([code for _, code, _ in kept], np.int64),
        np.array([digest for _, _, digest in kept], np.uint64),
        np.array([place for place, _ in pictures], np.int64),
        np.stack([picture.pixels for _, picture in pictures]),
        tuple(_make_facts([picture for _, picture in pictures])),
        tuple(unreadable),
        tuple(sheet),
    )


def _choose_shown(codes: list[int]) -> Iterator[int]:
    """Places of the first few pictures of each class."""
    each = max(1, SHEET // len({*codes}))
    seen: dict[int, int] = {}
    for index, code in enumerate(codes):
        seen[code] = seen.get(code, 0) + 1
        if seen[code] <= each and sum(min(count, each) for count in seen.values()) <= SHEET:
            yield index


def _read_picture(file: Path, *, thumbnail: bool) -> _Picture | None:
    """A picture; None where Pillow cannot read it, or it is larger than Pillow takes."""
    from PIL import Image

    try:
        content = file.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as image:
                plain = image.convert("RGB")
                mode, kind = image.mode, image.format or ""
    except Exception:  # what a decoder raises over a damaged file is not documented
        return None
    small = np.asarray(plain.resize((SIDE, SIDE), Image.Resampling.BOX), np.float64).reshape(-1) / 255
    digest = hash_text(repr(plain.size).encode() + plain.tobytes())
    uri = _data_uri(plain) if thumbnail else ""
    return _Picture(digest, *plain.size, mode, kind, len(content), small, uri)


def _data_uri(image: Any) -> str:
    image.thumbnail((SHEET_SIDE, SHEET_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _make_facts(pictures: list[_Picture]) -> Iterator[Feature]:
    for name in ("width", "height", "size"):
        yield Feature(
            f"{name} of a file" if name == "size" else name, np.array([float(getattr(p, name)) for p in pictures])
        )
    yield encode_categories("mode", [picture.mode for picture in pictures])
    yield encode_categories("format", [picture.format for picture in pictures])


def _build_split(path: Path, classes: list[str], pictures: Pictures, projection: Projection) -> Split:
    counts = np.bincount(pictures.codes, minlength=len(classes))
    for place, name in enumerate(classes):
        if not counts[place]:
            raise InputError(f"{printable(path / name)}: none of its pictures can be read")
    if len(pictures.codes) < 2 * len(classes):
        raise InputError(
            f"{printable(path)}: {len(classes):,} classes in {len(pictures.codes):,} pictures; each needs a few"
        )
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return Split(
        path=str(path),
        samples=len(pictures.names),
        hashes=pictures.hashes,
        drawn=pictures.drawn,
        features=projection.project(pictures.pixels),
        facts=pictures.facts,
        label="folder",
        labels=rank[pictures.codes][pictures.drawn],
        class_counts=tuple((classes[place], int(counts[place])) for place in order),
        names=pictures.names,
    )


def _judge_unreadable(path: Path, pictures: Pictures) -> list[Finding]:
    if not pictures.unreadable:
        return []
    names = tuple(map(printable, pictures.unreadable[:NAMED]))
    text = f"{len(pictures.unreadable):,} pictures of {printable(path)} cannot be read; mend or remove them"
    return [Finding("unreadable", "spoils", text, examples=names)]
