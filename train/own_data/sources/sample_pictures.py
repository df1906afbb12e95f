"""What a sample looks like to people: a thumbnail, the curves of a window, the wave and the spectrum of a recording."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np

from edgeship.train.dataset import Array
from edgeship.train.own_data.samples import Picture

PNG = "image/png"
SIDE = 96  # pixels that a thumbnail's longer side has at least
MOST_CHANNELS = 8  # curves of a window
MOST_POINTS = 2000  # of a curve
SIZE = (3.2, 1.6)  # inches


def draw_pixels(pixels: Array) -> Picture:
    """A thumbnail of a sample (height, width, channels): bytes as they are, other numbers from their least to their most.

    Grey where there are neither one channel nor three.
    """
    from PIL import Image

    values = np.asarray(pixels, np.float32)
    if pixels.dtype != np.uint8 and not (values.min() >= 0 and 1 < values.max() <= 255):
        spread = float(np.ptp(values)) or 1.0
        values = (values - values.min()) * (255 / spread)
    if values.shape[2] not in (1, 3):
        values = values.mean(axis=2, keepdims=True)
    whole = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    picture = Image.fromarray(whole[:, :, 0] if whole.shape[2] == 1 else whole)
    scale = max(1, -(-SIDE // max(picture.size)))
    out = BytesIO()
    picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST).save(out, "PNG")
    return Picture(PNG, out.getvalue())


def draw_window(values: Array) -> Picture:
    """The curves of a window (time, channels), in their own units; of many channels the first ones."""
    figure, axes = _new_figure(1)
    step = max(1, len(values) // MOST_POINTS)
    axes[0].plot(np.arange(len(values))[::step], np.asarray(values, np.float64)[::step, :MOST_CHANNELS], linewidth=0.8)
    axes[0].margins(x=0)
    return _to_png(figure)


def draw_sound(pcm: Array, rate: int) -> Picture:
    """The wave of PCM (values,) in its full scale, and its spectrum over time in decibels."""
    figure, (wave, spectrum) = _new_figure(2)
    values = np.asarray(pcm, np.float64) / 32768
    seconds = len(values) / rate
    wave.plot(np.linspace(0, seconds, len(values)), values, linewidth=0.4)
    wave.set(xlim=(0, seconds), xticks=[])
    size = max(16, min(512, len(values) // 8))
    # A little noise floor: the logarithm of silence is nothing that could be drawn.
    powers = np.square(np.abs(_short_spectra(values, size))) + 1e-10
    spectrum.imshow(
        10 * np.log10(powers.T), origin="lower", aspect="auto", extent=(0, seconds, 0, rate / 2000), cmap="magma"
    )
    spectrum.set(xlabel="s", ylabel="kHz")
    return _to_png(figure)


def _short_spectra(values: Array, size: int) -> Array:
    """Amplitudes of pieces of `size` under a Hann window, half of each in the next one: (pieces, frequencies)."""
    if len(values) < size:
        values = np.pad(values, (0, size - len(values)))
    pieces = np.lib.stride_tricks.sliding_window_view(values, size)[:: size // 2]
    spectra: Array = np.fft.rfft(pieces * np.hanning(size), axis=1) / size
    return spectra


def _new_figure(rows: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIZE[0], SIZE[1] * (1 if rows == 1 else 1.4)), dpi=100, layout="constrained")
    axes = figure.subplots(rows, 1, squeeze=False)[:, 0]
    for item in axes:
        item.tick_params(labelsize=6)
        item.xaxis.label.set_size(6)
        item.yaxis.label.set_size(6)
    return figure, axes


def _to_png(figure: Any) -> Picture:
    out = BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return Picture(PNG, out.getvalue())
