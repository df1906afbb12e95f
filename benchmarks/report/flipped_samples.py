"""The flipped samples themselves: kept in the bundle, and drawn as images or curves for the report."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeship import untrusted
from edgeship.bundle.figures.comparisons import FlippedSample
from edgeship.bundle.manifest import Manifest
from edgeship.data import load
from edgeship.errors import InputError

Array = np.ndarray[Any, Any]
FILE = "report/samples.npz"
SHOWN = 12  # per artifact
LARGEST = 24_000_000  # bytes of samples that a bundle carries at most
SIDE = 112  # pixels of the longer side of a picture
LEAST_SIDE = 12  # a rank-2 sample with fewer rows or columns is channels over time, not a picture


def choose_flips(flips: Iterable[FlippedSample]) -> list[FlippedSample]:
    """The flips that tell most: answers that became wrong first, the server model's surest among them first."""
    return sorted(flips, key=lambda flip: (flip.server != flip.label, -flip.server_confidence))[:SHOWN]


def write_samples(root: Path, manifest: Manifest, batches: Iterable[Mapping[str, Array]]) -> None:
    """Keep the inputs of the flips that the report shows, of all measurements, in `report/samples.npz` of a bundle.

    `batches` yields the evaluation inputs in order, {input name: (n, ...)}; they are read once and not all held.
    """
    reports = (item.details.accuracy for item in manifest.measurements)
    indices = {flip.index for report in reports if report for flip in choose_flips(report.flips)}
    samples: dict[int, dict[str, Array]] = {}
    room, start, missing = LARGEST, 0, indices
    for batch in batches:
        size = len(next(iter(batch.values())))
        for index in sorted(item for item in missing if start <= item < start + size):
            sample = {name: array[index - start] for name, array in batch.items()}
            room -= sum(array.nbytes for array in sample.values())
            if room < 0:
                missing.clear()
                break
            samples[index] = sample
        start += size
        missing -= samples.keys()
        if not missing:
            break
    if not samples:
        return
    names = next(iter(samples.values()))
    arrays: dict[str, Any] = {
        f"input:{name}": np.stack([sample[name] for sample in samples.values()]) for name in names
    }
    (root / FILE).parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(root / FILE, index=np.fromiter(samples, np.int64), **arrays)


def read_samples(root: Path) -> dict[int, dict[str, Array]]:
    """The kept samples by their index in the evaluation data; empty where none were kept."""
    if not (root / FILE).is_file():
        return {}
    arrays = load(root / FILE)
    if "index" not in arrays or len({array.shape[:1] for array in arrays.values()} | {()}) != 2:
        raise InputError(f"{untrusted.printable(root / FILE)}: not the samples of a report; benchmark the bundle again")
    inputs = {name.removeprefix("input:"): array for name, array in arrays.items() if name.startswith("input:")}
    indices = arrays["index"]
    return {int(index): {name: array[row] for name, array in inputs.items()} for row, index in enumerate(indices)}


def draw_sample(sample: Mapping[str, Array]) -> tuple[str, str]:
    """One sample as ("image", data URI), ("curve", SVG) or ("text", values): the input that can be seen best."""
    for array in sample.values():
        pixels = _as_pixels(array)
        if pixels is not None:
            return "image", _data_uri(pixels)
    curves = [array for array in sample.values() if array.ndim in (1, 2) and max(array.shape) > 16]
    if curves:
        return "curve", _draw_curve(curves[0])
    return "text", "; ".join(f"{untrusted.printable(name)}: {_list_values(array)}" for name, array in sample.items())


def _as_pixels(array: Array) -> Array | None:
    """A sample as (height, width) or (height, width, 3) floats, or None where it does not look like an image."""
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[-1] not in (1, 3, 4):
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 3 and array.shape[-1] in (1, 3, 4):
        array = array[..., 0] if array.shape[-1] == 1 else array[..., :3]
    elif array.ndim != 2:
        return None
    if min(array.shape[:2]) < LEAST_SIDE:
        return None
    return array.astype(np.float64)


def _data_uri(pixels: Array) -> str:
    from PIL import Image

    step = max(1, -(-max(pixels.shape[:2]) // SIDE))
    pixels = pixels[::step, ::step]
    low, high = float(pixels.min()), float(pixels.max())
    for known_low, known_high in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        if known_low <= low and high <= known_high:
            low, high = known_low, known_high
            break
    scaled = np.clip((pixels - low) / ((high - low) or 1.0) * 255, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(scaled).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _draw_curve(array: Array) -> str:
    """Channels over the longer axis as lines in one small SVG, each channel on the common scale."""
    table = array.reshape(len(array), -1).astype(np.float64)
    if table.shape[0] < table.shape[1]:
        table = table.T
    table = table[:: max(1, len(table) // 200)]
    low, high = float(table.min()), float(table.max())
    x = np.linspace(0, 120, len(table))
    y = 58 - (table - low) / ((high - low) or 1.0) * 56
    lines = []
    for channel, line in enumerate(y.T[:12]):
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, line, strict=True))
        lines.append(f'<polyline class="c{channel % 6}" points="{points}"/>')
    return f'<svg viewBox="0 0 120 60" role="img" aria-label="the sample as a curve">{"".join(lines)}</svg>'


def _list_values(array: Array) -> str:
    values = np.asarray(array).ravel()
    return ", ".join(f"{value:.4g}" for value in values[:12]) + (", …" if values.size > 12 else "")
