"""WAV files as samples: PCM as an app has it; the spectrum is made inside the model, by matrices that never change."""

from __future__ import annotations

import wave
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.deploy.contract.describe import describe_inputs
from edgeship.deploy.contract.preprocess import preprocess_input
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.settings.inputs import InputForm
from edgeship.train.dataset import Array
from edgeship.train.own_data.networks import SOUND_SIZES, sound_network
from edgeship.train.own_data.samples import OwnData, Prepared
from edgeship.train.own_data.sources.named_files import NamedFiles, choose_files, read_readable
from edgeship.train.own_data.sources.sample_pictures import draw_sound
from edgeship.types import TensorSpec
from edgeship.untrusted import printable

NAME = "sound"
SUFFIXES = (".wav",)
LONGEST = 5  # seconds of a recording that the model hears
USUAL = 90  # percent of the recordings are heard to their end
WIDTH = 2  # bytes of a value
FEATURES = 512  # energies of a recording that a linear model takes


@dataclass(frozen=True)
class Sounds:
    """PCM of 16 bits: `pcm` int16 (n, length), mixed to one channel, at `rate`; an app has so many `channels`."""

    pcm: Array
    rate: int
    channels: int

    @property
    def form(self) -> dict[str, Any]:
        """How an app makes the model's sounds."""
        return _describe_form(self.rate, self.channels)


def _describe_form(rate: int, channels: int) -> dict[str, Any]:
    return {"kind": "audio", "rate": float(rate), "channels": channels, "multiply": 1.0, "add": 0.0}


def read_recordings(files: NamedFiles, work: Path) -> OwnData:
    """PCM of 16 bits in a file in `work`, int16 (n, length), mixed to one channel, cut or filled up with silence at the end.

    Raises InputError where rates or channels differ, or too many files cannot be read.
    """
    rate, channels, length = _choose_form(files)
    form = _describe_form(rate, channels)
    spec = TensorSpec(NAME, (None, length), "float32")
    (item,) = describe_inputs([spec], {NAME: np.zeros((1, length), np.float32)}, {NAME: InputForm(**form)}, real=False)
    sounds = np.lib.format.open_memmap(work / "recordings.npy", "w+", np.int16, (len(files.names), length))

    def keep(number: int, pcm: Array) -> None:
        sounds[number] = preprocess_input(item, pcm)[0]

    good, notes = read_readable(files, lambda path: _read_wav(path, length), keep)
    files = choose_files(files, good)
    return describe_sounds(
        Sounds(sounds[: len(good)], rate, channels),
        name=files.folder.name,
        target=files.target,
        targets=files.targets,
        describe_row=lambda row: files.names[row],
        digest=files.digest(),
        groups=files.groups,
        grouped_by=files.grouped_by,
        notes=notes,
    )


def describe_sounds(sounds: Sounds, **facts: Any) -> OwnData:
    """PCM as samples; `facts` are the further fields of `OwnData`."""
    pcm, rate = sounds.pcm, sounds.rate
    return OwnData(
        kind="recordings",
        prepare=lambda _: Prepared({NAME: pcm}, {NAME: sounds.form}, partial(sound_network, rate=rate), SOUND_SIZES),
        features=lambda rows: _take_energies(pcm, rows),
        draw_row=lambda row: draw_sound(pcm[row], rate),
        preprocessing=f"PCM of 16 bits at {rate:,} Hz, {pcm.shape[1]:,} values; the spectrum is made inside the model",
        **facts,
    )


def _choose_form(files: NamedFiles) -> tuple[int, int, int]:
    """Rate, channels and the number of values that the model hears."""
    forms: dict[tuple[int, int], str] = {}
    lengths = []
    for name, path in zip(files.names, files.paths(), strict=True):
        try:
            with wave.open(str(path), "rb") as file:
                forms.setdefault((file.getframerate(), file.getnchannels()), name)
                lengths.append(file.getnframes())
        except (OSError, EOFError, wave.Error):
            continue
    if not forms:
        raise InputError(
            f"{printable(files.folder)}: none of the recordings can be read, as {printable(files.names[0])}"
        )
    if len(forms) > 1:
        found = "; ".join(
            f"{rate} Hz, {count} channel(s): {printable(name)}" for (rate, count), name in sorted(forms.items())[:3]
        )
        raise InputError(f"{printable(files.folder)}: recordings differ ({found}); bring them to one rate first")
    ((rate, channels),) = forms
    return rate, channels, max(1, min(int(np.percentile(lengths, USUAL)), LONGEST * rate))


def _read_wav(path: Path, length: int) -> Array:
    """The first `length` values, int16 (n, channels). Raises InputError where the file is no WAV of 16 bits."""
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != WIDTH:
                raise InputError(f"{8 * file.getsampwidth()} bits a value, not 16")
            content, channels = file.readframes(length), file.getnchannels()
    except (OSError, EOFError, wave.Error) as error:
        raise InputError(" ".join(str(error).split())[:100] or "damaged") from error
    if not content:
        raise InputError("empty")
    return np.frombuffer(content, "<i2").reshape(-1, channels).astype(np.int16)


def _take_energies(sounds: Array, rows: Array) -> Array:
    """The logarithm of the energy of each of FEATURES pieces (or of every value), float32 (rows, pieces)."""
    size = max(1, sounds.shape[1] // FEATURES)
    count = sounds.shape[1] // size
    chosen = sounds[rows][:, : count * size].astype(np.float32).reshape(len(rows), count, size)
    energies: Array = np.log1p(np.square(chosen).mean(axis=2))
    return energies
