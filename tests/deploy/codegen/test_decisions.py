"""What a client makes of scores: the best answers, none below the threshold, as sure as a temperature makes them."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgeship.runtimes.clients.lanes import LANES
from edgeship.runtimes.clients.tools import TYPESCRIPT
from tests.deploy.codegen.conftest import DRIVERS, run
from tests.deploy.codegen.test_preprocessing import STRICT

ABC, NO_YES = ["a", "b", "c"], ["no", "yes"]
ROOTS = [value**0.5 for value in (0.25, 0.5, 0.125)]


@dataclass(frozen=True)
class Decided:
    """Scores, what is known of their output, and the answers as index, label and score."""

    labels: list[str]
    scores: list[float]
    wanted: list[list[Any]]
    threshold: float | None = None
    temperature: float = 0.0
    logits: bool = False


CASES = [
    Decided(ABC, [0.25, 0.5, 0.125], [[1, "b", 0.5], [0, "a", 0.25]]),
    Decided(ABC, [0.25, 0.25, 0.25], [[0, "a", 0.25], [1, "b", 0.25]]),
    Decided([], [0.25, 0.5, 0.125], [[1, "", 0.5], [0, "", 0.25]]),
    Decided(ABC, [0.25, 0.5, 0.125], [[1, "b", 0.5]], threshold=0.3),
    Decided(ABC, [0.1, 0.3, 0.2], [[1, "b", 0.3]], threshold=0.3),  # it counts from the threshold on, in float32
    Decided(ABC, [0.1, 0.3, 0.2], [], threshold=0.31),
    Decided(ABC, [0.25, 0.5, 0.125], [[1, "b", ROOTS[1] / sum(ROOTS)], [0, "a", ROOTS[0] / sum(ROOTS)]], temperature=2.0),
    Decided(ABC, [0.0, 1.0, 0.0], [[1, "b", 1.0], [0, "a", 0.0]], temperature=0.5),
    Decided(ABC, [0.0, 0.0, 2.0], [[2, "c", 0.5761169], [0, "a", 0.2119416]], temperature=2.0, logits=True),
    Decided(ABC, [0.0, 0.0, 2.0], [[2, "c", 0.5761169]], temperature=2.0, logits=True, threshold=0.5),
    Decided(NO_YES, [0.5], [[1, "yes", 0.5]], threshold=0.5),
    Decided(NO_YES, [0.49], [[0, "no", 0.49]], threshold=0.5),
    Decided(NO_YES, [-0.1], [[0, "no", -0.1]], threshold=0.0, logits=True),
    Decided(["dent"], [0.2], [], threshold=0.5),
]  # fmt: skip
PYTHON = """\
import json, pathlib, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from edgeship_client.core import Edge, Output
from edgeship_client.predict import decide
for case in json.loads(pathlib.Path(sys.argv[2]).read_text()):
    edge = Edge(0, "float32", (1, len(case["scores"])), 0.0, 0)
    form = Output("o", edge, 0.1, tuple(case["labels"]), case["threshold"], case["temperature"], case["logits"])
    print(json.dumps(decide(form, np.array([case["scores"]], np.float32), 2)))
"""
TYPESCRIPT_DRIVER = """\
const [{decide}, fs] = [require(process.argv[2]), require('fs')];
for (const {labels, scores, threshold, temperature, logits} of JSON.parse(fs.readFileSync(process.argv[3], 'utf8'))) {
  const decision = {threshold: threshold ?? undefined, temperature: temperature || undefined, logits};
  const answers = decide({labels, decision}, Float32Array.from(scores), 2);
  console.log(JSON.stringify(answers.map(({index, label, score}) => [index, label, score])));
}
"""


def assert_decided(told: str) -> None:
    answers = [json.loads(line) for line in told.splitlines()]
    assert len(answers) == len(CASES)
    for case, found in zip(CASES, answers, strict=True):
        assert [item[:2] for item in found] == [item[:2] for item in case.wanted], case
        assert [item[2] for item in found] == pytest.approx([item[2] for item in case.wanted], abs=1e-6), case


@pytest.fixture
def cases_file(tmp_path: Path) -> Path:
    file = tmp_path / "cases.json"
    file.write_text(json.dumps([vars(case) for case in CASES]))
    return file


def test_python(clients, cases_file):
    assert_decided(run(sys.executable, "-c", PYTHON, clients / "python", cases_file).stdout)


def test_typescript(clients, cases_file, tmp_path, missing):
    if reason := LANES["client-ts"].unavailable_reason():
        missing(f"client-ts: {reason} (make clients)")
    tsc = TYPESCRIPT.folder / "node_modules" / "typescript" / "bin" / "tsc"
    options = ("--strict", "--target", "es2022", "--module", "commonjs", "--types", "", "--outDir", tmp_path)
    run("node", tsc, *options, clients / "typescript" / "src" / "client.ts")
    (tmp_path / "driver.js").write_text(TYPESCRIPT_DRIVER)
    assert_decided(run("node", tmp_path / "driver.js", tmp_path / "client.js", cases_file).stdout)


def test_c(clients, tmp_path, missing):
    if not (compiler := shutil.which("gcc") or shutil.which("cc")):
        missing("a C compiler is not installed")
    folder = clients / "c"
    (tmp_path / "cases.h").write_text("\n".join(map(_c_case, CASES)))
    sources = (folder / "edgeship.c", folder / "table.c", DRIVERS / "decide.c")
    flags = (*STRICT, "-O1", "-g", "-fsanitize=address,undefined", f"-I{folder}", f"-I{tmp_path}")
    run(compiler, *flags, *sources, "-o", tmp_path / "decide", "-lm")
    assert_decided(run(tmp_path / "decide").stdout)


def _c_case(case: Decided) -> str:
    labels = ", ".join(f'"{label}"' for label in case.labels) or "0"
    scores = ", ".join(f"(float){value!r}" for value in case.scores)
    known = f"{int(case.threshold is not None)}, {int(case.logits)}, {case.threshold or 0.0!r}f, {case.temperature!r}f"
    return f"CASE((LIST({labels})), {len(case.labels)}, (LIST({scores})), {len(case.scores)}, (LIST({known})))"
