"""The process of a self-test: replays goldens in the runtime, and tells on standard output what it found."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.client.outcome import SelfTestError, SelfTestUnfinishedError
from edgeship.client.selftest.engines import Array, open_engine

FOLDER = "goldens/raw"


def main() -> None:
    """The new process: what to test from standard input, the answer to standard output, as JSON."""
    answer = answer_request(json.load(sys.stdin))
    sys.stdout.write(f"\n{json.dumps(answer)}\n")


def answer_request(asked: dict[str, str]) -> dict[str, Any]:
    """What a self-test found: how many `samples`, the `problem` of the model, or why it is `unfinished`."""
    answer: dict[str, Any] = {"samples": 0, "problem": "", "unfinished": ""}
    folder, entry = Path(asked["folder"]), Path(asked["entry"])
    try:
        answer["samples"] = replay_goldens(folder, asked["artifact"], asked["format"], entry)
    except SelfTestUnfinishedError as error:
        answer["unfinished"] = str(error)
    except MemoryError:
        answer["unfinished"] = "out of memory"
    except Exception as error:  # whatever a runtime raises over a model
        kind = "" if isinstance(error, SelfTestError) else f"{type(error).__name__}: "
        answer["problem"] = f"{kind}{' '.join(str(error).split())[:300]}"
    return answer


def replay_goldens(folder: Path, artifact: str, form: str, entry: Path) -> int:
    """Replay the goldens of the version in `folder`; how many there are, 0 where the model was only run on zeros.

    Raises SelfTestError, or what the runtime raises, and SelfTestUnfinishedError where no runtime is installed.
    """
    contract = json.loads((folder / "contract.json").read_bytes())
    described = next((item for item in contract["artifacts"] if item["id"] == artifact), None)
    if described is None:
        raise SelfTestError(f"contract.json does not know {artifact}")
    engine = open_engine(form, entry, described)
    cases = contract["goldens"]["cases"]
    if not cases:
        engine.run(_zeros(contract))
        return 0
    stored = Goldens(folder, contract, described)
    for number, case in enumerate(cases):
        answers = engine.run(stored.tensors(number))
        for output in described["outputs"]:
            _compare(stored, number, case, output, answers[output["output"]])
    return len(cases)


def _compare(stored: Goldens, number: int, case: dict[str, Any], output: dict[str, Any], values: Array) -> None:
    name, tolerance = output["output"], output.get("tolerance")
    if tolerance is None:  # it was not run when it was made
        return
    wanted = stored.answer(number, name)
    if values.shape != wanted.shape:
        raise SelfTestError(f"golden {case['name']!a}: '{name}' has {values.size} numbers, not {wanted.size}")
    same = (values == wanted) | (np.isnan(values) & np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(values.astype(np.float64) - wanted))
    worst = float(np.where(np.isnan(apart), math.inf, apart).max(initial=0.0))
    if not worst <= tolerance:
        raise SelfTestError(f"golden {case['name']!a}: '{name}' is off by {worst:.3g}, allowed are {tolerance:.3g}")
    labels = stored.labels[name]
    if case.get("label") and labels and stored.artifact in case.get("clear", ()):
        best = labels[int(np.argmax(values))]
        if best != case["label"]:
            raise SelfTestError(f"golden {case['name']!a}: {best!a}, not {case['label']!a}")


class Goldens:
    """The cases of a contract in one version's folder; `described`: the contract's artifact. Each is as large as the others."""

    def __init__(self, folder: Path, contract: dict[str, Any], described: dict[str, Any]) -> None:
        self._folder, self._count = folder / FOLDER, len(contract["goldens"]["cases"])
        self.artifact: str = described["id"]
        self._tensors = {item["name"]: self._read_tensors(item) for item in contract["inputs"]}
        own, outputs = self.artifact.replace("/", "-"), described["outputs"]
        run = [item["output"] for item in outputs if item.get("tolerance") is not None]
        self._answers = {name: self._read(f"{name}.{own}") for name in run}
        self.labels = {item["name"]: item.get("labels") or [] for item in contract["outputs"]}

    def tensors(self, number: int) -> dict[str, Array]:
        """The float32 tensors of a case, (1, ...), by input."""
        return {name: values[number : number + 1] for name, values in self._tensors.items()}

    def answer(self, number: int, output: str) -> Array:
        """What the artifact gave on a case when it was made, float32, flat."""
        answer: Array = self._answers[output][number]
        return answer

    def _read_tensors(self, item: dict[str, Any]) -> Array:
        shape = [-1 if size is None else size for size in item["tensor"]["shape"][1:]]
        return self._read(f"{item['name']}.tensor").reshape([self._count, *shape])

    def _read(self, name: str) -> Array:
        return np.fromfile(self._folder / name, "<f4").reshape(self._count, -1)


def _zeros(contract: dict[str, Any]) -> dict[str, Array]:
    """Tensors of nothing, (1, ...), by input, where a contract has no goldens."""
    return {
        item["name"]: np.zeros([1, *(size or 1 for size in item["tensor"]["shape"][1:])], np.float32)
        for item in contract["inputs"]
    }
