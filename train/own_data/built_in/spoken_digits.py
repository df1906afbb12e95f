"""English digits, zero to nine, of a speech synthesizer in noise: openly synthetic, since no real recordings were to be had.

Voices of espeak-ng say each digit in two accents (`scripts/maintain/embed_spoken_digits.py`). Every word is then set anywhere in
0.8 seconds, made louder or softer, and laid under noise, the same each time that the data are read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeship.light_dataclass import dataclass
from edgeship.train import embedded
from edgeship.train.dataset import Array, digest_of
from edgeship.train.own_data.samples import OwnData, Target
from edgeship.train.own_data.sources.recordings import Sounds, describe_sounds

FILE = "spoken-digits-synthetic.npz.xz"
DIGEST = "e22e525eac98b778bb615329a3a94da37633bc0c95347a2acc6f526b054526f9"
LABELS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RATE, LENGTH = 8000, 6400  # samples per second, and of a sound
TEST_VOICES = 16
TRAIN_RENDERINGS, TEST_RENDERINGS = 6, 12  # of each word
SEED = 2026
MU = 255.0  # of ITU-T G.711's companding


@dataclass(frozen=True)
class Words:
    """Words one after the other in `sounds`, float32 (samples,) up to 1, with `lengths`, `labels`, `voices` and their `names`."""

    sounds: Array
    lengths: Array
    labels: Array
    voices: Array
    names: tuple[str, ...]


def compress(sounds: Array) -> Array:
    """Numbers from -1 to 1 as uint8, by the mu-law (ITU-T G.711's curve, with 256 even steps)."""
    curved = np.sign(sounds) * np.log1p(MU * np.abs(sounds)) / np.log1p(MU)
    codes: Array = np.rint((curved + 1) / 2 * 255).astype(np.uint8)
    return codes


def expand(codes: Array) -> Array:
    """What `compress` made them of, float32."""
    curved = codes.astype(np.float32) / 255 * 2 - 1
    expanded: Array = np.sign(curved) * np.expm1(np.abs(curved) * np.log1p(MU)) / MU
    return expanded.astype(np.float32)


def read_words() -> tuple[Words, str]:
    """The embedded words and their digest. Raises InputError where the installation is damaged."""
    arrays = embedded.read(embedded.FOLDER / FILE, DIGEST)
    names = tuple(bytes(arrays["names"]).decode().split("\n"))
    words = Words(expand(arrays["sounds"]), arrays["lengths"], arrays["labels"], arrays["voices"], names)
    return words, digest_of(*(arrays[name] for name in sorted(arrays)))


def read_spoken_digits(work: Path) -> OwnData:
    """All sounds, int16 (n, 6400) in a file in `work`; no voice is in two splits."""
    words, digest = read_words()
    test_voices = choose_test_voices(len(words.names))
    times = np.where(np.isin(words.voices, test_voices), TEST_RENDERINGS, TRAIN_RENDERINGS)
    places = np.repeat(np.arange(len(times)), times)
    sounds = np.lib.format.open_memmap(work / "sounds.npy", "w+", np.int16, (len(places), LENGTH))
    ends = np.cumsum(words.lengths)
    numbers = np.concatenate([np.arange(count) for count in times])
    for row, (place, number) in enumerate(zip(places.tolist(), numbers.tolist(), strict=True)):
        word = words.sounds[ends[place] - words.lengths[place] : ends[place]]
        sounds[row] = render_word(word, np.random.default_rng([SEED, place, number]))
    voices = words.voices[places]
    return describe_sounds(
        Sounds(sounds, RATE, 1),
        name="spoken digits, synthetic",
        target=Target("digit", LABELS),
        targets=words.labels[places].astype(np.int64),
        describe_row=lambda row: f"{LABELS[words.labels[places[row]]]} by {words.names[voices[row]]}, {numbers[row]}",
        digest=digest,
        groups=np.array(words.names)[voices],
        grouped_by="voice",
        held_out=np.flatnonzero(np.isin(voices, test_voices)),
        source="espeak-ng 1.51, embedded in edgeship",
        licence="Apache-2.0, as edgeship",
        notes=(
            "synthetic: every sound is made by a speech synthesizer and laid under noise that was drawn; how well the model "
            "hears people is not known",
            "sounds of one word resemble each other: the real uncertainty is larger than the intervals, which count them as "
            "independent",
        ),
    )


def choose_test_voices(count: int) -> Array:
    """The numbers of the voices that are tested, of so many."""
    return np.sort(np.random.default_rng(SEED).permutation(count)[:TEST_VOICES])


def render_word(word: Array, generator: np.random.Generator) -> Array:
    """A word (samples,) up to 1 somewhere in LENGTH samples of noise, as PCM int16: 5 to 25 dB louder than the noise."""
    from scipy.signal import lfilter

    start = generator.integers(0, LENGTH - len(word) + 1)
    noise = lfilter([1.0], [1.0, -generator.uniform(0, 0.9)], generator.standard_normal(LENGTH))
    ratio = 10 ** (-generator.uniform(5, 25) / 20)
    noise *= ratio * np.sqrt(np.square(word).mean() / np.square(noise).mean())
    noise[start : start + len(word)] += word
    peak = 10 ** (-generator.uniform(0, 15) / 20)
    pcm: Array = np.rint(noise * (32767 * peak / np.abs(noise).max())).astype(np.int16)
    return pcm
