"""What the server answers, and what it refuses: each refusal has its status and the protocol's form of an error."""

import base64
import http.client
import io
import json
import re
import socket
import struct
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from edgeship import api
from edgeship.deploy.contract.contract import read_contract
from edgeship.deploy.contract.preprocess import preprocess_input
from tests.present import present
from tests.serving.rest.conftest import KEY, ask, tensor, values
from tests.serving.rest.small_bundles import LABELS

INFER = "/v2/models/cnn/infer"


def test_models_and_versions_are_described(server, images):
    assert ask(server, "/v2/health/live", key="").json == {"live": True}
    assert ask(server, "/v2/health/ready", key="").json == {"ready": True}
    assert ask(server, "/v2/models").json == {"models": ["cnn"]}
    described = ask(server, "/v2/models/cnn/versions/2").json
    assert (described["versions"], described["platform"]) == (["1", "2", "3"], "litert_tflite")
    assert described["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 8, 8, 1]}], "as real numbers"
    assert json.loads(described["outputs"][0]["parameters"]["labels"]) == list(LABELS)
    answer = ask(server, INFER, tensor(images)).json
    assert (answer["model_name"], answer["model_version"]) == ("cnn", "3"), "the last one is the default"
    assert answer["parameters"] == {"artifact": "onnx/float32", "runtime": "onnxruntime"}


def test_answers_name_their_labels(server, images, expected):
    answer = ask(server, INFER, tensor(images)).json["outputs"][0]
    assert json.loads(answer["parameters"]["labels"]) == [LABELS[at] for at in expected["3"][-1].argmax(1)]


def test_a_picture_is_brought_to_the_tensor_by_the_contract(server, small_bundles):
    pixels = np.random.default_rng(3).integers(0, 256, (13, 9, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    contract = present(read_contract(small_bundles["onnx/float32"]))
    wanted = values(ask(server, INFER, tensor(preprocess_input(contract.inputs[0], pixels))))

    picture = {"name": "image", "shape": [1], "datatype": "BYTES"}
    text = {"inputs": [{**picture, "data": [base64.b64encode(file.getvalue()).decode()]}]}
    assert values(ask(server, INFER, text)).tobytes() == wanted.tobytes()

    content = struct.pack("<I", len(file.getvalue())) + file.getvalue()
    header = json.dumps({"inputs": [{**picture, "parameters": {"binary_data_size": len(content)}}]})
    sent = {"Inference-Header-Content-Length": str(len(header))}
    assert values(ask(server, INFER, header.encode() + content, headers=sent)).tobytes() == wanted.tobytes()

    numbers = {"datatype": "UINT8", "shape": [13, 9, 3], "data": pixels.reshape(-1).tolist()}
    raw = {"inputs": [{**picture, **numbers, "parameters": {"raw": True}}]}
    assert values(ask(server, INFER, raw)).tobytes() == wanted.tobytes()


def test_many_at_once_are_answered_together_and_rightly(server, images, expected):
    def count_batches() -> tuple[float, float]:
        text = ask(server, "/metrics").body.decode()
        found = re.findall(r'edgeship_batch_samples_(sum|count){model_name="cnn/1"} (\S+)', text)
        return float(dict(found)["sum"]), float(dict(found)["count"])

    connections = [connect(server) for _ in range(32)]
    path = "/v2/models/cnn/versions/1/infer"
    for turn in range(50):  # one that answers before the next has come batches nothing: asked until two meet
        # Each time others, so that no answer is in the cache.
        scales = [np.float32(0.95 - number / 100 - turn / 10_000) for number in range(len(connections))]
        bodies = [json.dumps(tensor(images[:1] * scale)).encode() for scale in scales]
        before = count_batches()
        for connection, body in zip(connections, bodies, strict=True):
            connection.sendall(head(path, f"Content-Length: {len(body)}") + body)
        answers = [read_answer(connection) for connection in connections]
        samples, batches = (after - was for after, was in zip(count_batches(), before, strict=True))
        assert samples == len(scales)
        if batches < samples:
            break
    else:
        pytest.fail("no two of those that came at once were answered together")
    for (status, content), scale in zip(answers, scales, strict=True):
        assert status == 200
        alone = values(ask(server, path, tensor(images[:1] * scale)))
        np.testing.assert_allclose(np.float32(content["outputs"][0]["data"]), alone[0], rtol=1e-4, atol=1e-6)
    assert not np.allclose(answers[0][1]["outputs"][0]["data"], answers[-1][1]["outputs"][0]["data"], atol=1e-4)
    for connection in connections:
        connection.close()


@pytest.mark.more
def test_a_full_batch_waits_for_nobody(installed_server, small_bundles, images):
    bundle = f"cnn={small_bundles['onnx/float32']}"
    running = api.open_server([bundle], port=0, grpc_port=None, batch=2, batch_wait_ms=600_000, timeout_s=60)
    with running as server, connect(server) as coming:
        coming.sendall(head(INFER, "Content-Length: 1000") + b"{")
        pair = [connect(server) for _ in range(2)]
        for connection in pair:
            body = json.dumps(tensor(images[:1])).encode()
            connection.sendall(head(INFER, f"Content-Length: {len(body)}") + body)
        assert [read_answer(connection)[0] for connection in pair] == [200, 200], "not when ten minutes are over"
        for connection in pair:
            connection.close()


def test_an_answer_is_kept(server, images):
    def hits() -> float:
        text = ask(server, "/metrics").body.decode()
        found = re.search(r'edgeship_cache_requests_total{model_name="cnn/2",result="hit"} (\S+)', text)
        return float(found[1]) if found else 0.0

    path, image = "/v2/models/cnn/versions/2/infer", images[:1] * np.float32(0.77)
    first, before = values(ask(server, path, tensor(image))), hits()
    assert values(ask(server, path, tensor(image))).tobytes() == first.tobytes()
    assert hits() == before + 1


IMAGE = {"name": "image", "shape": [1, 8, 8, 1], "datatype": "FP32", "data": [0.5] * 64}
BAD = {
    "no JSON": (b"{", 400, "no JSON"),
    "no object": ([1], 400, "the body must be a JSON object"),
    "no inputs": ({}, 400, "inputs: must be a list"),
    "another input": ({"inputs": [{**IMAGE, "name": "picture"}]}, 400, "takes inputs 'image', got 'picture'"),
    "twice": ({"inputs": [IMAGE, IMAGE]}, 400, "given twice"),
    "another shape": ({"inputs": [{**IMAGE, "shape": [1, 64]}]}, 400, "takes shape ?x8x8x1, got 1x64"),
    "too few": ({"inputs": [{**IMAGE, "data": [0.5] * 63}]}, 400, "do not fill"),
    "a huge shape": ({"inputs": [{**IMAGE, "shape": [2**30, 8, 8, 1]}]}, 400, "do not fill"),
    "a negative shape": ({"inputs": [{**IMAGE, "shape": [-1, 8, 8, 1]}]}, 400, "whole numbers"),
    "many axes": ({"inputs": [{**IMAGE, "shape": [1] * 70}]}, 400, "70 axes"),
    "ragged": ({"inputs": [{**IMAGE, "data": [[0.5], [0.5, 0.5]]}]}, 400, "flat or nested"),
    "texts": ({"inputs": [{**IMAGE, "data": ["1"] * 64}]}, 400, "must be FP32"),
    "truth values": ({"inputs": [{**IMAGE, "data": [True] * 64}]}, 400, "must be FP32"),
    "nothing": ({"inputs": [{**IMAGE, "data": [None] * 64}]}, 400, "must be FP32"),
    "beyond float32": ({"inputs": [{**IMAGE, "data": [1e300] * 64}]}, 400, "beyond what FP32 holds"),
    "an unknown datatype": ({"inputs": [{**IMAGE, "datatype": "FP8"}]}, 400, "unknown datatype 'FP8'"),
    "no sample": ({"inputs": [{**IMAGE, "shape": [0, 8, 8, 1], "data": []}]}, 400, "no sample"),
    "no picture": ({"inputs": [{**IMAGE, "shape": [1], "datatype": "BYTES", "data": ["aGVsbG8="]}]}, 400, "no PNG"),
    "no base64": ({"inputs": [{**IMAGE, "shape": [1], "datatype": "BYTES", "data": ["%"]}]}, 400, "base64"),
    "another output": ({"inputs": [IMAGE], "outputs": [{"name": "scores"}]}, 400, "gives outputs probs, not 'scores'"),
    "outputs of no list": ({"inputs": [IMAGE], "outputs": {}}, 400, "outputs: must be a list"),
    "parameters of lists": ({"inputs": [{**IMAGE, "parameters": {"a": [1]}}]}, 400, "texts, numbers and truth values"),
    "deep": (b"[" * 100_000, 400, "no JSON"),
    "a size beyond": ({"inputs": [{**IMAGE, "data": None, "parameters": {"binary_data_size": 10**9}}]}, 400, "beyond the end"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_told_what_is_wrong(server, name):
    content, status, reason = BAD[name]
    answer = ask(server, INFER, content)
    assert (answer.status, list(answer.json)) == (status, ["error"]), answer.body
    assert reason in answer.json["error"]


def test_what_is_not_there_is_404_and_no_key_is_401(server, images):
    for path in (
        "/v2/models/dog",
        "/v2/models/cnn/versions/9",
        "/v2/models/cnn/versions/9/ready",
        "/v2/models/cnn%2F1",
    ):
        answer = ask(server, path)
        assert answer.status == 404 and answer.json["error"], path
    assert "cnn/1, cnn/2, cnn/3" in ask(server, "/v2/models/dog/infer", tensor(images)).json["error"]
    for key in ("", "wrong", "ä" * 20):
        answer = ask(server, INFER, tensor(images), headers={"X-API-Key": key.encode("latin-1")}, key="")
        assert answer.status == 401 and "needs a key" in answer.json["error"]
        assert ask(server, "/metrics", key="").status == 401
    assert ask(server, INFER, tensor(images), headers={"X-API-Key": "another-key-0123456789"}, key="").status == 200
    assert ask(server, "/v2/repository/models/cnn/unload", {}).status == 404, "nobody unloads models"


def connect(server) -> socket.socket:
    place = urlsplit(server.url)
    return socket.create_connection((place.hostname, present(place.port)), timeout=30)


def head(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {KEY}", *lines, "", ""]).encode()


def read_answer(connection: socket.socket) -> tuple[int, Any]:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, json.loads(answer.read())


def test_a_body_that_is_too_large_or_too_slow_is_refused(server, images):
    answer = ask(server, INFER, bytes(3 << 20))
    assert answer.status == 413 and "at most 1,048,576" in answer.json["error"]
    with connect(server) as slow:
        slow.sendall(head(INFER, "Content-Length: 1000") + b"{")
        assert read_answer(slow) == (408, {"error": "the body did not arrive within 2 s"})
    with connect(server) as chunked:
        chunked.sendall(head(INFER, "Transfer-Encoding: chunked"))
        for _ in range(20):
            chunked.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")
        assert read_answer(chunked)[0] == 413
    with connect(server) as stranger:
        stranger.sendall(head(INFER, "Content-Length: 900000").replace(KEY.encode(), b"x") + bytes(900_000))
        assert read_answer(stranger)[0] == 401, "and not a connection that is reset"
    with connect(server) as asking:
        asking.sendall(head(INFER, "Content-Length: 104857600", "Expect: 100-continue"))
        assert read_answer(asking)[0] == 413, "before a byte of it is sent"
    for _ in range(20):
        with connect(server) as leaving:
            leaving.sendall(head(INFER, "Content-Length: 1000") + b"{")
    assert ask(server, INFER, tensor(images)).status == 200


def test_the_description_of_the_interface_lists_all_of_it(server):
    described = ask(server, "/openapi.json").json
    assert "/v2/models/{model_name}/versions/{model_version}/infer" in described["paths"]
    assert {"400", "401", "404", "413"} <= described["paths"][INFER.replace("cnn", "{model_name}")]["post"][
        "responses"
    ].keys()
