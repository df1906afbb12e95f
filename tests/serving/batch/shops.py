"""A bundle of a small ONNX model, made without TensorFlow, and rows for it.

A row of a table (a number, a category that may be unknown, one that may not) and four numbers choose one of three labels, and
give a number.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession

from edgeship.bundle.bundle import open_bundle, replace_bundle, seal_bundle
from edgeship.bundle.manifest import ArtifactEntry, Manifest, ServerModelEntry
from edgeship.bundle.verdict import GateResult
from edgeship.deploy.contract.contract import (
    ArtifactInput,
    ArtifactOutput,
    Contract,
    ContractArtifact,
    ContractOutput,
    RawGoldens,
    contract_json,
)
from edgeship.deploy.contract.file import write_contract
from edgeship.deploy.contract.inputs import ContractInput, RawForm, TensorForm
from edgeship.deploy.contract.steps import Affine, Grey, Lookup, Resize
from edgeship.monitoring.profile.build import Evaluation, build_profile
from edgeship.monitoring.profile.profile import profile_json
from edgeship.settings.config import Config
from edgeship.settings.inputs import Column
from edgeship.types import TensorSpec, Verdict, to_json

LABELS = ("stays", "leaves", "asks")
TOWNS, PLANS = ("Köln", "a,b"), ("free", "paid")
COLUMNS = (
    Column("age", "number"),
    Column("town", "category", TOWNS, 2),
    Column("plan", "category", PLANS),
)
INPUTS = (
    ContractInput(
        "row",
        "table",
        RawForm("text", "row", columns=COLUMNS),
        (Lookup(), Affine((0.1, 1.0, 1.0), (0.0, 0.5, 0.0))),
        TensorForm((1, 3), "float32"),
    ),
    ContractInput("signal", "tensor", RawForm("float32", "tensor"), (), TensorForm((1, 4), "float32")),
)
OUTPUTS = (
    ContractOutput("answer", (1, 3), "softmax", LABELS),
    ContractOutput("amount", (1, 1)),
    ContractOutput("hidden", (1, 3)),
)
ID, PATH = "onnx/float32", "onnx/float32.onnx"


def weights_of(seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=(7, 3)).astype(np.float32)


def expected_answers(rows: pa.Table, seed: int = 1) -> tuple[list[str], np.ndarray[Any, Any]]:
    """Labels and hidden numbers, computed by hand from the table's columns."""
    hidden = np.concatenate([*encode_by_hand(rows).values()], 1) @ weights_of(seed)
    return [LABELS[place] for place in hidden.argmax(1)], hidden


def encode_by_hand(rows: pa.Table) -> dict[str, np.ndarray[Any, Any]]:
    """The model's inputs of the table's columns."""
    towns = [TOWNS.index(town) if town in TOWNS else 2 for town in rows["town"].to_pylist()]
    plans = [PLANS.index(plan) for plan in rows["plan"].to_pylist()]
    table = np.stack([rows["age"].to_numpy(), towns, plans], 1).astype(np.float32)
    table = table * np.array((0.1, 1, 1), np.float32) + np.array((0, 0.5, 0), np.float32)
    return {"row": table, "signal": np.stack([rows[f"signal_{number}"].to_numpy() for number in range(4)], 1)}


def write_shop(out: Path, seed: int = 1, evaluation: pa.Table | None = None) -> Path:
    """The bundle; another `seed` is another model of the same contract. With a profile of the rows of `evaluation`."""
    nodes = [
        helper.make_node("Concat", ["row", "signal"], ["all"], axis=1),
        helper.make_node("MatMul", ["all", "weights"], ["hidden"]),
        helper.make_node("Softmax", ["hidden"], ["answer"], axis=1),
        helper.make_node("ReduceSum", ["hidden", "axes"], ["amount"], keepdims=1),
    ]
    fixed = {"weights": weights_of(seed), "axes": np.array([1], np.int64)}
    return _write_bundle(out, nodes, fixed, INPUTS, OUTPUTS, encode_by_hand(evaluation) if evaluation else None)


def write_failed(out: Path) -> Path:
    """The same bundle, whose gate did not let it pass."""
    with replace_bundle(write_shop(out)) as draft:
        shutil.copytree(out, draft, dirs_exist_ok=True)
        seal_bundle(draft, replace(open_bundle(draft).manifest, gate=GateResult(Verdict.FAIL)))
    return out


def write_plain(out: Path, width: int, evaluation: np.ndarray[Any, Any] | None = None) -> Path:
    """A bundle of a model that chooses one of three classes, without labels, by `width` numbers `x`.

    With a profile of `evaluation` (n, width), float32.
    """
    random = np.random.default_rng(0)
    fixed = {"a": random.normal(size=(width, 32)), "b": random.normal(size=(32, 3))}
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["one"]),
        helper.make_node("Relu", ["one"], ["two"]),
        helper.make_node("MatMul", ["two", "b"], ["three"]),
        helper.make_node("Softmax", ["three"], ["answer"], axis=1),
    ]
    inputs = (ContractInput("x", "tensor", RawForm("float32", "tensor"), (), TensorForm((1, width), "float32")),)
    weights = {name: array.astype(np.float32) for name, array in fixed.items()}
    outputs = (ContractOutput("answer", (1, 3), "softmax"),)
    return _write_bundle(out, nodes, weights, inputs, outputs, None if evaluation is None else {"x": evaluation})


def write_pictures(out: Path) -> Path:
    """A bundle of a model that tells which fourth of a grey picture of 8 x 8 is the brightest, from above."""
    form = RawForm("uint8", "HWC", colour="grey")
    steps = (Grey(), Resize(8, 8, "stretch", "area"), Affine((1 / 255,), (0.0,)))
    item = ContractInput("image", "image", form, steps, TensorForm((1, 8, 8, 1), "float32"))
    weights = np.repeat(np.eye(4, dtype=np.float32), 16, axis=0)
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weights"], ["sums"]),
        helper.make_node("Softmax", ["sums"], ["strip"], axis=1),
    ]
    return _write_bundle(out, nodes, {"weights": weights}, (item,), (ContractOutput("strip", (1, 4), "softmax"),))


def _write_bundle(
    out: Path,
    nodes: list[Any],
    fixed: Mapping[str, Any],
    inputs: tuple[ContractInput, ...],
    outputs: tuple[ContractOutput, ...],
    evaluation: Mapping[str, Any] | None = None,
) -> Path:
    specs = [TensorSpec(item.name, (None, *item.tensor.shape[1:]), "float32") for item in inputs]
    answers = [TensorSpec(item.name, (None, *item.shape[1:]), "float32") for item in outputs]
    model = _model(nodes, fixed, specs, answers)
    content, server = hashlib.sha256(model).hexdigest(), b"server model of " + hashlib.sha256(model).digest()
    entry = ArtifactEntry(ID, PATH, "onnx", "float32", tuple(specs), tuple(answers), content=content)
    artifact = ContractArtifact(
        ID, PATH, content, None,
        tuple(ArtifactInput(item.name, item.name, place, item.shape, item.dtype) for place, item in enumerate(specs)),
        tuple(ArtifactOutput(item.name, item.name, place, item.shape, item.dtype) for place, item in enumerate(answers)),
    )  # fmt: skip
    digest = hashlib.sha256(server).hexdigest()
    contract = Contract("shop", digest, inputs, outputs, (artifact,), RawGoldens(reason="made up"))
    with replace_bundle(out) as draft:
        for path, data in ((PATH, model), ("server/server.keras", server)):
            (draft / path).parent.mkdir(parents=True)
            (draft / path).write_bytes(data)
        write_contract(draft, contract_json(contract))
        if evaluation:
            (draft / "profile.json").write_text(json.dumps(_profile(draft, contract, evaluation)))
        server_entry = ServerModelEntry("server/server.keras", digest, tuple(specs), tuple(answers))
        manifest = Manifest({}, (entry,), (), created="2026-11-22T15:00:00+00:00", server_model=server_entry)
        seal_bundle(draft, replace(manifest, config=to_json(Config().to_manifest())))
    return out


def _profile(draft: Path, contract: Contract, inputs: Mapping[str, Any]) -> Any:
    session = InferenceSession(draft / PATH)
    answers = dict(zip([item.name for item in contract.outputs], session.run(None, dict(inputs)), strict=True))
    content = {item.id: item.digest for item in contract.artifacts}
    evaluation = Evaluation("a" * 64, contract.server_model, content, lambda: [inputs], answers, {ID: answers}, {})
    return profile_json(build_profile(evaluation, contract))


def _model(nodes: list[Any], fixed: Mapping[str, Any], inputs: list[TensorSpec], outputs: list[TensorSpec]) -> bytes:
    described = [
        [helper.make_tensor_value_info(item.name, TensorProto.FLOAT, list(item.shape)) for item in side]
        for side in (inputs, outputs)
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in fixed.items()]
    graph = helper.make_graph(nodes, "shop", *described, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def make_rows(count: int, seed: int = 0, first: int = 0) -> pa.Table:
    """Rows with keys from `first` on; `at` is a whole number that grows with them."""
    random = np.random.default_rng(seed)
    columns = {
        "id": np.arange(first, first + count),
        "age": random.integers(18, 80, count),
        "town": random.choice(["Köln", "a,b", "Bonn"], count),
        "plan": random.choice(PLANS, count),
        "at": np.arange(first, first + count) + 1000,
        **{f"signal_{number}": random.normal(size=count).astype(np.float32) for number in range(4)},
    }
    return pa.table(columns)
