import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeship.data import RepresentativeDataset
from edgeship.errors import InputError
from edgeship.types import TensorSpec

IMAGE = TensorSpec("image", (None, 4, 4, 1), "float32")


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def images(count):
    return np.random.default_rng(0).random((count, 4, 4, 1), dtype=np.float32)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    batch=st.integers(1, 12),
    limit=st.none() | st.integers(1, 40),
)
def test_batches_give_every_chosen_sample_once_and_in_order(tmp_path_factory, sizes, batch, limit):
    folder = tmp_path_factory.mktemp("shards")
    whole = np.arange(sum(sizes), dtype=np.float32)[:, None]
    start = 0
    for number, size in enumerate(sizes):
        save(folder / f"{number}.npz", x=whole[start : start + size], y=whole[start : start + size, 0])
        start += size
    dataset = RepresentativeDataset(folder)
    got = np.concatenate([item["x"] for item in dataset.batches(batch, limit)])[:, 0]
    count = min(limit or len(whole), len(whole))
    assert len(got) == count == len(set(got.tolist()))
    assert (np.diff(got) > 0).all()
    np.testing.assert_array_equal(dataset.labels(limit)["y"], got)
    if limit is None or limit >= 2:
        assert {got[0], got[-1]} == {0, len(whole) - 1}


def test_a_single_input_may_be_called_x_and_is_cast_to_the_models_dtype(tmp_path):
    dataset = RepresentativeDataset(save(tmp_path / "d.npz", x=images(5).astype(np.float64), y=np.arange(5)))
    (feed,) = dataset.feeds([IMAGE], 8)
    assert list(feed) == ["image"]
    assert feed["image"].dtype == np.float32


def test_the_digest_is_of_content_not_of_place(tmp_path):
    first = RepresentativeDataset(save(tmp_path / "a.npz", x=images(5)))
    again = RepresentativeDataset(save(tmp_path / "b.npz", x=images(5)))
    other = RepresentativeDataset(save(tmp_path / "c.npz", x=images(6)))
    assert first.digest == again.digest != other.digest


def test_a_python_source_is_read_like_shards(tmp_path, monkeypatch):
    (tmp_path / "my_source.py").write_text(
        "import numpy as np\ndef batches():\n  for n in range(3):\n    yield {'image': np.full((2, 4, 4, 1), n, 'float32')}\n"
    )
    monkeypatch.chdir(tmp_path)
    dataset = RepresentativeDataset("my_source:batches")
    assert len(dataset) == 6
    assert [feed["image"][0, 0, 0, 0] for feed in dataset.feeds([IMAGE], 2)] == [0, 1, 2]


SOURCE = """
import numpy as np
def boom(): raise ValueError("disk on fire")
def ragged(): yield {"image": [[1, 2], [3]]}
def changing(): yield {"image": np.random.default_rng().random((4, 4, 4, 1))}
def fortran(): yield {"image": np.asfortranarray(np.ones((2, 4, 4, 1)))}
nothing = 5
"""


@pytest.fixture
def source(tmp_path, monkeypatch, request):
    """A module of its own name for each test: modules stay imported."""
    name = f"source_{request.node.name.split('[')[0]}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    (tmp_path / f"{name}_broken.py").write_text("def f(:")
    monkeypatch.chdir(tmp_path)
    return name


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        (":boom", "disk on fire (ValueError)"),
        (":ragged", "ValueError"),
        (":nothing", "not iterable"),
        ("_broken:f", "SyntaxError"),
    ],
)
def test_whatever_a_python_source_raises_is_said_in_a_line(source, attribute, message):
    with pytest.raises(InputError) as caught:
        RepresentativeDataset(f"{source}{attribute}")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_processes_read_the_very_samples_of_a_python_source(source):
    """A source may give others each time it is asked: what was digested is what everyone has to read."""
    dataset = RepresentativeDataset(f"{source}:changing")
    again = RepresentativeDataset(dataset.path)
    assert again.digest == dataset.digest
    assert RepresentativeDataset(f"{source}:changing").digest != dataset.digest
    assert len(RepresentativeDataset(f"{source}:fortran")) == 2


def test_a_python_source_leaves_no_files_behind(source, tmp_path):
    code = f"from edgeship.data import RepresentativeDataset as R; print(R('{source}:changing').path)"
    process = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert source in process.stdout
    assert not Path(process.stdout.strip()).parent.exists()


def test_arrays_called_like_inputs_of_the_model_are_no_labels(tmp_path):
    """A network of coordinates x and y: the convention for labels gives way to the model's own names."""
    specs = [TensorSpec(name, (None, 2), "float32") for name in ("x", "y", "y_pos")]
    arrays = {spec.name: np.full((3, 2), index, np.float32) for index, spec in enumerate(specs)}
    dataset = RepresentativeDataset(save(tmp_path / "d.npz", **arrays, y_out=np.arange(3)))
    (feed,) = dataset.feeds(specs, 8)
    assert {name: array[0, 0] for name, array in feed.items()} == {"x": 0, "y": 1, "y_pos": 2}
    assert list(dataset.labels(inputs=specs)) == ["y_out"]
    only = RepresentativeDataset(save(tmp_path / "only.npz", y=np.ones((3, 2), np.float32)))
    assert len(next(only.feeds(specs[1:2], 8))["y"]) == 3


def test_whole_numbers_that_the_model_cannot_hold_are_refused(tmp_path):
    ids = RepresentativeDataset(save(tmp_path / "ids.npz", ids=np.array([[1], [2**40]])))
    with pytest.raises(InputError, match=r"from 1 to 1099511627776, which the int32 of model input 'ids' cannot hold"):
        list(ids.feeds([TensorSpec("ids", (None, 1), "int32")], 4))
    assert len(list(ids.feeds([TensorSpec("ids", (None, 1), "int64")], 4))) == 1


def bad_sources(tmp_path):
    nan = images(3)
    nan[1, 0, 0, 0] = np.nan
    text = tmp_path / "text.npz"
    text.write_text("not a zip")
    cut = save(tmp_path / "whole.npz", x=images(300))
    (tmp_path / "cut.npz").write_bytes(cut.read_bytes()[:2000])
    (tmp_path / "empty").mkdir()
    return {
        "no such file": tmp_path / "missing.npz",
        "not an .npz": text,
        "not an .npz file": tmp_path / "cut.npz",
        "no .npz shard": tmp_path / "empty",
        "holds no sample": save(tmp_path / "none.npz", x=images(0)),
        "samples of shape 4x4x3, model input 'image' takes 4x4x1": save(
            tmp_path / "rgb.npz", x=np.zeros((2, 4, 4, 3), np.float32)
        ),
        "no array for model input 'image'": save(tmp_path / "name.npz", picture=images(2)),
        "is complex64": save(tmp_path / "complex.npz", x=images(2).astype(np.complex64)),
        "NaN or infinity": save(tmp_path / "nan.npz", x=nan),
        "different numbers of samples": save(tmp_path / "uneven.npz", x=images(3), y=np.arange(2)),
        "no array for model input 'image' (it has: y)": save(tmp_path / "labels.npz", y=np.arange(2)),
        "Python objects": save(tmp_path / "objects.npz", x=np.array([{}, {}], dtype=object)),
        "is a scalar": save(tmp_path / "scalar.npz", x=np.float32(1)),
        "No module named": "no_such_module:data",
    }


@pytest.mark.parametrize(
    ("shape", "wanted", "way_out"),
    [
        ((), (1,), "() (one number each), model input 'a' takes 1; reshape it: array.reshape(-1, 1)"),
        ((28, 28), (28, 28, 1), "reshape it: array.reshape(-1, 28, 28, 1)"),
        ((3, 24, 32), (24, 32, 3), "its axes are in another order: transpose it"),
        ((5,), (4,), "takes 4"),
        ((5, 5), (None,), "takes ?"),
    ],
)
def test_a_nearly_right_shape_says_the_way_out(tmp_path, shape, wanted, way_out):
    np.savez(tmp_path / "d.npz", a=np.zeros((2, *shape), np.float32))
    with pytest.raises(InputError) as refused:
        RepresentativeDataset(tmp_path / "d.npz").match_inputs([TensorSpec("a", (None, *wanted), "float32")])
    assert str(refused.value).endswith(way_out)


def test_bad_data_is_refused_in_one_or_two_lines(tmp_path):
    for message, source in bad_sources(tmp_path).items():
        with pytest.raises(InputError) as caught:
            list(RepresentativeDataset(source).feeds([IMAGE], 4))
        assert message in str(caught.value)
        assert str(caught.value).count("\n") <= 1
