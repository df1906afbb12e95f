"""Write train/data/fashion-mnist.npz.xz from the idx files of Fashion-MNIST (Debian: dataset-fashion-mnist).

    python -m scripts.maintain.embed_fashion_mnist /usr/share/datasets/fashion-mnist

Takes all test images and the first `PER_CLASS` training images of each class, in the official order. Images are stored
column by column: lzma makes garments, which are longer than they are wide, 5 % smaller that way.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from edgeship.train import embedded, idx
from edgeship.train.dataset import digest_of

PER_CLASS = 2700


def main() -> None:
    """Write the file and print the digests that train/fashion_mnist.py holds."""
    official = idx.read_set(Path(sys.argv[1]))
    train_images, train_labels, test_images, test_labels = official
    kept = np.sort(np.concatenate([np.flatnonzero(train_labels == label)[:PER_CLASS] for label in range(10)]))
    path = embedded.FOLDER / "fashion-mnist.npz.xz"
    digest = embedded.write(
        path,
        {
            "train_columns": np.ascontiguousarray(train_images[kept].transpose(0, 2, 1)),
            "train_labels": train_labels[kept],
            "test_columns": np.ascontiguousarray(test_images.transpose(0, 2, 1)),
            "test_labels": test_labels,
        },
    )
    print(f"OFFICIAL_DIGEST = {digest_of(*official)!r}")
    print(f"EMBEDDED_DIGEST = {digest!r}  # {len(kept)} + {len(test_labels)} images, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
