from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from edgeship.errors import InputError
from edgeship.train import idx
from scripts.bench.training import idx as bench


def encode_idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 0x08, array.ndim, *array.shape) + array.tobytes()


def write_set(folder: Path, samples: int = 60, side: int = 12, classes: int = 3, *, gzipped: bool = False) -> None:
    """A data set in idx files whose class can be seen: the brighter, the higher."""
    generator = np.random.default_rng(0)
    for part in ("train", "t10k"):
        labels = np.arange(samples, dtype=np.uint8) % classes
        noise = generator.integers(0, 30, (samples, side, side))
        images = (noise + 70 * labels[:, None, None]).astype(np.uint8)
        for kind, array, rank in (("images", images, 3), ("labels", labels, 1)):
            data = encode_idx(array)
            name = f"{part}-{kind}-idx{rank}-ubyte"
            (folder / (name + ".gz" * gzipped)).write_bytes(gzip.compress(data) if gzipped else data)


@pytest.mark.parametrize("packed", [False, True])
def test_a_written_array_is_read_back(tmp_path: Path, packed: bool) -> None:
    array = np.random.default_rng(1).integers(0, 256, (5, 3, 4)).astype(np.uint8)
    path = tmp_path / ("x.gz" if packed else "x")
    path.write_bytes(gzip.compress(encode_idx(array)) if packed else encode_idx(array))
    np.testing.assert_array_equal(idx.read(path, 3), array)


@pytest.mark.parametrize("packed", [False, True])
def test_every_truncation_is_noticed(tmp_path: Path, packed: bool) -> None:
    data = encode_idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    data = gzip.compress(data) if packed else data
    path = tmp_path / ("x.gz" if packed else "x")
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match=str(path)):
            idx.read(path, 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"PNG!" + bytes(20), "not an idx file", id="other format"),
        pytest.param(struct.pack(">HBBI", 0, 0x0D, 1, 1) + bytes(4), "0x0d", id="floats"),
        pytest.param(encode_idx(np.zeros(4, np.uint8)), "1-dimensional", id="other rank"),
        pytest.param(encode_idx(np.zeros((1, 2, 2), np.uint8)) + b"x", "damaged", id="too long"),
    ],
)
def test_what_is_no_image_file_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        idx.read(path, 3)


def test_a_set_is_found_by_either_spelling_and_compressed_or_not(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").rename(tmp_path / "train-images.idx3-ubyte")
    images, labels, _, _ = idx.read_set(tmp_path)
    assert images.shape == (60, 12, 12)
    assert labels.tolist()[:4] == [0, 1, 2, 0]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write_set(tmp_path, gzipped=True)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(InputError, match="t10k-labels-idx1-ubyte"):
        idx.read_set(tmp_path)


def test_images_and_labels_of_different_length_are_refused(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(encode_idx(np.zeros(59, np.uint8)))
    with pytest.raises(InputError, match="60 images but 59 labels"):
        idx.read_set(tmp_path)


@pytest.mark.more
@pytest.mark.parametrize("pictures", bench.SETS, ids=lambda item: item.name)
def test_idx_files_are_learned_at_least_as_well_as_by_the_best_baseline(pictures: bench.Pictures) -> None:
    """Both ways, beside scikit-learn's linear model and boosted trees on all pixels."""
    shares = bench.measure(pictures)["shares"]
    assert min(shares[way] for way in bench.WAYS) >= max(
        share for name, share in shares.items() if name not in bench.WAYS
    )
