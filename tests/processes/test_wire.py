import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeship.processes import wire

DTYPES = st.sampled_from(["<f4", "<f8", "<i4", "<i8", "|i1", "|u1", "|b1", "<f2"])


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8),
        DTYPES.flatmap(
            lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
        ),
        max_size=3,
    )
)
def test_what_is_sent_is_received(arrays):
    stream = io.BytesIO()
    wire.send(stream, {"do": "run", "n": 3}, arrays)
    stream.seek(0)
    header, got = wire.receive(stream)
    assert header == {"do": "run", "n": 3}
    assert list(got) == list(arrays)
    for name, array in arrays.items():
        assert got[name].dtype == array.dtype
        assert got[name].shape == array.shape
        assert got[name].tobytes() == np.ascontiguousarray(array).tobytes()


def test_arrays_that_are_not_contiguous_arrive_whole():
    stream = io.BytesIO()
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1)
    wire.send(stream, {}, {"x": array})
    stream.seek(0)
    np.testing.assert_array_equal(wire.receive(stream)[1]["x"], array)


@pytest.mark.parametrize("kept", [0, 1, 40, -1])
def test_a_stream_that_ends_is_an_end_of_file(kept):
    stream = io.BytesIO()
    wire.send(stream, {"do": "run"}, {"x": np.zeros(100, np.float32)})
    with pytest.raises(EOFError):
        wire.receive(io.BytesIO(stream.getvalue()[:kept]))


@pytest.mark.parametrize("shape", [[1] * 70, [2**62, 0, 4], [2**70, 0]])
def test_shapes_that_no_array_has_are_no_message(shape):
    """They hold few bytes, or none, and numpy takes them not."""
    header = {"arrays": [{"name": "x", "dtype": "<f4", "shape": shape}]}
    with pytest.raises(wire.MessageError):
        wire.receive(io.BytesIO(json.dumps(header).encode() + b"\n"))
