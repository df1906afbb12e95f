"""ReLU6 over values of a billionth: TFLite's own kernels open the file too, and compute the same."""

from __future__ import annotations

from pathlib import Path

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgeship.formats import flatbuffer
from edgeship.optimize.quantize.tflite import unreachable_bounds


def test_kernels_without_delegates_open_the_file(lab):
    path, _ = lab.tflite("faint", io="float32")
    feeds = lab.feeds("faint")
    wanted = lab.run(lab.model("faint.tflite"), feeds)
    assert lab.sqnr(wanted, lab.run(path, feeds)) > 25
    interpreter = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], feeds["image"].shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], feeds["image"])
    interpreter.invoke()
    assert lab.sqnr(wanted, {"score": interpreter.get_tensor(interpreter.get_output_details()[0]["index"])}) > 25


def test_a_file_whose_bounds_are_reached_stays_as_it_is(lab):
    model = flatbuffer.unpack(Path(lab.tflite("photo")[0]).read_bytes())
    before = flatbuffer.pack(model)
    unreachable_bounds.drop_unreachable_bounds(model)
    assert flatbuffer.pack(model) == before
