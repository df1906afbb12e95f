"""Write train/data/spoken-digits-synthetic.npz.xz by the speech synthesizer espeak-ng (Debian's package, 1.51).

    apt install espeak-ng
    python -m scripts.maintain.embed_spoken_digits

Each voice says the ten digits in two accents, with a speed and a pitch that are drawn. The words are brought to 8 kHz,
cut to what is heard, and kept in 8 bits by the mu-law. Nothing is recorded: the sounds are synthetic.
"""

from __future__ import annotations

import io
import subprocess
import sys
import wave

import numpy as np
from scipy.signal import resample_poly

from edgeship.train import embedded
from edgeship.train.dataset import Array
from edgeship.train.own_data.built_in.spoken_digits import FILE, LABELS, LENGTH, RATE, compress

ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029")
# espeak-ng's variants, without those that whisper, croak, or are robots and copies of others.
VOICES = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "Alex", "Alicia", "Andrea", "Andy"),
    *(
        "Annie",
        "Denis",
        "Diogo",
        "Gene",
        "Henrique",
        "Hugo",
        "Jacky",
        "Lee",
        "Marco",
        "Mario",
        "Michael",
        "Mike",
        "adam",
    ),
    *("anika", "antonio", "aunty", "belinda", "benjamin", "boris", "caleb", "david", "ed", "edward", "gustave", "iven"),
    *("john", "linda", "marcelo", "max", "michel", "miguel", "norbert", "pablo", "paul", "pedro", "quincy", "rob"),
    *("robert", "sandro", "shelby", "steph", "travis", "victor", "zac"),
)
COUNT = 48  # voices that are taken
SEED = 1951
SILENT = 0.02  # of the peak: what is below at the ends is cut
LONGEST = LENGTH - RATE // 20  # samples of a word


def speak(word: str, voice: str, accent: str, speed: int, pitch: int) -> Array:
    """The word at RATE, float64 with a peak of 0.95, without the silence around it."""
    command = ["espeak-ng", "-v", f"{accent}+{voice}", "-s", str(speed), "-p", str(pitch), "--stdout", word]
    spoken = subprocess.run(command, capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(spoken)) as file:
        rate, content = file.getframerate(), spoken[44:]
    sound = resample_poly(np.frombuffer(content[: len(content) // 2 * 2], "<i2").astype(np.float64), RATE, rate)
    loud = np.flatnonzero(np.abs(sound) > SILENT * np.abs(sound).max())
    sound = sound[loud[0] : loud[-1] + 1][:LONGEST]
    result: Array = 0.95 * sound / np.abs(sound).max()
    return result


def main() -> None:
    """Write the file and print the digest that the task holds."""
    random = np.random.default_rng(SEED)
    voices = sorted(random.permutation(VOICES)[:COUNT].tolist())
    sounds, labels, numbers = list[Array](), list[int](), list[int]()
    for number, voice in enumerate(voices):
        for accent in random.permutation(ACCENTS)[:2].tolist():
            speed, pitch = int(random.integers(130, 210)), int(random.integers(25, 75))
            for label, word in enumerate(LABELS):
                sounds.append(speak(word, voice, accent, speed, pitch))
                labels.append(label)
                numbers.append(number)
    path = embedded.FOLDER / FILE
    digest = embedded.write(
        path,
        {
            "sounds": compress(np.concatenate(sounds)),
            "lengths": np.array([len(sound) for sound in sounds], np.int32),
            "labels": np.array(labels, np.uint8),
            "voices": np.array(numbers, np.uint8),
            "names": np.frombuffer("\n".join(voices).encode(), np.uint8),
        },
    )
    lengths = np.array([len(sound) for sound in sounds]) / RATE
    print(f'DIGEST = "{digest}"  # {len(sounds)} words of {lengths.mean():.2f} s, {path.stat().st_size:,} bytes')
    if (lengths * RATE >= LONGEST).any():
        print(f"{int((lengths * RATE >= LONGEST).sum())} words were cut at {LONGEST / RATE:.2f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
