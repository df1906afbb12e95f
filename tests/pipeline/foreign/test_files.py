"""What is refused of a stranger's file before a runtime opens it."""

import json
from functools import cache

import onnx
import pytest
from onnx import TensorProto, helper

from edgeship.benchmarks.gate.budget import Budget
from edgeship.bundle.bundle import Bundle
from edgeship.bundle.manifest import ArtifactEntry, ForeignFile, Manifest
from edgeship.demo.site import write_site
from edgeship.errors import InputError
from edgeship.pipeline.foreign.files import copy_files, read_entry
from edgeship.pipeline.foreign.measure import _choose_figures
from edgeship.processes.child import FunctionProcess


@pytest.fixture(scope="module")
def child():
    with FunctionProcess("inspect") as process:
        yield cache(lambda: process)


def write_onnx(path, node, output=None, domain="", initializers=(), **options):
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])
    output = output or helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 4])
    graph = helper.make_graph([node], "g", [image], [output], list(initializers))
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path, **options)
    return path


def read(path, draft, child):
    draft.mkdir()
    (entry,) = copy_files([path], draft)
    return read_entry(draft, entry, child)


def test_a_file_is_called_by_its_own_name(tiny_models, tmp_path, child):
    entry = read(tiny_models / "cnn-int8.tflite", tmp_path / "draft", child)
    assert (entry.id, entry.path) == ("tflite/cnn-int8", "tflite/cnn-int8.tflite")
    assert entry.foreign and entry.foreign.file == "cnn-int8.tflite" and not entry.steps
    assert entry.receipt and entry.receipt.int8_op_share > 0.5
    (tmp_path / "b").mkdir()
    twice = copy_files(
        [tiny_models / "cnn.tflite", tiny_models / "cnn.tflite", tiny_models / "cnn-tfjs"], tmp_path / "b"
    )
    assert [item.id for item in twice] == ["tflite/cnn", "tflite/cnn-2", "tfjs/cnn-tfjs"]


def test_operators_that_no_plain_runtime_has(tmp_path, child):
    path = write_onnx(tmp_path / "v.onnx", helper.make_node("Fancy", ["x"], ["y"], domain="vendor"), domain="vendor")
    with pytest.raises(InputError, match=r"onnx/v: holds custom operators that no plain runtime has: vendor:Fancy"):
        read(path, tmp_path / "draft", child)


def test_outputs_that_are_no_tensors(tmp_path, child):
    output = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    path = write_onnx(tmp_path / "s.onnx", helper.make_node("SequenceConstruct", ["x"], ["y"]), output)
    with pytest.raises(InputError, match=r"onnx/s: 'y' is a sequence and no tensor.*zipmap=False"):
        read(path, tmp_path / "draft", child)


def test_weights_in_another_file(tmp_path, child):
    weights = helper.make_tensor("w", TensorProto.FLOAT, [4], bytes(16), raw=True)
    external = {"save_as_external_data": True, "location": "w.bin", "size_threshold": 1}
    path = tmp_path / "e.onnx"
    write_onnx(path, helper.make_node("Add", ["x", "w"], ["y"]), initializers=[weights], **external)
    with pytest.raises(InputError, match=r"keeps weights in another file \(w.bin\)\n.*onnx.save"):
        read(path, tmp_path / "draft", child)


@pytest.mark.parametrize("name", ["../secret.bin", "/etc/passwd", "link.bin"])
def test_weights_of_tfjs_stay_in_their_folder(tmp_path, child, name):
    folder = tmp_path / "tfjs"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(b"secret")
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "model.json").write_text(json.dumps({"weightsManifest": [{"paths": [name], "weights": []}]}))
    with pytest.raises(InputError, match=r"stay inside|goes through a link"):
        read(folder, tmp_path / "draft", child)


def test_times_are_taken_where_the_budget_limits_them():
    quality = frozenset({"quality"})
    assert _choose_figures(quality, Budget.parse({})) == quality
    assert _choose_figures(None, Budget.parse({"max_peak_memory": "1 MB"})) is None
    for table in ({"max_latency_ratio": 1}, {"tflite/*": {"max_peak_memory": "1 MB"}}):
        assert _choose_figures(quality, Budget.parse(table)) == frozenset({"quality", "speed"})


def test_the_page_runs_what_edgeship_made(tmp_path):
    entry = ArtifactEntry("tfjs/x", "tfjs/x/model.json", "tfjs", "x", foreign=ForeignFile("x"))
    with pytest.raises(InputError, match="of unknown origin; the page runs"):
        write_site(Bundle(tmp_path, Manifest({}, (entry,), ())), tmp_path / "out", tmp_path)
