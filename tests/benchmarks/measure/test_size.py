import gzip
import os

import brotli
import pytest

from edgeship.benchmarks.measure import size
from edgeship.errors import InputError


def test_one_file(tmp_path):
    data = b"weights " * 5000 + os.urandom(500)
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    found = size.measure(path)
    assert found.disk == len(data)
    assert found.gzip == len(gzip.compress(data, 9, mtime=0))
    assert found.brotli == len(brotli.compress(data))
    assert list(found.files) == ["model.tflite"]


@pytest.mark.parametrize("given", ["model.json", "."])
def test_tfjs_is_the_sum_of_its_folder(tmp_path, given):
    (tmp_path / "model.json").write_text("{}" * 100)
    (tmp_path / "group1-shard1of2.bin").write_bytes(b"\0" * 4000)
    (tmp_path / "group1-shard2of2.bin").write_bytes(b"\1" * 10)
    found = size.measure(tmp_path / given)
    assert found.disk == 4210
    assert found.brotli == sum(row.brotli for row in found.files.values())
    assert set(found.files) == {"model.json", "group1-shard1of2.bin", "group1-shard2of2.bin"}


def test_external_data_counts(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"x" * 10)
    (tmp_path / "m.onnx.data").write_bytes(b"x" * 90)
    assert size.measure(tmp_path / "m.onnx").disk == 100


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match="no such artifact"):
        size.measure(tmp_path / "m.onnx")
