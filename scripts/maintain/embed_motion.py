"""Write train/data/motion.npz.xz from `data/watch_dataset.npy` of the PyPI package seglearn 1.2.5.

    pip download --no-deps seglearn==1.2.5 && unzip seglearn-1.2.5-py3-none-any.whl 'seglearn/data/*'
    python -m scripts.maintain.embed_motion seglearn/data/watch_dataset.npy

The file is a pickle, which can run code when it is read: its digest is checked first. The sensor values are kept to
1/1000 of their unit (g and rad/s) as int16, and stored as differences along time, one channel after the other.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from edgeship.storage import digest
from edgeship.train import embedded

SOURCE_DIGEST = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"


def main() -> None:
    """Write the file and print the digest that train/motion.py holds."""
    source = Path(sys.argv[1])
    if digest.of_path(source) != SOURCE_DIGEST:
        sys.exit(f"{source}: not the file of seglearn 1.2.5, so it is not unpickled")
    recordings = np.load(source, allow_pickle=True).item()
    milli = np.round(np.concatenate(recordings["X"]) * 1000)
    if np.abs(milli).max() >= 2**15:
        sys.exit(f"{source}: values of up to {np.abs(milli).max() / 1000:g} do not fit into int16 thousandths")
    # Differences wrap around in int16; summing them up in int16 again wraps back.
    steps = np.diff(milli.astype(np.int16), axis=0, prepend=np.zeros((1, 6), np.int16))
    path = embedded.FOLDER / "motion.npz.xz"
    found = embedded.write(
        path,
        {
            "steps": np.ascontiguousarray(steps.T),
            "lengths": np.array([len(item) for item in recordings["X"]], np.int32),
            "subjects": recordings["subject"].astype(np.uint8),
            "labels": recordings["y"].astype(np.uint8),
        },
    )
    print(f"EMBEDDED_DIGEST = {found!r}  # {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
