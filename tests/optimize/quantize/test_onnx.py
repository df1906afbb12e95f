from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeship.errors import CheckError, InputError
from edgeship.optimize.quantize.onnx import reader

FLOATING = ("photo", "table", "pair", "motion", "length", "leaky", "bend")


def ends(path):
    graph = onnx.load(str(path), load_external_data=False).graph
    return tuple(
        {
            item.name: (
                item.type.tensor_type.elem_type,
                [axis.dim_value if axis.HasField("dim_value") else None for axis in item.type.tensor_type.shape.dim],
            )
            for item in side
        }
        for side in (graph.input, graph.output)
    )


@pytest.mark.parametrize("name", FLOATING)
@pytest.mark.parametrize(("recipe", "least"), [("static_w8a8", 28), ("dynamic_w8", 32), ("float16", 55)])
def test_answers_as_float_does(name, recipe, least, lab):
    path, result = lab.onnx(name, recipe)
    feeds, model = lab.feeds(name), lab.model(f"{name}.onnx")
    expected = lab.run(model, feeds)
    for batch in (1, 16):
        answers = lab.run(path, feeds, batch)
        assert list(answers) == list(expected)
        assert lab.sqnr(expected, answers) > least
    assert result["tools"].keys() == {"onnx", "onnxruntime"}


def test_raw_features_survive_float16(lab):
    feeds, paths = lab.feeds("wide"), {}
    for quantized, model in ((lab.onnx, "wide.onnx"), (lab.tflite, "wide.tflite")):
        paths[model], _ = quantized("wide", "float16")
        assert lab.sqnr(lab.run(lab.model(model), feeds), lab.run(paths[model], feeds)) > 55
    # The kernel of the .tflite is divided by the units, up to 1e6, and stays float32.
    assert paths["wide.onnx"].stat().st_size < 0.7 * Path(lab.model("wide.onnx")).stat().st_size


@pytest.mark.parametrize("name", [*FLOATING, "words", "four"])
@pytest.mark.parametrize("recipe", ["static_w8a8", "dynamic_w8", "float16"])
def test_names_types_and_dynamic_axes_are_kept(name, recipe, lab):
    assert ends(lab.onnx(name, recipe)[0]) == ends(lab.model(f"{name}.onnx"))


def test_weights_are_int8_per_channel_and_activations_uint8(lab):
    graph = onnx.load(str(lab.onnx("photo")[0])).graph
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    producers = {name: node for node in graph.node for name in node.output}
    assert len(convolutions) == 3
    for node in convolutions:
        weights = producers[node.input[1]]
        assert weights.op_type == "DequantizeLinear"
        values, scales = constants[weights.input[0]], constants[weights.input[1]]
        assert values.dtype == np.int8
        assert scales.shape == (values.shape[0],)
        activations = producers[node.input[0]]
        assert activations.op_type == "DequantizeLinear"
        assert constants[activations.input[2]].dtype == np.uint8


def test_dynamic_quantization_reaches_convolutions_and_dense_layers(lab):
    kinds = {node.op_type for node in onnx.load(str(lab.onnx("photo", "dynamic_w8")[0])).graph.node}
    assert {"ConvInteger", "MatMulInteger"} <= kinds
    assert not {"Conv", "MatMul", "Gemm"} & kinds


def test_what_stays_float_is_named(lab):
    assert lab.onnx("table")[1]["float_islands"] == []
    islands = lab.onnx("words")[1]["float_islands"]
    assert islands
    assert all(" " in island for island in islands)


def test_integer_outputs_agree(lab):
    feeds = lab.feeds("words")
    expected = lab.run(lab.model("words.onnx"), feeds)
    for recipe in ("static_w8a8", "dynamic_w8", "float16"):
        answers = lab.run(lab.onnx("words", recipe)[0], feeds)
        assert answers["positive"].dtype == expected["positive"].dtype
        assert (answers["positive"] == expected["positive"]).mean() > 0.9


@pytest.mark.parametrize("recipe", ["static_w8a8", "dynamic_w8", "float16"])
def test_same_input_gives_the_same_bytes(recipe, lab):
    first, second = (lab.onnx("pair", recipe, file=f"{turn}.onnx")[0].read_bytes() for turn in "ab")
    assert first == second


def test_the_folder_of_the_statistics_is_only_read(lab):
    """It lies in a cache, where another run may read it at once: ONNX Runtime writes a file beside the model, and removes it."""
    lab.onnx("table")
    (lab.out / "table.onnx-inferred.onnx").mkdir()
    assert lab.onnx("table", file="again.onnx")[0].exists()


def test_recipes_that_have_no_meaning_are_refused(lab):
    with pytest.raises(InputError, match="not possible for onnx"):
        lab.onnx("table", "weight_only_w8")
    with pytest.raises(InputError, match="changes nothing"):
        lab.onnx("table", "float32")
    with pytest.raises(InputError, match=r"unknown quantization recipe 'int8'.*static_w8a8"):
        lab.onnx("table", "int8")
    assert list(lab.out.iterdir()) == []


def test_no_data_says_how_to_give_some(lab):
    with pytest.raises(InputError, match=r"--data calibration\.npz"):
        lab.process.call(
            "edgeship.optimize.quantize.onnx.quantizer:quantize",
            model=lab.model("table.onnx"),
            out_file=str(lab.out / "x.onnx"),
            recipe="static_w8a8",
        )


@pytest.mark.parametrize("content", [b"", b"not a model"])
def test_a_file_that_is_no_model_is_refused(content, lab):
    path = lab.out / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.onnx: not an ONNX model"):
        lab.process.call(
            "edgeship.optimize.quantize.onnx.quantizer:quantize",
            model=str(path),
            out_file=str(lab.out / "x.onnx"),
            recipe="float16",
        )


def test_a_file_that_cannot_run_is_found(lab):
    model = onnx.load(lab.model("table.onnx"))
    model.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(model, str(lab.out / "broken.onnx"))
    with pytest.raises(CheckError, match="cannot run in ONNX Runtime"):
        reader.check_runs(lab.out / "broken.onnx")
