"""Training data from a data source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeship.errors import InputError
from edgeship.optimize.training import dataset
from edgeship.types import TensorSpec


def test_an_input_that_is_called_like_a_label_feeds_the_model(tmp_path: Path) -> None:
    inputs = np.arange(12, dtype=np.float32).reshape(6, 2)
    np.savez(tmp_path / "data.npz", y_in=inputs, y=np.arange(6))
    read = dataset.read(str(tmp_path / "data.npz"), [TensorSpec("y_in", (None, 2), "float32")], ["out"], tmp_path, None)
    assert np.array_equal(read.feeds(read.rows)[0], inputs)
    assert list(read.labels) == ["out"]


def test_an_input_alone_is_no_label(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", y_in=np.zeros((6, 2), np.float32))
    with pytest.raises(InputError, match="training needs labels"):
        dataset.read(str(tmp_path / "data.npz"), [TensorSpec("y_in", (None, 2), "float32")], ["out"], tmp_path, None)
