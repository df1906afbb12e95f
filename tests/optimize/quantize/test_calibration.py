import errno

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeship.data import RepresentativeDataset
from edgeship.errors import InputError
from edgeship.optimize.quantize import calibration
from edgeship.storage.atomic import atomic_file
from edgeship.types import TensorSpec

SPEC = TensorSpec("a", (None, 2), "float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("calibration")


@settings(max_examples=60, deadline=None)
@given(total=st.integers(1, 300), size=st.integers(1, 40), count=st.integers(1, 400))
def test_samples_are_spread_evenly_in_full_batches(folder, total, size, count):
    np.savez(folder / "data.npz", a=np.repeat(np.arange(total, dtype=np.float32), 2).reshape(total, 2))
    batches = list(calibration.spread_batches(RepresentativeDataset(folder / "data.npz"), [SPEC], size, count))
    assert {batch["a"].shape for batch in batches} == {(size, 2)}
    values = list(dict.fromkeys(float(value) for batch in batches for value in batch["a"][:, 0]))
    assert len(values) == min(total, count)
    assert values == sorted(values)
    assert values[0] == 0
    if len(values) > 1:
        assert values[-1] == total - 1
        gaps = np.diff(values)
        assert gaps.max() - gaps.min() <= 1


def test_a_fixed_batch_axis_decides():
    assert calibration.batch_size([TensorSpec("a", (4, 2), "float32")], 1) == 4
    with pytest.raises(InputError, match="different fixed batch sizes"):
        calibration.batch_size([TensorSpec("a", (4, 2), "float32"), TensorSpec("b", (1, 2), "float32")], 1)


@given(st.integers(0, 1 << 40))
def test_batches_stay_within_memory(each):
    size = calibration.batch_size([SPEC], each)
    assert 1 <= size <= calibration.MAX_BATCH
    assert size == 1 or size * each <= 4 << 20


def write(target, content, error=None):
    with atomic_file(target) as beside:
        beside.write_bytes(content)
        if error:
            raise error


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    target = tmp_path / "new" / "model.tflite"
    with pytest.raises(ZeroDivisionError):
        write(target, b"half", ZeroDivisionError())
    assert list(target.parent.iterdir()) == []
    write(target, b"whole")
    assert [path.name for path in target.parent.iterdir()] == ["model.tflite"]


def test_an_old_file_survives_a_failure(tmp_path):
    target = tmp_path / "model.tflite"
    target.write_bytes(b"old")
    with pytest.raises(OSError, match="No space left"):
        write(target, b"ne", OSError(errno.ENOSPC, "No space left on device"))
    assert target.read_bytes() == b"old"
