"""Operators at the inputs that 8 bits are too coarse for: found by what int8 takes from a feature, and left float."""

import numpy as np
import onnx
import pytest

from edgeship.formats import flatbuffer
from edgeship.optimize.quantize.calibration import FloatScaling
from edgeship.optimize.quantize.input_scaling import Operator, find_float_scaling, scaling_at
from edgeship.optimize.quantize.onnx import reader

ONE = np.ones(1, np.float32)


def normalization(means, deviations):
    return [
        Operator("SUB", "centred", ("x", np.array([means], np.float32))),
        Operator("MUL", "scaled", ("centred", 1 / np.array([deviations], np.float32))),
    ]


def features(scales, count=400):
    values = np.random.default_rng(3).standard_normal((count, len(scales)))
    return {"x": (values * np.array(scales)).astype(np.float32)}


@pytest.mark.parametrize(
    ("scale", "floats", "inputs"),
    [(1, False, False), (3, False, False), (10, True, False), (30, True, True), (1e4, True, True)],
)
def test_features_of_other_scales_keep_the_input_float_where_int8_loses_them(scale, floats, inputs):
    scales = [1.0, 1.0, scale]
    found = find_float_scaling(features(scales), normalization([0.0, 0.0, 0.0], scales))
    assert found.inputs == inputs
    assert tuple(found.operators) == (("centred", "scaled") if floats else ())
    assert bool(found.operators_behind_int8) == inputs, "what an int8 input has lost is not found again"


def test_an_offset_far_above_the_changes_keeps_the_input_float():
    data = {"x": features([1.0, 1.0])["x"] + np.array([0, 1000], np.float32)}
    assert find_float_scaling(data, normalization([0, 1000], [1, 1])).inputs


def test_a_constant_that_int8_cannot_hold_keeps_only_the_operators_float():
    """A pixel that never changes has a deviation of 1e-7: its factor leaves no step to the others."""
    data = features([1.0, 1.0, 1.0])
    data["x"][:, 2] = 0
    found = find_float_scaling(data, normalization([0, 0, 0], [1.0, 1.0, 1e-7]))
    assert (found.inputs, len(found.operators), len(found.operators_behind_int8)) == (False, 2, 2)


def test_one_factor_for_all_changes_nothing_that_float_could_mend():
    """An image's dark corner has few steps before and behind a `Rescaling`: int8 stays as it is."""
    data = features([255.0, 255.0, 4.0])
    operators = [
        Operator("MUL", "scaled", ("x", ONE / 255)),
        Operator("ADD", "y", ("scaled", ONE)),
    ]
    assert find_float_scaling(data, operators) == find_float_scaling(data, [])


def test_integers_lose_nothing_before_they_are_numbers():
    data = {"x": np.stack([np.arange(300) % 7, np.arange(300) * 500], 1).astype(np.int32)}
    operators = [
        Operator("CAST", "number", ("x",)),
        Operator("MUL", "y", ("number", np.array([[0.5, 1e-5]], np.float32))),
    ]
    assert tuple(find_float_scaling(data, operators).operators) == ("number", "y")


def test_only_operators_that_keep_features_apart_are_looked_at():
    bias = Operator("ADD", "b", ("a", np.ones((1, 3), np.float32)))
    per_place = Operator("SUB", "a", ("x", np.ones((8, 3), np.float32)))
    assert scaling_at(["x"], [per_place, bias]) == []
    large = Operator("DENSE", "a", ("x", np.zeros((1 << 11, 1 << 10), np.float32)))
    assert scaling_at(["x"], [large, bias]) == []
    joined = Operator("CONCATENATION", "a", ("x", "z"))
    assert scaling_at(["x", "z"], [joined, bias]) == [joined, bias]
    assert scaling_at(["x"], [joined, bias]) == []


def test_a_dense_layer_that_holds_the_scaling_stays_float_itself():
    """As a `BatchNormalization` of the inputs, which converters fold into the kernel that reads them."""
    random = np.random.default_rng(2)
    scales = np.array([[0.01], [1.0], [300.0], [1e5]], np.float32)
    kernel = random.standard_normal((4, 8)).astype(np.float32) / scales
    folded = [Operator("DENSE", "hidden", ("x", kernel))]
    data = features([0.01, 1, 300, 1e5])
    assert find_float_scaling(data, folded) == FloatScaling(("hidden",), ("hidden",), inputs=True)
    apart = [*normalization([0] * 4, [0.01, 1, 300, 1e5]), Operator("DENSE", "hidden", ("scaled", kernel * scales))]
    assert find_float_scaling(data, apart) == FloatScaling(("centred", "scaled"), ("centred", "scaled"), inputs=True)
    assert (
        find_float_scaling(features([1.0] * 4), [Operator("DENSE", "hidden", ("x", kernel * scales))]) == FloatScaling()
    )


@pytest.mark.parametrize("recipe", ["tflite", "onnx"])
def test_a_network_on_raw_features_is_as_good_in_int8(recipe, lab):
    path, result = getattr(lab, recipe)("raw", **({"io": "auto"} if recipe == "tflite" else {}))
    expected = lab.run(lab.model(f"raw.{recipe}"), lab.feeds("raw"))
    assert lab.sqnr(expected, lab.run(path, lab.feeds("raw"))) > 28
    assert len(result["float_operators"]) == 2  # TFLite: SUB, and the dense layer with the factors in it
    assert any("too few steps" in note for note in result["notes"])


def test_only_the_inputs_become_float(lab):
    graph = flatbuffer.unpack(lab.tflite("raw", io="auto")[0].read_bytes()).subgraphs[0]
    assert [graph.tensors[index].type for index in graph.inputs] == [flatbuffer.FLOAT32]
    assert [graph.tensors[index].type for index in graph.outputs] == [flatbuffer.INT8]


def test_int8_inputs_that_were_asked_for_stay(lab):
    path, _ = lab.tflite("raw", io="int8")
    graph = flatbuffer.unpack(path.read_bytes()).subgraphs[0]
    assert [graph.tensors[index].type for index in graph.inputs] == [flatbuffer.INT8]
    assert lab.sqnr(lab.run(lab.model("raw.tflite"), lab.feeds("raw")), lab.run(path, lab.feeds("raw"))) < 15


def test_pictures_from_0_to_255_stay_int8(lab):
    path, result = lab.tflite("dim", io="auto")
    graph = flatbuffer.unpack(path.read_bytes()).subgraphs[0]
    assert [graph.tensors[index].type for index in graph.inputs] == [flatbuffer.INT8]
    assert not result["float_operators"]
    _, result = lab.onnx("dim")
    assert not result["float_operators"]


def test_nodes_of_the_scaling_read_no_int8(lab):
    graph = onnx.load(str(lab.onnx("raw")[0])).graph
    first = [node for node in graph.node if node.op_type in ("Sub", "Mul")]
    assert [node.op_type for node in first] == ["Sub", "Mul"]
    assert first[0].input[0] == "features"
    assert first[1].input[0] == first[0].output[0]


SCALES = np.array([1, 1000, 1e6, 1e-3, 50, 2e5], np.float32)


@pytest.fixture
def faint(tmp_path):
    """Raw features into a scaling that leaves one of them faint, which the kernel behind makes up for (as `BatchNormalization`).

    The variance of the faint one is below the layer's epsilon. A file, and data for it.
    """
    random = np.random.default_rng(4)
    deviations = np.array([1, 1, 1, 0.08, 1, 1], np.float32)
    first = (random.standard_normal((6, 64)) * 0.2 / deviations[:, None]).astype(np.float32)
    constants = {
        "factors": deviations / SCALES,
        "offsets": np.full(6, -0.5, np.float32) * deviations,
        "first": first,
        "bias": np.zeros(64, np.float32),
        "second": random.standard_normal((64, 3)).astype(np.float32),
    }
    nodes = [
        ("Mul", ["x", "factors"], "scaled"),
        ("Add", ["scaled", "offsets"], "centred"),
        ("MatMul", ["centred", "first"], "product"),
        ("Add", ["product", "bias"], "sum"),
        ("Relu", ["sum"], "hidden"),
        ("MatMul", ["hidden", "second"], "y"),
    ]
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", size])
        for name, size in (("x", 6), ("y", 3))
    ]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(kind, inputs, [output], name=output) for kind, inputs, output in nodes],
        "faint", ends[:1], ends[1:], [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "faint.onnx")
    values = (random.standard_normal((128, 6)).astype(np.float32) + np.float32(0.5)) * SCALES
    np.savez(tmp_path / "faint.npz", x=values)
    return tmp_path / "faint.onnx", {"x": values}


def test_a_dense_layer_of_an_onnx_stays_float_where_it_makes_up_for_a_faint_feature(faint, lab):
    """ONNX Runtime fuses it with its bias to a Gemm before it is quantized."""
    path, feeds = faint
    options = {"data": str(path.with_suffix(".npz")), "model": str(path)}
    lab.calibrate_onnx("faint", **options)
    quantized, result = lab.onnx("faint", model=str(path))
    assert lab.sqnr(lab.run(path, feeds), lab.run(quantized, feeds)) > 30
    assert len(result["float_operators"]) == 3
    (note,) = result["notes"]  # and none of the Relu behind, or of its weights
    assert "scaling of the inputs" in note
    (gemm,) = (node for node in onnx.load(str(quantized)).graph.node if node.op_type == "Gemm")
    assert gemm.input[0] == "centred"


def test_a_transposed_kernel_is_read_as_the_dense_layer_that_it_is(tmp_path):
    kernel = np.arange(12, dtype=np.float32).reshape(4, 3)
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 3]) for name in ("x", "y")]
    nodes = [onnx.helper.make_node("Gemm", ["x", "kernel", "bias"], ["y"], transB=1)]
    constants = [
        onnx.numpy_helper.from_array(value, name) for name, value in (("kernel", kernel), ("bias", kernel[:, 0]))
    ]
    graph = onnx.helper.make_graph(nodes, "dense", ends[:1], ends[1:], constants)
    onnx.save(onnx.helper.make_model(graph), tmp_path / "dense.onnx")
    (dense,) = reader.input_operators(tmp_path / "dense.onnx")
    assert (dense.kind, dense.output, dense.inputs[0], len(dense.inputs)) == ("DENSE", "y", "x", 2)
    np.testing.assert_array_equal(dense.inputs[1], kernel.T)
