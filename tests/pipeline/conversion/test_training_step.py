"""A conversion with variants that are trained further, its tools replaced: what is made from what, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.bundle.receipt import TensorSparsity
from edgeship.errors import CheckError, InputError
from edgeship.optimize.receipt import (
    MethodReceipts,
    OptimizeReceipt,
    PrunedTensor,
    PruneReceipt,
    ScheduleReceipt,
    SourceModel,
    TrainedFile,
    TrainingData,
    TrainingHistory,
)
from edgeship.pipeline.conversion.converter import Converter
from edgeship.pipeline.conversion.source import ConversionResult
from edgeship.pipeline.step_queue import StepQueue
from edgeship.processes.executors import PipelineExecutors, ProcessExecutor
from edgeship.progress import Progress
from edgeship.settings.config import Config
from edgeship.settings.sections import Data
from edgeship.settings.variants import Variant
from edgeship.storage.cache import Cache
from edgeship.types import to_json

SPEC = [{"name": "x", "shape": [None, 3], "dtype": "float32", "quantization": None}]
EXPORTED = {"inputs": SPEC, "outputs": SPEC, "kernel_elements": 10}
PRUNED = PruneReceipt(
    engine="tfmot", training=TrainingHistory(), asked=0.7, pattern="anywhere", steps=1,
    schedule=ScheduleReceipt("constant", 1, 1, 1), tensors=("dense/kernel",), skipped={},
)  # fmt: skip
RECEIPT = OptimizeReceipt(
    model=SourceModel("server.keras", "", 10), data=TrainingData("train.npz", "", 2, 2), seed=0, teacher=0.0,
    loss={}, steps=MethodReceipts(prune=PRUNED), before={}, after={}, file=TrainedFile("trained.keras", ""),
    sparsity=(PrunedTensor("dense/kernel", 0.7, 0.7, 10),), tools={},
)  # fmt: skip


class Tools:
    """Stands for the child processes: notes what is asked of them and writes a line that says what it was made from."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.miss = ""

    def __call__(self, function: str, given: Mapping[str, Any]) -> Any:
        name = function.removeprefix("edgeship.")
        self.calls.append((name, given))
        if name == "pipeline.remote_calls:train_further":
            Path(given["out"]).write_text(f"trained {sorted(given['recipes'])} from {Path(given['model']).read_text()}")
            return to_json(RECEIPT)
        if name == "convert.export.export:run":
            Path(given["out"]).mkdir()
            (Path(given["out"]) / "graph").write_text(Path(given["model"]).read_text())
            return EXPORTED
        if name == "convert.tflite.convert:run":
            Path(given["out_file"]).write_text((Path(given["saved_model"]) / "graph").read_text())
            return {"tools": {}, "notes": []}
        if name == "convert.receipts.sparsity:check":
            if self.miss:
                raise CheckError(self.miss)
            return [{**row, "artifact": 0.71} for row in given["asked"]]
        assert name == "convert.receipts.receipt:read", name
        return {"format": "tflite", "inputs": SPEC, "outputs": SPEC}

    def count(self, name: str) -> int:
        return sum(called == name for called, _ in self.calls)


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Tools:
    made = Tools()

    monkeypatch.setattr(
        ProcessExecutor, "call_named", lambda _, function, arguments, timeout=None: made(function, arguments)
    )
    monkeypatch.setattr("edgeship.convert.receipts.receipt.check", lambda held, expected: None)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "server.keras").write_text("the server model")
    np.savez(tmp_path / "train.npz", x=np.zeros((2, 3), np.float32), y=np.zeros(2, np.int64))
    return tmp_path


def converted(folder: Path, *variants: Variant, train: bool = True) -> ConversionResult:
    config = Config(data=Data(train=str(folder / "train.npz") if train else None), variants=variants)
    pairs = [(variant, "tflite") for variant in variants]
    with (
        Progress() as progress,
        PipelineExecutors() as executors,
        StepQueue(executors, Cache(folder / "cache"), progress) as queue,
    ):
        converter = Converter(queue, folder / "server.keras", config, pairs)
        converter.start()
        return converter.finish()


def test_each_variant_is_made_from_its_own_model(tools: Tools, folder: Path) -> None:
    variants = (Variant("float32"), Variant("pruned", prune=0.7), Variant("again", prune={"sparsity": 0.7}))
    conversion = converted(folder, *variants)
    plain, pruned, again = conversion.artifacts
    assert plain.artifact.path.read_text() == "the server model"
    assert pruned.artifact.path.read_text() == "trained ['prune'] from the server model"
    assert [step.name for step in plain.artifact.steps] == ["export", "convert.tflite"]
    assert [step.name for step in pruned.artifact.steps] == ["optimize.prune", "export", "convert.tflite"]
    assert pruned.receipt.sparsity == (TensorSparsity("dense/kernel", asked=0.7, values=10, artifact=0.71),)
    assert plain.receipt.sparsity is None
    assert again.digest == pruned.digest
    assert (tools.count("pipeline.remote_calls:train_further"), tools.count("convert.export.export:run")) == (1, 2)


def test_nothing_is_trained_where_nothing_asks_for_it(tools: Tools, folder: Path) -> None:
    converted(folder, Variant("float32"), train=False)
    assert [name for name, _ in tools.calls] == [
        "convert.export.export:run",
        "convert.tflite.convert:run",
        "convert.receipts.receipt:read",
    ]


def test_it_is_trained_once_and_again_for_other_settings(tools: Tools, folder: Path) -> None:
    for sparsity in (0.7, 0.7, 0.5):
        converted(folder, Variant("pruned", prune=sparsity))
    assert tools.count("pipeline.remote_calls:train_further") == 2


def test_training_data_must_be_named(tools: Tools, folder: Path) -> None:
    with pytest.raises(InputError, match=r"needs training data with labels: name it as train in \[data\]"):
        converted(folder, Variant("pruned", prune=0.7), train=False)
    assert not tools.count("pipeline.remote_calls:train_further")


def test_too_few_zeros_are_a_failure_of_the_artifact(tools: Tools, folder: Path) -> None:
    tools.miss = "fewer zeros in the artifact than were asked for: dense/kernel 1.0% of 70.0%"
    conversion = converted(folder, Variant("pruned", prune=0.7))
    (failure,) = conversion.failures
    assert (failure.artifact, failure.reason.partition(" in ")[0]) == ("tflite/pruned", "fewer zeros")
    assert [item.artifact.id for item in conversion.artifacts] == ["tflite/float32"], "nothing else was asked for"
