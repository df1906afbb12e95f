"""`edgeship debug` with times per operator, and its figures as node data of Model Explorer."""

from __future__ import annotations

import json

from edgeship.formats import flatbuffer


def test_times_and_errors_in_the_graph(edgeship, shipped):
    shipped.change(lambda _: None)
    done = edgeship(
        "debug",
        shipped.bundle,
        "--profile",
        "--artifact",
        "tflite/int8",
        "--json",
        "-",
        "--explorer",
        "t.json",
        check=0,
    )
    times = json.loads(done.stdout)
    assert times["artifact"] == "tflite/int8" and times["runtime"] == "litert"
    layers = {layer for item in times["operators"] for layer in item["layers"]}
    assert layers, times["operators"]
    table = edgeship("debug", shipped.bundle, "--profile", "--artifact", "onnx/float32", check=0).stdout
    assert "onnx/float32 on onnxruntime" in table and "most of it:" in table

    edgeship("debug", shipped.bundle, "--data", shipped.folder / "evaluation.npz", "--explorer", "e.json", check=0)
    tensors = outputs_of(shipped.bundle / "tflite/int8.tflite")
    for name in ("t.json", "e.json"):
        results = json.loads((edgeship.folder / name).read_text())["results"]
        assert results and set(results) <= tensors

    done = edgeship("debug", shipped.bundle, "--profile", "--artifact", "tfjs/float32", check=2)
    assert "tells no time per operator; LiteRT, ONNX Runtime do: tflite/" in done.stderr
    assert "takes no --data" in edgeship("debug", shipped.bundle, "--profile", "--samples", "8", check=2).stderr


def outputs_of(path):
    """The output tensors of the operators of the main graph: what Model Explorer calls its nodes by."""
    graph = flatbuffer.unpack(path.read_bytes()).subgraphs[0]
    return {graph.tensors[index].name.decode() for item in graph.operators for index in item.outputs}
