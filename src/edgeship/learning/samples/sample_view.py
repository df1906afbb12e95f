"""A sample as a person sees it: a picture, curves over time, or a row of values."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from edgeship.data import Batch
from edgeship.light_dataclass import dataclass
from edgeship.settings.inputs import InputForm

Array = np.ndarray[Any, Any]
LEAST_SIDE = 224  # pixels of a picture on the page, by whole pixels of its own
MOST_POINTS = 800  # of a curve
MOST_CURVES, MOST_VALUES = 12, 64
CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class SampleView:
    """One input of a sample: a `picture` as a data address, `curves` of numbers, or `values` as texts by name."""

    input: str
    kind: Literal["picture", "curves", "values"]
    picture: str = ""
    curves: tuple[tuple[float, ...], ...] = ()
    values: tuple[tuple[str, str], ...] = ()


def view_sample(inputs: Batch, forms: Mapping[str, InputForm]) -> tuple[SampleView, ...]:
    """The views of one sample, whose tensors have no batch axis. `forms`: what apps have in hand, where a configuration tells."""
    return tuple(_view(name, array, forms.get(name)) for name, array in inputs.items())


def _view(name: str, array: Array, form: InputForm | None) -> SampleView:
    kind = form.kind if form else None
    is_picture = array.ndim == 3 and array.shape[-1] in CHANNELS and min(array.shape[:2]) > 1
    if (
        kind == "image"
        or (kind is None and is_picture)
        or (kind is None and array.ndim == 2 and min(array.shape) >= 16)
    ):
        return SampleView(name, "picture", picture=_draw_picture(array, form))
    if kind in ("audio", "window") or (array.ndim in (1, 2) and array.shape[0] > MOST_VALUES):
        return SampleView(name, "curves", curves=_trace_curves(array))
    return SampleView(name, "values", values=_list_values(array, form))


def _draw_picture(array: Array, form: InputForm | None) -> str:
    from PIL import Image

    pixels = array.astype(np.float64)
    if form and form.kind == "image" and np.all(form.multiply or 0):
        pixels = (pixels - np.asarray(form.add or 0.0)) / np.asarray(form.multiply)
    elif pixels.min() < 0 or pixels.max() > 255 or pixels.max() <= 1:
        low, high = (0.0, 1.0) if pixels.min() >= 0 and pixels.max() <= 1 else (pixels.min(), pixels.max())
        pixels = (pixels - low) * (255 / max(high - low, 1e-12))
    bytes_ = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    picture = Image.fromarray(bytes_[..., 0] if bytes_.ndim == 3 and bytes_.shape[-1] == 1 else bytes_)
    times = max(1, LEAST_SIDE // max(picture.size))
    if times > 1:
        picture = picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"


def _trace_curves(array: Array) -> tuple[tuple[float, ...], ...]:
    """Each channel over time, by the means of equal parts where there are more points than the page has room for."""
    columns = array.reshape(len(array), -1).astype(np.float64)[:, :MOST_CURVES]
    if len(columns) > MOST_POINTS:
        parts = np.array_split(columns, MOST_POINTS)
        columns = np.stack([part.mean(axis=0) for part in parts])
    return tuple(tuple(float(f"{value:.5g}") for value in column) for column in columns.T)


def _list_values(array: Array, form: InputForm | None) -> tuple[tuple[str, str], ...]:
    flat = array.reshape(-1)[:MOST_VALUES].tolist()
    columns = [column.name for column in form.columns] if form else []
    names = columns if len(columns) == len(flat) else [f"value {number + 1}" for number in range(len(flat))]
    return tuple((name, f"{value:.6g}") for name, value in zip(names, flat, strict=True))
