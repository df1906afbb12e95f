"""Damaged models are a sentence: no traceback, no crash, no hang."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeship.errors import InputError, ProcessError
from edgeship.processes.child import FunctionProcess
from edgeship.server_model import model_files
from tests.hostile.models.attacks import CHILD_PATH

KINDS = ("keras", "keras2", "h5", "saved_model")
SECONDS = 60  # that loading one of these models may take; it takes a tenth of one


class Reader:
    """Tries damaged copies in a child.

    One that dies is replaced: to the user that is a sentence, too (below). None may live on without an answer.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.deaths = folder, list[tuple[str, int, str]]()
        self.process = FunctionProcess(env={"PYTHONPATH": CHILD_PATH})
        self.models = self.process.call("tests.hostile.models.damaged_models:honest", folder=str(folder))

    def read(self, kind: str, first: int, count: int, *, whole: bool) -> dict[str, object]:
        """What came of `count` copies: numbers of 'loaded' and 'told', and what went 'wrong' with which seed."""
        sums: dict[str, int] = {"loaded": 0, "refused": 0, "ended": 0, "died": 0}
        wrong: list[object] = []
        end = first + count
        while first < end:
            step = min(100, end - first)
            try:
                arguments = {"kind": kind, "path": self.models[kind], "folder": str(self.folder / "copies")}
                counts = self.process.call_named(
                    "tests.hostile.models.damaged_models:damaged",
                    {**arguments, "first": first, "count": step, "whole": whole},
                    timeout=SECONDS + 5 * step,
                )
                first += step
                wrong += counts["wrong"]
                sums = {key: value + counts.get(key, 0) for key, value in sums.items()}
            except ProcessError as error:
                state = json.loads((self.folder / "copies" / kind / "seed").read_text())
                seed = state.pop("seed")
                sums = {key: value + state.get(key, 1) for key, value in sums.items()}
                self.deaths.append((kind, seed, str(error)))
                if "took longer" in str(error):
                    wrong.append([seed, str(error)[:300]])
                self.process.close()
                self.process = FunctionProcess(env={"PYTHONPATH": CHILD_PATH})
                first = seed + 1
        return {**sums, "wrong": wrong}


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    files = Reader(tmp_path_factory.mktemp("damaged"))
    yield files
    files.process.close()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_first(kind, reader):
    counts = reader.read(kind, 0, 75 if kind == "keras2" else 150, whole=False)
    assert not counts["wrong"], counts["wrong"][:3]
    assert not counts["died"], reader.deaths
    assert counts["refused"] > 15


@pytest.mark.parametrize("kind", KINDS)
def test_loading(kind, reader):
    counts = reader.read(kind, 1000, 12, whole=True)
    assert not counts["wrong"], counts["wrong"][:3]


# HDF5's own code loops for ever over some of them, and may crash.
@pytest.mark.parametrize("function", ["tests.hostile.models.damaged_models:endless", "os:abort"])
def test_a_child_that_ends_is_a_sentence(function, tmp_path):
    with pytest.raises(InputError, match=r"model\.h5: crashes what reads it, is the file damaged\?") as error:
        crash(function)
    assert error.value.exit_code == 2


def crash(function: str) -> None:
    with FunctionProcess(env={"PYTHONPATH": CHILD_PATH}) as process, model_files.crash_as_input_error("model.h5"):
        process.call(function)


@pytest.mark.more
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", KINDS)
def test_loading_ten_thousand(kind, reader):
    counts = reader.read(kind, 10_000, 10_000, whole=True)
    assert not counts["wrong"], counts["wrong"][:3]
