"""The matrices of a log-mel spectrum."""

from __future__ import annotations

import numpy as np

from edgeship.train.dataset import Array

MEL_BANDS = 40


def make_fourier_kernels(size: int) -> tuple[Array, Array]:
    """Cosines and sines of the frequencies k / size, k up to the half, under a Hann window: float32 (size, 1, frequencies)."""
    place, frequency = np.arange(size)[:, None], np.arange(size // 2 + 1)[None]
    window = np.hanning(size)[:, None] * 2 / size
    angles = 2 * np.pi * place * frequency / size
    cosines, sines = ((window * function(angles)).astype(np.float32)[:, None] for function in (np.cos, np.sin))
    return cosines, sines


def make_mel_matrix(size: int, rate: int) -> Array:
    """Triangles of equal width in mel (O'Shaughnessy 1987: 2595 log10(1 + f / 700)): float32 (frequencies, bands)."""
    count = min(MEL_BANDS, max(4, size // 8))
    ends = 700 * (10 ** (np.linspace(0, np.log10(1 + rate / 2 / 700), count + 2)) - 1)
    frequencies = np.arange(size // 2 + 1)[:, None] * rate / size
    up, down = (frequencies - ends[:-2]) / np.diff(ends)[:-1], (ends[2:] - frequencies) / np.diff(ends)[1:]
    triangles: Array = np.maximum(0, np.minimum(up, down)).astype(np.float32)
    return triangles
