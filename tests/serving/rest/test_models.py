"""Models of every form: several inputs, whole numbers, a scalar, a sequence of any length, a batch of its own."""

import json
import shutil
from typing import Any

import numpy as np
import pytest

from edgeship import api
from edgeship.bundle import bundle as bundles
from edgeship.deploy.contract.arithmetic.words import hash_words
from edgeship.deploy.contract.build import build_contract, describe_outputs
from edgeship.deploy.contract.contract import RawGoldens, contract_json
from edgeship.deploy.contract.inputs import ContractInput, RawForm, TensorForm
from edgeship.deploy.contract.steps import Affine, HashWords, Lookup
from edgeship.runtimes.session import open_session
from edgeship.settings.inputs import Column
from tests.serving.rest.conftest import ask
from tests.serving.rest.small_bundles import write_single

pytestmark = pytest.mark.more

RANDOM = np.random.default_rng(5)
PAIR = {"values": RANDOM.normal(size=(3, 4)).astype(np.float32), "ids": RANDOM.integers(0, 6, (3, 3), np.int32)}
MODELS: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "pair-tflite": ("pair.tflite", "litert", PAIR, 16),
    "pair-onnx": ("pair.onnx", "onnxruntime", PAIR, 16),
    "power": ("power.tflite", "litert", {"x": RANDOM.random((2, 3), np.float32), "times": np.int32(3)}, 1),
    "length": ("length.tflite", "litert", {"sound": RANDOM.random((2, 77, 1), np.float32)}, 1),  # none is at hand
    "static": ("cnn-static.tflite", "litert", {"image": RANDOM.random((5, 8, 8, 1), np.float32)}, 1),
    "plain": ("double.tflite", "litert", {"x": RANDOM.random((2, 3), np.float32)}, 16),
}
DATATYPES = {"float32": "FP32", "int32": "INT32"}


@pytest.fixture(scope="module")
def sessions(tiny_models):
    opened = {name: open_session(runtime, tiny_models / file) for name, (file, runtime, _, _) in MODELS.items()}
    yield opened
    for session in opened.values():
        session.close()


@pytest.fixture(scope="module")
def many(installed_server, tiny_models, tmp_path_factory):
    root = tmp_path_factory.mktemp("many")
    places = [
        f"{name}={write_single(tiny_models / file, runtime, root / name)}"
        for name, (file, runtime, _, _) in MODELS.items()
    ]
    with api.open_server(places, port=0, grpc_port=None) as server:
        yield server


@pytest.mark.parametrize("name", MODELS)
def test_its_own_answer_to_the_bit(name, many, sessions):
    _, _, feeds, batch = MODELS[name]
    loaded = next(item for item in many.models if item.key == f"{name}/1")
    assert loaded.batch == batch, loaded.batch_reason
    inputs = [
        {"name": key, "shape": list(np.shape(array)), "datatype": DATATYPES[np.asarray(array).dtype.name],
         "data": np.asarray(array).reshape(-1).tolist()}
        for key, array in feeds.items()
    ]  # fmt: skip
    answer = ask(many, f"/v2/models/{name}/infer", {"inputs": inputs}, key="")
    assert answer.status == 200, answer.body
    wanted = sessions[name].run(feeds)
    assert [item["name"] for item in answer.json["outputs"]] == list(wanted)
    for item in answer.json["outputs"]:
        values = np.array(item["data"], wanted[item["name"]].dtype).reshape(item["shape"])
        assert values.tobytes() == wanted[item["name"]].tobytes(), item["name"]


def test_a_sample_that_the_runtime_fails_on_fails_for_its_sender_alone(many, sessions):
    from concurrent.futures import ThreadPoolExecutor

    def one(number):
        ids = np.full((1, 3), 99 if number % 4 == 0 else number % 6, np.int32)
        inputs = [
            {"name": "values", "shape": [1, 4], "datatype": "FP32", "data": [0.5] * 4},
            {"name": "ids", "shape": [1, 3], "datatype": "INT32", "data": ids.reshape(-1).tolist()},
        ]
        return number, ids, ask(many, "/v2/models/pair-onnx/infer", {"inputs": inputs}, key="")

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, range(64)))
    for number, ids, answer in answers:
        if number % 4 == 0:
            assert answer.status == 500 and "failed on this input" in json.loads(answer.body)["error"]
            continue
        wanted = sessions["pair-onnx"].run({"values": np.full((1, 4), 0.5, np.float32), "ids": ids})
        outputs = {item["name"]: item["data"] for item in answer.json["outputs"]}
        np.testing.assert_allclose(outputs["wide"], wanted["wide"][0], rtol=1e-5)


TOWNS = tuple(Column(name, "category", ("Bonn", "Rome", ""), 3) for name in ("from", "via", "to"))
ROWS = ContractInput(
    "ids", "table", RawForm("text", "row", columns=TOWNS), (Lookup(), Affine((1.0,) * 3, (0.0, 1.0, 2.0))),
    TensorForm((1, 3), "int32"),
)  # fmt: skip
TEXTS = ContractInput("ids", "text", RawForm("text", "text"), (HashWords(3, 3),), TensorForm((1, 3), "int32"))


@pytest.mark.parametrize(
    ("form", "shape", "data", "ids"),
    [
        (ROWS, [3], ["Rome", "", "Bonn"], [1, 3, 2]),
        (TEXTS, [2], ["Größe? Größe!", ""], [*hash_words("größe größe", 3, 3), 0, 0, 0]),
    ],
    ids=["row", "text"],
)
def test_texts_become_the_whole_numbers_that_the_model_takes(
    form, shape, data, ids, installed_server, tiny_models, tmp_path
):
    """As `edgeship train --data` makes them: places in lists of categories, ids of words, int32."""
    bundle = write_single(tiny_models / "pair.onnx", "onnxruntime", tmp_path / "single")
    manifest = bundles.open_bundle(bundle).manifest
    (entry,) = manifest.artifacts
    inputs = (ContractInput("values", "tensor", RawForm("float32", "tensor"), (), TensorForm((1, 4), "float32")), form)
    outputs = describe_outputs(entry.outputs, ["none"] * len(entry.outputs), (), None, {})
    contract = build_contract("trip", manifest, inputs, outputs, RawGoldens(reason="none"))
    with bundles.replace_bundle(tmp_path / "bundle") as draft:
        shutil.copytree(bundle, draft, dirs_exist_ok=True)
        (draft / "contract.json").write_text(contract_json(contract))
        bundles.seal_bundle(draft, manifest)
    count = len(ids) // 3
    numbers = {"name": "values", "shape": [count, 4], "datatype": "FP32", "data": [0.5, 1, -2, 0] * count}
    raw = {"name": "ids", "shape": shape, "datatype": "BYTES", "data": data}
    whole = {"name": "ids", "shape": [count, 3], "datatype": "INT32", "data": ids}
    with api.open_server([f"trip={tmp_path / 'bundle'}"], port=0, grpc_port=None) as server:
        answers = [ask(server, "/v2/models/trip/infer", {"inputs": [numbers, item]}) for item in (raw, whole)]
    assert [answer.status for answer in answers] == [200, 200], answers[0].body
    assert answers[0].json["outputs"] == answers[1].json["outputs"]
