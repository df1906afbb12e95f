"""Damaged and hostile artifacts and data: one sentence, exit code 2; no traceback, no crash, no hang, no flood of memory.

The files are made here. What may crash or fill the memory is read in a process of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import unicodedata
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship import cli, data, untrusted
from edgeship.benchmarks.compare import accuracy, parity
from edgeship.benchmarks.compare.metrics import METRICS
from edgeship.convert.receipts import receipt
from edgeship.errors import CheckError, EdgeshipError, InputError
from edgeship.runtimes import registry
from edgeship.runtimes.session import open_session
from edgeship.server_model.adapter import first_samples
from edgeship.types import to_json
from tests.hostile.files.damage import damage

ROOT = Path(__file__).parents[3]
MEMORY = 1500  # megabytes that reading small files takes at most, all libraries among them


def read(kind, base, count, first=0):
    """How reading that many damaged copies ended."""
    command = [sys.executable, "-m", "tests.hostile.files.read_damaged", kind, str(base), str(first), str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120 + count, check=False)
    assert done.returncode == 0, f"died of {done.returncode} at copy {done.stderr.splitlines()[-1:]}"
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def bases(tiny_models, tmp_path_factory):
    """A whole file of each kind: those of small networks, a text of a sparse one, and data."""
    folder = tmp_path_factory.mktemp("bases")
    rng = np.random.default_rng(0)
    np.savez(folder / "plain.npz", x=rng.random((40, 8, 8, 1), np.float32), y=rng.integers(0, 5, 40))
    np.savez_compressed(folder / "packed.npz", x=rng.random((40, 8), np.float32), y_a=rng.integers(0, 5, (40, 2)))
    return {
        "int8.tflite": tiny_models / "cnn-int8.tflite",
        "loop.tflite": tiny_models / "power.tflite",
        "cnn.onnx": tiny_models / "cnn.onnx",
        "pair.onnx": tiny_models / "pair.onnx",
        "cnn.tfjs-json": tiny_models / "cnn-tfjs",
        "cnn.tfjs-shard": tiny_models / "cnn-tfjs",
        "plain.npz": folder / "plain.npz",
        "packed.npz": folder / "packed.npz",
    }


BASES = {
    "int8.tflite": 150, "loop.tflite": 150, "cnn.onnx": 150, "pair.onnx": 150, "cnn.tfjs-json": 200, "cnn.tfjs-shard": 50,
    "plain.npz": 150, "packed.npz": 150,
}  # fmt: skip


@pytest.mark.parametrize(("name", "count"), BASES.items())
def test_damaged_files_are_refused_in_a_sentence(name, count, bases):
    ends = read(name.partition(".")[2], bases[name], count)
    assert not ends["tracebacks"] and not ends["hangs"] and not ends["unclear"], ends
    assert ends["read"] + ends["refused"] == count
    assert ends["megabytes"] < MEMORY
    if not name.endswith("shard"):  # other numbers in it are numbers, too
        assert ends["refused"] > count // 10


@pytest.mark.more
@pytest.mark.parametrize("name", BASES)
def test_ten_thousand_damaged_files(name, bases):
    ends = read(name.partition(".")[2], bases[name], 5000, first=1000)
    assert not ends["tracebacks"] and not ends["hangs"] and not ends["unclear"], ends
    assert ends["megabytes"] < MEMORY


@contextlib.contextmanager
def at_most(seconds):
    """Raises TimeoutError where the block takes longer."""

    def stop(*_):
        raise TimeoutError(f"took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def in_terms_of_the_command_line(call):
    """What a call prints, and its exit code as the command line would end."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), at_most(30):
        code: Any = 0
        try:
            call()
        except SystemExit as end:
            code = end.code
    return subprocess.CompletedProcess(call, code, out.getvalue(), err.getvalue())


def edgeship(*arguments):
    """A command, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["edgeship", *map(str, arguments)])
        return in_terms_of_the_command_line(cli.main)


def refused(done, *words):
    """Exit code 2 and one or two lines that say the words, without anything that steers a terminal."""
    assert done.returncode == 2, done.stderr[-2000:] + done.stdout[-2000:]
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") <= 2, done.stderr
    assert not [char for char in done.stderr if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs")]
    for word in words:
        assert word in done.stderr, done.stderr


# The flatbuffer of a `.tflite`


def tflite(path, change):
    """A model of one ADD, as `change(model)` leaves its objects."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name, buffer=0):
        return schema.TensorT(name=name, shape=[2, 2], type=0, buffer=buffer)

    graph = schema.SubGraphT(
        tensors=[tensor("x"), tensor("c", 1), tensor("y")], inputs=[0], outputs=[2],
        operators=[schema.OperatorT(opcodeIndex=0, inputs=[0, 1], outputs=[2])],
    )  # fmt: skip
    held = np.ones(4, np.float32).view(np.uint8)
    model = schema.ModelT(
        version=3, operatorCodes=[schema.OperatorCodeT()], subgraphs=[graph],
        buffers=[schema.BufferT(), schema.BufferT(data=held)],
    )  # fmt: skip
    change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def _sparse(model):
    from ai_edge_litert import schema_py_generated as schema

    tensor = model.subgraphs[0].tensors[1]
    tensor.sparsity, tensor.shape = schema.SparsityParametersT(traversalOrder=[0, 1]), [1 << 20, 1 << 20]


def _negative(model):
    model.subgraphs[0].tensors[1].shape = [-4, 4]


def _overflowing(model):
    model.subgraphs[0].tensors[1].shape = [2**31 - 1] * 8


def _huge_input(model):
    model.subgraphs[0].tensors[0].shape = [2**31 - 1] * 3


def _no_such_type(model):
    model.subgraphs[0].tensors[0].type = 113


def _no_such_tensor(model):
    model.subgraphs[0].outputs = [77]


def _scale_of_nothing(model):
    from ai_edge_litert import schema_py_generated as schema

    tensor = model.subgraphs[0].tensors[0]
    tensor.type = 9
    tensor.quantization = schema.QuantizationParametersT(scale=[float("nan")], zeroPoint=[0])


@pytest.mark.parametrize(
    "change",
    [_sparse, _negative, _overflowing, _huge_input, _no_such_type, _no_such_tensor, _scale_of_nothing],
    ids=lambda item: item.__name__[1:],
)
def test_a_tflite_that_lies(change, tmp_path):
    path = tflite(tmp_path / "m.tflite", change)
    refused(edgeship("inspect", path, "--json", tmp_path / "out.json"), "")


def test_a_tflite_of_this_kind_that_does_not_lie(tmp_path):
    done = edgeship("inspect", tflite(tmp_path / "m.tflite", lambda model: None))
    assert done.returncode == 0 and "x: 2x2 float32" in done.stdout


def repeated_tflite(path: Path, graphs: int, tensors: int, name: str = "") -> Path:
    """A model whose graphs are all the same one, and the tensors of that one too: written once, named many times."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    builder = flatbuffers.Builder(1 << 20)

    def repeat(start: Callable[[Any, int], None], item: int, times: int) -> int:
        start(builder, times)
        for _ in range(times):
            builder.PrependUOffsetTRelative(item)
        return builder.EndVector()

    text = builder.CreateString(name)
    schema.TensorStart(builder)
    schema.TensorAddName(builder, text)
    of_graph = repeat(schema.SubGraphStartTensorsVector, schema.TensorEnd(builder), tensors)
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, of_graph)
    of_model = repeat(schema.ModelStartSubgraphsVector, schema.SubGraphEnd(builder), graphs)
    schema.ModelStart(builder)
    schema.ModelAddSubgraphs(builder, of_model)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def test_a_tflite_whose_lists_are_used_again_and_again(tmp_path):
    """Every graph is the same list of tensors: 200 KB that unpack to 400 million objects."""
    path = repeated_tflite(tmp_path / "m.tflite", graphs=20_000, tensors=20_000)
    refused(edgeship("inspect", path), "m.tflite", "more tensors and operators than it holds")


def test_a_tflite_whose_names_are_used_again_and_again(tmp_path):
    """Every tensor has the same name: 300 KB that unpack to 4 GB."""
    path = repeated_tflite(tmp_path / "m.tflite", graphs=1, tensors=40_000, name="x" * 100_000)
    refused(edgeship("inspect", path), "m.tflite", "more memory")


def test_an_array_of_arrays(tmp_path):
    """NumPy writes no such header, and reads it as an array of another shape."""
    header = b"{'descr': ('<f4', (2,)), 'fortran_order': False, 'shape': (4,), }".ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(32))
    with pytest.raises(InputError, match=r"d\.npz: array 'x' is one of arrays"):
        list(data.RepresentativeDataset(tmp_path / "d.npz").batches(2))


def test_names_that_steer_a_terminal(tmp_path):
    def rename(model):
        model.subgraphs[0].tensors[0].name = "a\x1b]0;owned\x07\u202eb\x1b[31m\ngate: PASS[bold]"

    done = edgeship("inspect", tflite(tmp_path / "m.tflite", rename))
    assert done.returncode == 0, done.stderr
    assert r"a\x1b]0;owned\x07\u202eb\x1b[31m" in done.stdout and "[bold]" in done.stdout
    assert not [char for char in done.stdout if char != "\n" and unicodedata.category(char) in ("Cc", "Cf")]
    assert not [line for line in done.stdout.splitlines() if line.startswith("gate")]


@pytest.mark.parametrize("name", ["m.tflite", "m.onnx", "model.json", "m.npz"])
def test_what_is_no_regular_file(name, tmp_path):
    """Neither the pipe that nobody writes to nor the device without an end is read."""
    code = (
        "import sys\nfrom edgeship import cli\nif sys.argv[2].endswith('npz'):\n    from edgeship import data, errors\n"
    )
    code += "    try:\n        data.RepresentativeDataset(sys.argv[2])\n    except errors.EdgeshipError as error:\n"
    code += "        cli._fail(str(error), error.exit_code)\ncli.main()"
    for number, make in enumerate((os.mkfifo, lambda path: path.symlink_to("/dev/zero"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        make(folder / name)
        done = subprocess.run(
            [sys.executable, "-c", code, "inspect", str(folder / name)], capture_output=True, text=True, timeout=30,
            check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4000 << 20, 4000 << 20)),
        )  # fmt: skip
        refused(done, name)


def test_a_model_of_thousands_of_operators_is_shown_in_part(tmp_path):
    from ai_edge_litert import schema_py_generated as schema

    def change(model):
        codes = [(f"op{number}" + "x" * 5000).encode() for number in range(300)]
        model.operatorCodes = [
            schema.OperatorCodeT(builtinCode=32, deprecatedBuiltinCode=32, customCode=code) for code in codes
        ]
        graph = model.subgraphs[0]
        graph.operators = [schema.OperatorT(opcodeIndex=number, inputs=[0, 1], outputs=[2]) for number in range(300)]
        graph.inputs = [0] * 3000

    path = tmp_path / "m.tflite"
    tflite(path, change)
    done = edgeship("inspect", path)
    assert done.returncode == 0 and "and 100 more" in done.stdout and "and 2,800 more" in done.stdout
    assert len(done.stdout) < 500_000 and "op299x" not in done.stdout


# TF.js


def tfjs(folder, **changes):
    """A model of one weight, with other keys in its model.json."""
    folder.mkdir(exist_ok=True)
    (folder / "shard.bin").write_bytes(np.ones(4, np.float32).tobytes())
    end = {"dtype": "DT_FLOAT", "tensorShape": {"dim": [{"size": "-1"}, {"size": "4"}]}}
    model = {
        "format": "graph-model",
        "modelTopology": {"node": [{"op": "Placeholder"}, {"op": "MatMul"}]},
        "signature": {"inputs": {"x": end}, "outputs": {"y": end}},
        "weightsManifest": [weights()],
        **changes,
    }
    (folder / "model.json").write_text(json.dumps(model))
    return folder


def weights(paths=("shard.bin",), **changes):
    """An entry of a weights manifest."""
    return {"paths": [*paths], "weights": [{"name": "w", "shape": [4], "dtype": "float32", **changes}]}


DEEP = "[" * 100_000 + "]" * 100_000
LIES: dict[str, tuple[dict[str, Any], str]] = {
    "absolute": ({"weightsManifest": [weights(["/etc/hostname"])]}, "does not stay inside"),
    "parent": ({"weightsManifest": [weights(["../secret.bin"])]}, "does not stay inside"),
    "link": ({"weightsManifest": [weights(["link.bin"])]}, "goes through a link"),
    "pipe": ({"weightsManifest": [weights(["pipe.bin"])]}, "a pipe"),
    "missing": ({"weightsManifest": [weights(["missing.bin"])]}, "missing"),
    "twice": ({"weightsManifest": [weights(["shard.bin"] * 2)]}, "names a weight file twice"),
    "in two groups": ({"weightsManifest": [weights(), weights()]}, "names a weight file twice"),
    "endless": ({"weightsManifest": [weights(["x" * 200_000])]}, "no place for a file"),
    "number": ({"weightsManifest": [weights([3])]}, "not a relative path"),
    "negative": ({"weightsManifest": [weights(shape=[-4, 4])]}, "shape [-4, 4]"),
    "overflow": ({"weightsManifest": [weights(shape=[2**62, 2**62])]}, "tensor_bytes"),
    "huge": ({"weightsManifest": [weights(shape=[2**30])]}, "end in the middle"),
    "type": ({"weightsManifest": [weights(dtype="object")]}, "which TF.js has not"),
    "shape of texts": ({"weightsManifest": [weights(shape="44")]}, "shape"),
    "list as manifest": ({"weightsManifest": {"paths": 1}}, "model"),
    "list as topology": ({"modelTopology": []}, "not a TF.js graph model"),
    "list as signature": ({"signature": []}, "model"),
    "list as node": ({"modelTopology": {"node": [[]]}}, "model"),
    "library of texts": ({"modelTopology": {"node": [], "library": "a"}}, "model"),
    "not a number": ({"convertedBy": float("nan"), "weightsManifest": [weights(shape=[float("inf")])]}, "shape"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_tfjs_model_that_lies(lie, tmp_path):
    changes, words = LIES[lie]
    folder = tfjs(tmp_path / "tfjs", **changes)
    (tmp_path / "secret.bin").write_bytes(bytes(16))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    os.mkfifo(folder / "pipe.bin")
    refused(edgeship("inspect", folder, "--json", tmp_path / "out.json"), words)


@pytest.mark.parametrize("text", ["[]", "null", "3", DEEP, '{"modelTopology": ' + DEEP + "}", "\xff\xfe"])
def test_a_model_json_that_is_no_model(text, tmp_path):
    folder = tfjs(tmp_path / "tfjs")
    assert edgeship("inspect", folder).returncode == 0
    (folder / "model.json").write_bytes(text.encode("latin-1"))
    refused(edgeship("inspect", folder), "model.json")


# ONNX


def onnx_model(path, location="beside.bin", **external):
    """A model whose one weight lies in another file."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **external}.items():
        weight.external_data.add(key=key, value=str(value))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "one", ends[:1], ends[1:], [weight])
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    assert onnx
    return path


@pytest.mark.parametrize(
    ("location", "more", "words"),
    [
        ("/etc/hostname", {}, "does not stay inside"),
        ("../secret.bin", {}, "does not stay inside"),
        ("link.bin", {}, "goes through a link"),
        ("pipe.bin", {}, "a pipe"),
        ("missing.bin", {}, "no such file"),
        ("beside.bin", {"length": 1 << 40}, "than they have"),
        ("beside.bin", {"length": "much"}, "m.onnx"),
        ("beside.bin", {"offset": -8}, "m.onnx"),
    ],
)
def test_external_data_of_an_onnx_model(location, more, words, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for place in (folder / "beside.bin", tmp_path / "secret.bin"):
        place.write_bytes(np.ones(4, np.float32).tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    os.mkfifo(folder / "pipe.bin")
    assert received(onnx_model(folder / "whole.onnx")).returncode == 0
    refused(received(onnx_model(folder / "m.onnx", location, **more)), words)


def received(path):
    """What reading a receipt in this process ends with, as the command line would."""

    def call():
        try:
            receipt.read(path)
        except EdgeshipError as error:
            cli._fail(str(error), error.exit_code)

    return in_terms_of_the_command_line(call)


def one_operator(path, operator, inputs, **attributes):
    """A model of one operator on a square of floats, `x`, and whole numbers, `i`."""
    pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 4]) for name in ("x", "y")]
    numbers = helper.make_tensor("i", TensorProto.INT64, [3], [0, -1, 2**62])
    node = helper.make_node(operator, inputs, ["y"], **attributes)
    graph = helper.make_graph([node], "one", ends[:1], ends[1:], [numbers])
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString())
    return path


@pytest.mark.parametrize("equation", ["ij, jk -> ik", "...i,i->..."])
def test_equations_of_an_onnx_model(equation, tmp_path):
    done = received(one_operator(tmp_path / "m.onnx", "Einsum", ["x"] * 2, equation=equation))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes", "words"),
    [
        ("Einsum", "x", {"equation": "...."}, "no equation"),
        ("Einsum", "x", {"equation": "%s%n"}, "no equation"),
        ("Split", "x", {"num_outputs": 2**31}, "a Split into 2,147,483,648 has 1 outputs"),
        ("LayerNormalization", "xii", {"axis": 2**63 - 1}, "onnx cannot be read"),
        ("GatherND", "xi", {"batch_dims": -99}, "onnx cannot be read"),
    ],
)
def test_operators_that_onnx_itself_crashes_or_hangs_on(operator, inputs, attributes, words, tmp_path):
    """In a process of its own: one that is still alive at the end has not crashed."""
    path = one_operator(tmp_path / "m.onnx", operator, list(inputs), **attributes)
    command = [sys.executable, "-m", "edgeship.cli", "inspect", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode or words != "onnx cannot be read":  # other versions of onnx may not crash
        refused(done, "m.onnx: ", words)


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_reading_a_model_ends(kind, tmp_path, monkeypatch):
    """Whatever it is that takes so long: here the child that reads it never answers."""
    path = tmp_path / f"m.{kind}"
    one_operator(path, "Relu", ["x"]) if kind == "onnx" else tflite(path, lambda model: None)
    soon: Any = 0.01  # the child needs less than the smallest limit that a user can set
    monkeypatch.setattr(untrusted, "limits", lambda: dataclasses.replace(untrusted.Limits(), read_seconds=soon))
    refused(edgeship("inspect", path), f"m.{kind}: {kind} cannot be read", "took longer than", "read_seconds")


# Data


@pytest.fixture
def dataset(monkeypatch):
    """Opens data, reads all of it, and says what came of it as the command line does."""

    def run(path, **environment):
        def call():
            try:
                found = data.RepresentativeDataset(path)
                assert sum(1 for _ in found.batches(64))
                found.labels()
            except EdgeshipError as error:
                cli._fail(str(error), error.exit_code)

        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            return in_terms_of_the_command_line(call)

    return run


def header(shape, dtype="'<f4'", size=64):
    """The bytes of an `.npy` with that text as shape, and `size` bytes of numbers."""
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(size)


def npz(path, members, compression=zipfile.ZIP_STORED):
    """A zip file with these members."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


ARRAYS = {
    "negative": (header("(-4, 4)"), "array 'x' is -4x4 float32 by its header"),
    "negative twice": (header("(-4, -4)"), "by its header, but has 64 bytes"),
    "more than there is": (header("(4, 1000000000000)"), "by its header, but has 64 bytes"),
    "overflow": (header("(9223372036854775807, 9223372036854775807)"), "by its header"),
    "nothing, many times": (header("(1000000000000000, 0)"), "no numbers in a sample"),
    "no size": (header("(1000000000000000,)", "'|V0'"), "array 'x'"),
    "objects": (header("(4,)", "'|O'"), "Python objects"),
    "objects within": (header("(4,)", "[('a', '<f4'), ('b', '|O')]"), "Python objects"),
    "no shape": (header("'four'"), "array 'x' cannot be read"),
    "deep": (header("(" * 4000), "array 'x' cannot be read"),
    "a call": (header("__import__('os').abort()"), "array 'x' cannot be read"),
    "no header": (b"\x93NUMPY\x01\x00\xff\xff{", "array 'x' cannot be read"),
    "no array": (b"text", "array 'x' cannot be read"),
    "empty": (b"", "array 'x' cannot be read"),
}


@pytest.mark.parametrize("lie", ARRAYS)
def test_an_array_that_lies(lie, tmp_path, dataset):
    content, words = ARRAYS[lie]
    refused(dataset(npz(tmp_path / "d.npz", {"x.npy": content})), "d.npz", words)


def test_data_that_unpacks_to_too_much(tmp_path, dataset):
    zeros = header("(100, 1000000)", "'|u1'", 100_000_000)
    bomb = npz(tmp_path / "bomb.npz", {"x.npy": zeros}, zipfile.ZIP_DEFLATED)
    refused(dataset(bomb), "bomb.npz: unpacks to 100,000,", "EDGESHIP_LIMITS=unpacked_ratio=")
    assert dataset(bomb, EDGESHIP_LIMITS="unpacked_ratio=2000").returncode == 0
    refused(dataset(bomb, EDGESHIP_LIMITS="unpacked_bytes=1000"), "EDGESHIP_LIMITS=unpacked_bytes=")
    small = npz(tmp_path / "small.npz", {"x.npy": header("(10, 100000)", "'|u1'", 1_000_000)}, zipfile.ZIP_DEFLATED)
    assert dataset(small).returncode == 0, "a thousand times its size, and yet little"


def test_more_in_a_member_than_its_directory_says(tmp_path, dataset):
    """A directory that calls 100 MB two hundred bytes: no more than that is unpacked."""
    path = npz(tmp_path / "d.npz", {"x.npy": header("(100, 1000000)", "'|u1'", 100_000_000)}, zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = (200).to_bytes(4, "little")
    path.write_bytes(content)
    refused(dataset(path), "d.npz: array 'x'")


def test_other_archives_and_numbers_of_files(tmp_path, dataset):
    whole = header("(4, 4)")
    assert dataset(npz(tmp_path / "whole.npz", {"x.npy": whole})).returncode == 0
    for strange in ("x", "x.txt", "folder/", "x" * 60_000):  # what numpy would take for bytes
        refused(
            dataset(npz(tmp_path / "d.npz", {"x.npy": whole, strange: whole})), "d.npz: holds ", "which is no array"
        )
    packed = npz(tmp_path / "d.npz", {"x.npy": whole}, zipfile.ZIP_LZMA)
    refused(dataset(packed), "compressed in a way that numpy does not write")
    many = npz(tmp_path / "many.npz", {f"x{number}.npy": whole for number in range(30)})
    refused(dataset(many, EDGESHIP_LIMITS="files=20"), "many.npz: holds more than 20 files", "EDGESHIP_LIMITS=files=")
    folder = tmp_path / "shards"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number}.npz").symlink_to(tmp_path / "whole.npz")
    assert dataset(folder).returncode == 0, "links to data of one's own"
    refused(dataset(folder, EDGESHIP_LIMITS="files=20"), "more than 20 .npz files")
    os.mkfifo(folder / "a.npz")
    refused(dataset(folder), "a.npz: a pipe")


# What the runtimes do with damaged files, in their own processes


@pytest.mark.parametrize("name", ["int8.tflite", "cnn.onnx"])
def test_a_runtime_that_opens_a_damaged_file_fails_in_a_sentence(name, bases, tmp_path):
    runtime = {"tflite": "litert", "onnx": "onnxruntime"}[name.partition(".")[2]]
    content, said = bases[name].read_bytes(), []
    for seed in range(12):
        path = tmp_path / f"{seed}.{name}"
        path.write_bytes(damage(content, seed + 100))
        try:
            with open_session(runtime, path, timeout=30) as session:
                session.run(session.sample)
        except EdgeshipError as error:
            said.append(str(error))
    assert said and not [text for text in said if "Traceback" in text]


def strange_output(path, kind):
    """A model whose output is no number for each sample."""
    import onnx
    from onnx import TensorProto, helper

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])
    shape = {"scalar": [], "text": [None, 4], "other shapes": [2, None]}[kind]
    dtype = {"scalar": TensorProto.FLOAT, "text": TensorProto.STRING, "other shapes": TensorProto.INT64}[kind]
    node = {
        "scalar": helper.make_node("ReduceMean", ["x"], ["y"], keepdims=0),
        "text": helper.make_node("Cast", ["x"], ["y"], to=TensorProto.STRING),
        "other shapes": helper.make_node("NonZero", ["x"], ["y"]),
    }[kind]
    graph = helper.make_graph([node], "g", [x], [helper.make_tensor_value_info("y", dtype, shape)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("scalar", "one value for a whole batch"),
        ("text", "only numbers"),
        ("other shapes", "another shape for each batch"),
    ],
)
def test_an_artifact_whose_output_is_no_number_of_each_sample(kind, words, tmp_path):
    batches = ({"x": np.ones((3, 4), np.float32)}, {"x": np.zeros((2, 4), np.float32)})
    path = strange_output(tmp_path / "m.onnx", kind)
    with open_session("onnxruntime", path, timeout=30) as session, pytest.raises(CheckError, match=words):
        session.evaluate(iter(batches), 2)


def test_a_server_model_whose_output_is_one_number():
    with pytest.raises(InputError, match="'y' is one value for a whole batch"):
        first_samples("y", np.float32(3) * np.ones(()), 2)


RANDOM = np.random.default_rng(0)
OUTPUTS: dict[str, Any] = {
    **{
        "plain": RANDOM.random((6, 3), np.float32),
        "large": RANDOM.random((6, 3)) * 1e200,
        "huge": np.full((6, 3), 1.7e308),
    },
    **{
        "tiny": np.full((6, 3), 1e-200),
        "whole": RANDOM.integers(-(2**63), 2**63 - 1, (6, 3)),
        "none": np.zeros((6, 0)),
    },
    **{"text": np.full((6, 3), "a"), "objects": np.full((6, 3), b"a", object), "complex": np.ones((6, 3)) * 1j},
    **{
        "scalar": np.ones(()),
        "void": np.zeros((6, 3), "V2"),
        "nan": np.full((6, 3), np.nan),
        "single": np.ones((6, 1)),
    },
}
LABELS = {
    **{"classes": np.arange(6) % 3, "one-hot": np.eye(3)[np.arange(6) % 3], "values": np.full((6, 3), 1e300)},
    **{"padding": np.full(6, -1), "large": np.full(6, 2**63 - 1), "scalar": np.ones(()), "void": np.zeros(6, "V3")},
}


@pytest.mark.parametrize("metric", [None, *METRICS])
def test_outputs_beyond_all_numbers_have_figures_or_a_reason(metric):
    """Whatever a model answers and a data file calls labels: figures that JSON can hold, or a sentence."""
    for server, artifact in itertools.product(OUTPUTS.values(), OUTPUTS.values()):
        one, two = {"y": server}, {"y": artifact}
        judged: list[Callable[[], object]] = [partial(parity.compare, one, two)]
        judged += [partial(accuracy.measure, {"y": truth}, one, two, metric) for truth in LABELS.values()]
        for judge in judged:
            with contextlib.suppress(CheckError, InputError):
                json.dumps(to_json(judge()), allow_nan=False)
    too_large = parity.compare_output("y", OUTPUTS["plain"].astype(float), OUTPUTS["large"])
    assert too_large.sqnr_db is None and "too large" in too_large.reason


def test_node_reads_weights_from_the_models_folder_only(tiny_models, missing, tmp_path):
    if reason := registry.find("tfjs-node").unavailable():
        missing(reason)
    folder = tmp_path / "tfjs"
    shutil.copytree(tiny_models / "cnn-tfjs", folder)
    shard = next(folder.glob("*.bin")).rename(tmp_path / "secret.bin")
    (folder / "link.bin").symlink_to(shard)
    os.mkfifo(folder / "pipe.bin")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "deep").mkdir()
    shutil.copy(shard, folder / "deep" / "own.bin")
    model = json.loads((folder / "model.json").read_text())
    lies = {
        **{"../secret.bin": "not stay in", str(shard): "not stay in", "link.bin": "regular", "pipe.bin": "regular"},
        **{"linked/secret.bin": "through a link", "deep": "regular", "deep/../../secret.bin": "not stay in"},
    }
    for paths, words in (*(([name], words) for name, words in lies.items()), (["deep/own.bin"] * 2, "file twice")):
        model["weightsManifest"][0]["paths"] = paths
        (folder / "model.json").write_text(json.dumps(model))
        with pytest.raises(EdgeshipError, match=words):
            open_session("tfjs-node", folder / "model.json", timeout=30)
    model["weightsManifest"][0]["paths"] = ["deep/own.bin"]
    (folder / "model.json").write_text(json.dumps(model))
    open_session("tfjs-node", folder / "model.json", timeout=30).close()


def test_a_bundle_that_lists_artifacts_elsewhere(tmp_path):
    tfjs(tmp_path / "secret")
    (tmp_path / "bundle").mkdir()
    shutil.copytree(tmp_path / "secret", tmp_path / "bundle" / "m")
    manifest = tmp_path / "bundle" / "manifest.json"

    def listed(path):
        manifest.write_text(json.dumps({"artifacts": [{"id": "[/red]", "path": path, "format": "tfjs"}]}))
        return edgeship("inspect", tmp_path / "bundle")

    done = listed("m/model.json")
    assert done.returncode == 0 and "[/red]" in done.stdout, done.stderr
    for path in ("../secret/model.json", str(tmp_path / "secret")):
        refused(listed(path), "does not stay inside")
    for text in ("[]", '{"artifacts": [[]]}', '{"artifacts": 3}', DEEP):
        manifest.write_text(text)
        refused(edgeship("inspect", tmp_path / "bundle"), "manifest.json")
