import json
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from edgeship.errors import CheckError, InputError
from edgeship.optimize.quantize.tflite import reader
from edgeship.optimize.quantize.tflite.unfit_kernels import loses_a_feature
from tests.formats import buffers

FLOATING = ("photo", "table", "pair", "motion", "length", "leaky", "bend")


def ends(path, signature=None):
    runner = Interpreter(model_path=str(path)).get_signature_runner(signature)
    return tuple(
        {
            name: (np.dtype(detail["dtype"]).name, tuple(map(int, detail["shape_signature"])))
            for name, detail in side.items()
        }
        for side in (runner.get_input_details(), runner.get_output_details())
    )


@pytest.mark.parametrize("name", FLOATING)
@pytest.mark.parametrize("io", ["int8", "float32"])
def test_full_integer_answers_as_float_does(name, io, lab):
    path, result = lab.tflite(name, io=io)
    feeds = lab.feeds(name)
    expected = lab.run(lab.model(f"{name}.tflite"), feeds)
    for batch in (1, 16):
        answers = lab.run(path, feeds, batch)
        assert answers.keys() == expected.keys()
        assert lab.sqnr(expected, answers) > 30
    assert result["io"] == io
    assert result["tools"].keys() == {"litert-quantizer", "ai-edge-litert"}


@pytest.mark.parametrize("name", [*FLOATING, "words", "four"])
@pytest.mark.parametrize("io", ["int8", "float32"])
def test_full_integer_keeps_names_shapes_and_integer_ends(name, io, lab):
    before, after = ends(lab.model(f"{name}.tflite")), ends(lab.tflite(name, io=io)[0])
    for entry, entry_now in zip(before, after, strict=True):
        assert entry_now == {key: (io if dtype == "float32" else dtype, shape) for key, (dtype, shape) in entry.items()}


@pytest.mark.parametrize(("recipe", "least"), [("dynamic_w8", 32), ("weight_only_w8", 35), ("float16", 55)])
@pytest.mark.parametrize("name", FLOATING)
def test_recipes_without_data(name, recipe, least, lab):
    path, result = lab.tflite(name, recipe)
    feeds, model = lab.feeds(name), lab.model(f"{name}.tflite")
    expected, answers = lab.run(model, feeds), lab.run(path, feeds)
    assert lab.sqnr(expected, answers) > least
    assert ends(path) == ends(model)
    assert path.stat().st_size < Path(model).stat().st_size
    assert result["float_islands"] == []


def test_what_stays_float_is_named(lab):
    result = lab.tflite("bend")[1]
    assert [island.split()[0] for island in result["float_islands"]] == ["PRELU"]
    assert "the quantizer has no int8 form of them: PRELU" in " ".join(result["notes"])


@pytest.mark.parametrize(
    ("recipe", "least", "share"), [("dynamic_w8", 35, 0.25), ("weight_only_w8", 35, 0.25), ("float16", 55, 0.5)]
)
def test_the_tables_of_embeddings_are_stored_small(recipe, least, share, lab):
    path, result = lab.tflite("words", recipe)
    feeds, model = lab.feeds("words"), lab.model("words.tflite")
    expected, answers = lab.run(model, feeds), lab.run(path, feeds)
    assert lab.sqnr({"logits": expected["logits"]}, {"logits": answers["logits"]}) > least
    assert result["float_weights"] == []
    bytes_less = Path(model).stat().st_size - path.stat().st_size
    assert bytes_less > 50 * 16 * 4 * (1 - share) - 500  # less what DEQUANTIZE adds
    assert ends(path) == ends(model)


def test_operator_versions_say_that_int8_is_needed(lab):
    model = flatbuffer_utils.read_model(str(lab.tflite("leaky")[0]))
    names = [flatbuffer_utils.opcode_to_name(model, index) for index in range(len(model.operatorCodes))]
    versions = dict(zip(names, [code.version for code in model.operatorCodes], strict=True))
    assert (versions["LEAKY_RELU"], versions["REDUCE_MAX"]) == (2, 2)


@pytest.mark.parametrize("name", ["photo", "table", "pair", "length", "leaky"])
def test_nothing_else_stays_float(name, lab):
    path, result = lab.tflite(name)
    assert result["float_islands"] == []
    kinds = {op["op_name"] for op in Interpreter(model_path=str(path))._get_ops_details()}
    assert "DEQUANTIZE" not in kinds


def test_integer_outputs_agree(lab):
    path, _ = lab.tflite("words")
    feeds = lab.feeds("words")
    expected, answers = lab.run(lab.model("words.tflite"), feeds), lab.run(path, feeds)
    assert answers["positive"].dtype == expected["positive"].dtype
    assert (answers["positive"] == expected["positive"]).mean() > 0.9


@pytest.mark.parametrize("name", ["photo", "motion", "two-ways"])
def test_no_tensor_is_left_that_nothing_touches(name, lab):
    model = flatbuffer_utils.read_model(str(lab.tflite(name)[0]))
    for graph in model.subgraphs:
        read_or_written = {index for item in graph.operators for index in (*item.inputs, *item.outputs)}
        assert {*range(len(graph.tensors))} <= read_or_written | {*graph.inputs, *graph.outputs}


def test_every_signature_is_quantized(lab):
    path, _ = lab.tflite("two-ways")
    feeds = lab.feeds("two-ways")
    for signature in ("encode", "score"):
        (_, before), (_, after) = ends(lab.model("two-ways.tflite"), signature), ends(path, signature)
        assert before.keys() == after.keys()
        expected = lab.run(lab.model("two-ways.tflite"), feeds, signature=signature)
        answers = lab.run(path, feeds, signature=signature)
        assert lab.sqnr(expected, answers) > 30


@pytest.mark.parametrize("name", ["photo", "pair", "motion"])
def test_batches_observe_what_single_samples_do(name, lab):
    single, batched = lab.out / "single.json", lab.out / "batched.json"
    lab.calibrate(name, batch=1, out=str(single))
    lab.calibrate(name, batch=32, out=str(batched))
    one, many = (json.loads(path.read_text())["ranges"] for path in (single, batched))
    sizes = ("Shape", "strided_slice", "packed", "Reshape/shape")  # integers that hold the batch size itself
    for key in one.keys() | many.keys():
        if not key.endswith(sizes):
            np.testing.assert_allclose(one[key], many[key], rtol=1e-5, atol=1e-6, err_msg=key)


def test_same_input_gives_the_same_bytes(lab):
    lab.calibrate("photo")
    first = (lab.out / "photo.json").read_bytes()
    content = lab.tflite("photo")[0].read_bytes()
    lab.calibrate("photo")
    assert (lab.out / "photo.json").read_bytes() == first
    assert lab.tflite("photo", file="again.tflite")[0].read_bytes() == content


def test_no_tensorflow_is_imported(lab):
    lab.tflite("table")
    lab.onnx("table")
    imported = lab.process.call("quantization_models:imported")
    assert {"litert_quantizer", "onnxruntime"} <= set(imported)
    assert not {"tensorflow", "keras", "torch"} & set(imported)


def test_no_data_says_how_to_give_some(lab):
    with pytest.raises(InputError, match=r"--data calibration\.npz"):
        lab.calibrate("table", data=None)
    with pytest.raises(InputError, match=r"--data calibration\.npz"):
        lab.process.call(
            "edgeship.optimize.quantize.tflite.quantizer:quantize",
            model=lab.model("table.tflite"),
            out_file=str(lab.out / "x.tflite"),
            recipe="static_w8a8",
        )
    assert list(lab.out.iterdir()) == []


def test_statistics_of_another_model_are_refused(lab):
    lab.calibrate("table")
    with pytest.raises(InputError, match="taken from another model"):
        lab.process.call(
            "edgeship.optimize.quantize.tflite.quantizer:quantize",
            model=lab.model("photo.tflite"),
            out_file=str(lab.out / "x.tflite"),
            recipe="static_w8a8",
            statistics=str(lab.out / "table.json"),
        )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"features": np.zeros((4, 11), np.float32)}, "samples of shape 11, model input 'features' takes 12"),
        ({"fetures": np.zeros((4, 12), np.float32)}, "no array for model input 'features'"),
        ({"features": np.zeros((4, 12), np.complex64)}, "is complex64"),
        ({"features": np.full((4, 12), np.nan, np.float32)}, "holds NaN or infinity"),
        ({"features": np.zeros((0, 12), np.float32)}, "empty, it holds no sample"),
    ],
)
def test_bad_data_is_told(arrays, message, lab):
    np.savez(lab.out / "bad.npz", **arrays)
    with pytest.raises(InputError, match=message):
        lab.calibrate("table", data=str(lab.out / "bad.npz"))
    with pytest.raises(InputError, match=message):
        lab.calibrate_onnx("table", data=str(lab.out / "bad.npz"))
    assert [path.name for path in lab.out.iterdir()] == ["bad.npz"]


@pytest.mark.parametrize(
    ("name", "arrays", "message"),
    [
        ("words", {"ids": np.full((4, 10), 999, np.int32)}, "cannot run it on .*out of.* bounds"),
        ("table", {"features": np.full((4, 12), 3e38, np.float32)}, "becomes infinite or NaN"),
    ],
)
def test_data_that_the_model_cannot_take_is_told(name, arrays, message, lab):
    np.savez(lab.out / "bad.npz", **arrays)
    with pytest.raises(InputError, match=message):
        lab.calibrate(name, data=str(lab.out / "bad.npz"))
    with pytest.raises(InputError, match=message.replace("cannot run it", "ONNX Runtime cannot calibrate it")):
        lab.calibrate_onnx(name, data=str(lab.out / "bad.npz"))
    assert [path.name for path in lab.out.iterdir()] == ["bad.npz"]


def test_few_samples_are_noted(lab):
    assert "only 20 samples" in lab.calibrate("table", count=20)["notes"][0]
    assert lab.calibrate("table")["notes"] == []


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x1c\x00\x00\x00TFL3" + bytes(64)])
def test_a_file_that_is_no_model_is_refused(content, lab):
    path = lab.out / "bad.tflite"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.tflite"):
        lab.calibrate("table", model=str(path))
    with pytest.raises(InputError, match=r"bad\.tflite"):
        lab.process.call(
            "edgeship.optimize.quantize.tflite.quantizer:quantize",
            model=str(path),
            out_file=str(lab.out / "x.tflite"),
            recipe="float16",
        )


def test_a_branch_whose_inside_alone_would_be_quantized_is_refused(lab):
    """LiteRT's IF does not compare types: it read and wrote beyond the tensors."""
    with pytest.raises(InputError, match=r"branches on its data.*float16 or dynamic_w8"):
        lab.tflite("branch")
    path, _ = lab.tflite("branch", "dynamic_w8")
    feeds = lab.feeds("branch")
    assert lab.sqnr(lab.run(lab.model("branch.tflite"), feeds), lab.run(path, feeds)) > 25


def test_a_file_that_cannot_run_is_found(lab):
    """A weight of the wrong size: LiteRT reads such a file and then cannot prepare it."""
    model = flatbuffer_utils.read_model(lab.model("table.tflite"))
    graph = model.subgraphs[0]
    graph.tensors[graph.operators[0].inputs[1]].shape = [64, 11]
    broken_file = lab.out / "broken.tflite"
    flatbuffer_utils.write_model(model, str(broken_file))
    with pytest.raises(CheckError, match="cannot run in LiteRT"):
        reader.check_runs(broken_file)


@pytest.mark.parametrize("name", ["photo", "table", "pair"])
def test_as_close_to_float_as_the_converter_of_tensorflow(name, lab):
    feeds = lab.feeds(name)
    files = (lab.model(f"{name}.tflite"), lab.model(f"{name}-mlir.tflite"), lab.tflite(name)[0])
    expected, theirs, ours = (lab.run(path, feeds) for path in files)
    assert lab.sqnr(expected, ours) > lab.sqnr(expected, theirs) - 3


def test_dynamic_quantization_has_the_versions_by_which_older_runtimes_refuse_it(lab):
    model = flatbuffer_utils.read_model(str(lab.tflite("photo", "dynamic_w8")[0]))
    versions = {
        flatbuffer_utils.opcode_to_name(model, index): code.version for index, code in enumerate(model.operatorCodes)
    }
    assert {name: versions[name] for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")} == {
        "CONV_2D": 5,
        "DEPTHWISE_CONV_2D": 6,
        "FULLY_CONNECTED": 12,
    }


@pytest.mark.parametrize(("recipe", "least"), [("dynamic_w8", 35), ("weight_only_w8", 40), ("dynamic_w4", 17)])
def test_a_kernel_that_holds_the_scaling_of_raw_features_stays_float(recipe, least, lab):
    """Its weights of one feature are a million times those of another."""
    path, result = lab.tflite("raw", recipe)
    assert lab.sqnr(lab.run(lab.model("raw.tflite"), lab.feeds("raw")), lab.run(path, lab.feeds("raw"))) > least
    assert len(result["float_operators"]) == 1
    assert any("too far apart" in note for note in result["notes"])


@pytest.mark.parametrize("recipe", ["dynamic_w8", "float16"])
@pytest.mark.parametrize("name", ["table", "pair", "bend"])
def test_ordinary_kernels_do_not(recipe, name, lab):
    assert not lab.tflite(name, recipe)[1]["float_operators"]


@pytest.mark.parametrize(
    ("smallest", "kind", "lost"),
    [(1, "int8", False), (0.1, "int8", False), (1e-3, "int8", True), (1e-3, "float16", False), (1e-7, "float16", True)],
)
def test_what_a_small_feature_loses(smallest, kind, lost):
    kernel = np.random.default_rng(1).standard_normal((8, 32)).astype(np.float32)
    kernel[3] *= smallest
    assert loses_a_feature(kernel, kind) == lost
    kernel[3] = 0  # as a feature that was pruned
    assert not loses_a_feature(kernel, kind)


@pytest.mark.parametrize("recipe", ["static_w8a8", "float16", "dynamic_w8", "weight_only_w8"])
def test_weights_stay_as_aligned_as_the_schema_asks(recipe, lab):
    """`force_align: 16` of Buffer.data, which the generated Python code does not know: microcontrollers read weights in place."""
    path, _ = lab.tflite("photo", recipe)
    before = buffers.alignments(Path(lab.model("photo.tflite")).read_bytes())
    after = buffers.alignments(path.read_bytes())
    assert before and after
    assert min(after) >= 16
