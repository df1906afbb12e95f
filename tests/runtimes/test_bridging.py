"""A session of a stranger's file has the names and axes of the server model."""

import numpy as np
import onnx
from onnx import TensorProto, helper

from edgeship.runtimes.session import open_session
from edgeship.types import Bridge


def test_names_are_those_of_the_server_model(tiny_models):
    bridge = Bridge({"picture": "image", "classes": "probs"})
    with np.load(tiny_models / "expected.npz") as arrays:
        images, probs = arrays["cnn/inputs/image"], arrays["cnn/outputs/probs"]
    with open_session("litert", tiny_models / "cnn.tflite", bridge=bridge) as session:
        assert [item.name for item in (*session.inputs, *session.outputs)] == ["picture", "classes"]
        np.testing.assert_allclose(session.run({"picture": images})["classes"], probs, atol=1e-5)
        streamed = session.evaluate(iter([{"picture": images}]), batch=3)
        np.testing.assert_allclose(streamed["classes"], probs, atol=1e-5)
        assert session.infer_once() > 0 and session.block(0.001)


def test_channels_are_moved_and_further_outputs_left_out(tmp_path):
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 2, 4]) for name in ("x", "y")]
    tensors.append(helper.make_tensor_value_info("z", TensorProto.STRING, ["n", 3, 2, 4]))  # what no message carries
    nodes = [helper.make_node("Neg", ["x"], ["y"]), helper.make_node("Cast", ["x"], ["z"], to=TensorProto.STRING)]
    graph = helper.make_graph(nodes, "g", tensors[:1], tensors[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "m.onnx")
    values = np.random.default_rng(0).normal(size=(5, 2, 4, 3)).astype(np.float32)
    bridge = Bridge({"image": "x", "out": "y"}, ("image", "out"))
    with open_session("onnxruntime", tmp_path / "m.onnx", bridge=bridge) as session:
        assert session.inputs[0].shape == (None, 2, 4, 3)
        answers = session.run({"image": values})
    assert set(answers) == {"out"}
    np.testing.assert_array_equal(answers["out"], -values)


def test_one_channel_is_given_three_times(tmp_path):
    shapes = {"x": ["n", 2, 4, 3], "y": ["n", 2, 4, 3]}
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", tensors[:1], tensors[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "m.onnx")
    values = np.random.default_rng(0).normal(size=(5, 2, 4, 1)).astype(np.float32)
    bridge = Bridge({"x": "x", "y": "y"}, three_channels=("x",))
    with open_session("onnxruntime", tmp_path / "m.onnx", bridge=bridge) as session:
        assert session.inputs[0].shape == (None, 2, 4, 1)
        np.testing.assert_array_equal(session.run({"x": values})["y"], np.repeat(-values, 3, axis=-1))
