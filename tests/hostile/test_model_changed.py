"""A model that is another one while a child reads it: nothing of the other is kept under the digest of the first."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgeship import answers, golden_runs, pipeline
from edgeship.cache import Cache
from edgeship.config import Config
from edgeship.conversion import Conversion, Converter, ServerModel
from edgeship.data import RepresentativeDataset
from edgeship.errors import InputError
from edgeship.progress import Progress


class Lane:
    """Runs jobs at once; its child answers what it is to answer, after the model's file was replaced, or not."""

    def __init__(self, model: Path) -> None:
        self.model, self.swaps = model, True

    def submit(self, job: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(job())
        except InputError as error:
            future.set_exception(error)
        return future

    def call(self, _: str, **arguments: Any) -> Any:
        if self.swaps:
            self.model.write_bytes(b"another")
        if "out_npz" in arguments:
            np.savez(arguments["out_npz"], y=np.zeros(1))
        return {"notes": []}


@pytest.fixture
def work(tmp_path: Path) -> Any:
    model = tmp_path / "model.keras"
    model.write_bytes(b"first")
    lane = Lane(model)
    lanes = SimpleNamespace(tensorflow=lane, further=lane)
    return SimpleNamespace(lanes=lanes, cache=Cache(tmp_path / "cache"), progress=Progress(), model=model, lane=lane)


def describe(work: Any) -> Any:
    return _converter(work).describe(())


def export(work: Any) -> Any:
    return _converter(work).export(static=0).result()


def reference(work: Any) -> Any:
    np.savez(work.model.with_name("data.npz"), x=np.zeros((2, 2)))
    data = RepresentativeDataset(str(work.model.with_name("data.npz")))
    return answers.begin(work, work.model, Config(), data).result()


def golden_answers(work: Any) -> Any:
    return golden_runs._answer(work, work.model, Config(), {"x": np.zeros((1, 2))})


def _converter(work: Any) -> Converter:
    return Converter(work.lanes, work.cache, work.progress, work.model, Config())


@pytest.mark.parametrize("read", [describe, export, reference, golden_answers])
def test_what_a_child_read_is_the_model_that_was_digested(read, work):
    with pytest.raises(InputError, match=r"model\.keras: was changed while it was read; run the command again"):
        read(work)
    work.model.write_bytes(b"first")
    work.lane.swaps = False
    read(work)  # nothing was kept: it is read once more, without the other file in its way
    work.lane.swaps = True
    read(work)  # and this was kept


def test_what_travels_in_the_bundle_is_the_model_that_was_digested(work, tmp_path):
    converter = _converter(work)
    described = dict.fromkeys(("loader", "notes", "inputs", "outputs", "parameters"))
    conversion = Conversion(ServerModel(work.model, converter.model_digest, described), (), tmp_path)
    (tmp_path / "honest").mkdir()
    assert pipeline._server(tmp_path / "honest", conversion, Config())["digest"] == converter.model_digest
    work.model.write_bytes(b"another")
    (tmp_path / "draft").mkdir()
    with pytest.raises(InputError, match=r"model\.keras: was changed while it was read"):
        pipeline._server(tmp_path / "draft", conversion, Config())
