"""Pictures as samples: each is decoded once and brought to the model's size by the steps that the contract gives to apps."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.deploy.contract.describe import describe_inputs
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.preprocess import preprocess_input
from edgeship.errors import InputError
from edgeship.settings.inputs import InputForm
from edgeship.train import idx
from edgeship.train.dataset import Array, digest_of
from edgeship.train.own_data.networks import picture_network, picture_sizes
from edgeship.train.own_data.samples import OwnData, Prepared
from edgeship.train.own_data.sources.arrays import read_labels
from edgeship.train.own_data.sources.named_files import NamedFiles, choose_files, read_readable
from edgeship.train.own_data.sources.sample_pictures import draw_pixels
from edgeship.types import TensorSpec
from edgeship.untrusted import printable

NAME = "image"
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
LOOKED_AT = 300  # pictures that size and colour are chosen by
LONGEST_SIDE, LEAST_SIDE = 96, 8  # pixels of the model's pictures
BASELINE_SIDE = 16  # every so many pixels of a picture are what a linear model takes, so that no side has more
ORIENTATION = 0x0112  # the tag of EXIF
GREY_MODES = ("1", "L", "LA")


def read_pictures(files: NamedFiles, work: Path) -> OwnData:
    """Decode all pictures into a file in `work`, uint8 (n, height, width, 1 or 3).

    Raises InputError where too many cannot be read.
    """
    height, width, grey = _choose_form(files)
    shape = (height, width, 1 if grey else 3)
    form = _describe_form(grey)
    spec = TensorSpec(NAME, (None, *shape), "float32")
    (item,) = describe_inputs([spec], {NAME: np.zeros((1, *shape), np.float32)}, {NAME: InputForm(**form)}, real=False)
    pixels = np.lib.format.open_memmap(work / "pictures.npy", "w+", np.uint8, (len(files.names), *shape))

    def keep(number: int, tensor: Array) -> None:
        pixels[number] = tensor[0]

    good, notes = read_readable(files, lambda path: _read_picture(path, item), keep)
    files = choose_files(files, good)
    return OwnData(
        kind="pictures",
        name=files.folder.name,
        target=files.target,
        targets=files.targets,
        prepare=lambda _: Prepared({NAME: pixels[: len(good)]}, {NAME: form}, picture_network, picture_sizes(shape)),
        features=lambda rows: _take_pixels(pixels, rows),
        describe_row=lambda row: files.names[row],
        draw_row=lambda row: draw_pixels(pixels[row]),
        digest=files.digest(),
        preprocessing=f"pictures of {height} x {width}, as [input.{NAME}] in inputs.toml says it: bytes, 0 to 255",
        groups=files.groups,
        grouped_by=files.grouped_by,
        notes=notes,
    )


def read_idx(folder: Path) -> OwnData:
    """The grey pictures of four idx files, as MNIST has them: its own test pictures are those that are tested.

    Raises InputError where files are damaged, do not belong together, or the pictures are too small.
    """
    images, classes, test_images, test_classes = idx.read_set(folder)
    if min(images.shape[1:]) < LEAST_SIDE:
        raise InputError(
            f"{printable(folder)}: pictures of {images.shape[1]} x {images.shape[2]} are too small, need {LEAST_SIDE}"
        )
    target, targets = read_labels(folder, np.concatenate([classes, test_classes]))
    pixels = np.concatenate([images, test_images])[..., None]
    return OwnData(
        kind="pictures",
        name=folder.name,
        target=target,
        targets=targets,
        prepare=lambda _: Prepared(
            {NAME: pixels}, {NAME: _describe_form(grey=True)}, picture_network, picture_sizes(pixels.shape[1:])
        ),
        features=lambda rows: _take_pixels(pixels, rows),
        describe_row=lambda row: f"picture {row}" if row < len(images) else f"test picture {row - len(images)}",
        draw_row=lambda row: draw_pixels(pixels[row]),
        digest=digest_of(images, classes, test_images, test_classes),
        preprocessing=f"pictures of {images.shape[1]} x {images.shape[2]}: bytes, 0 to 255",
        held_out=np.arange(len(images), len(pixels)),
    )


def _describe_form(grey: bool) -> dict[str, Any]:
    """How an app makes the model's pictures."""
    return {
        "kind": "image",
        "colour": "grey" if grey else "rgb",
        "fit": "cover",
        "resampler": "area",
        "border": 0,
        "ground": "any",
        "multiply": 1.0,
        "add": 0.0,
    }


def _choose_form(files: NamedFiles) -> tuple[int, int, bool]:
    """Height and width of the model's pictures, the median's at most LONGEST_SIDE long, and whether all looked at are grey."""
    from PIL import Image

    step = max(1, len(files.names) // LOOKED_AT)
    sizes, modes = list[tuple[int, int]](), Counter[str]()
    for path in list(files.paths())[::step]:
        try:
            with Image.open(path) as picture:
                sizes.append(picture.size)
                modes[picture.mode] += 1
        except Exception:  # noqa: S112  # what cannot be read is told where all are read
            continue
    if not sizes:
        raise InputError(f"{files.folder}: none of the pictures can be read, as {files.names[0]}")
    width, height = (float(value) for value in np.median(np.array(sizes), axis=0))
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    sides = [max(LEAST_SIDE, round(side * scale)) for side in (height, width)]
    return sides[0], sides[1], set(modes) <= set(GREY_MODES)


def _read_picture(path: Path, item: ContractInput) -> Array:
    """The model's picture, float32 (1, height, width, channels). Raises InputError where the file is none."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            orientation = picture.getexif().get(ORIENTATION, 1)
            if picture.mode.startswith(("I", "F")):
                raise InputError("more than 8 bits a channel")
            see_through = picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info
            mode = "RGBA" if see_through else "L" if picture.mode in GREY_MODES else "RGB"
            pixels = np.asarray(picture.convert(mode))
    except InputError:
        raise
    except Exception as error:  # what a decoder raises over a damaged file is not documented
        raise InputError(" ".join(str(error).split())[:100] or type(error).__name__) from error
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    return preprocess_input(item, pixels, orientation if orientation in range(1, 9) else 1)


def _take_pixels(pixels: Array, rows: Array) -> Array:
    """Every so many pixels, float32 (rows, features), none missing."""
    down, across = (max(1, -(-side // BASELINE_SIDE)) for side in pixels.shape[1:3])
    few: Array = pixels[:, ::down, ::across][rows]
    return few.reshape(len(rows), -1).astype(np.float32)
