"""What is kept of a model, in the cache and in a bundle, is of the file that was digested, under a name that all readers take."""

from __future__ import annotations

import os
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgeship import untrusted
from edgeship.data import RepresentativeDataset
from edgeship.errors import InputError
from edgeship.pipeline import assemble, golden_inputs
from edgeship.pipeline.conversion.converter import Converter
from edgeship.pipeline.conversion.source import ConversionResult, ExportedServerModel
from edgeship.pipeline.evaluation import reference_outputs
from edgeship.pipeline.step_queue import Step, StepQueue
from edgeship.progress import Progress
from edgeship.server_model import model_files
from edgeship.server_model.description import ServerModelDescription
from edgeship.settings.config import Config
from edgeship.storage.cache import Cache


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

    def warm(self, *_: str) -> None:
        """Nothing is to be started."""

    def call(self, _: Any, **arguments: Any) -> Any:
        if self.swaps:
            self.model.write_bytes(b"another")
        if "out_npz" in arguments:
            np.savez(arguments["out_npz"], y=np.zeros(1))
        return ServerModelDescription((), ())


@pytest.fixture
def work(tmp_path: Path) -> Any:
    model = tmp_path / "model.keras"
    model.write_bytes(b"first")
    executor = Lane(model)
    executors = SimpleNamespace(export=executor, train=executor)
    cache, progress = Cache(tmp_path / "cache"), Progress()
    return SimpleNamespace(executors=executors, cache=cache, progress=progress, model=model, executor=executor)


def _run(work: Any, step: Step) -> Any:
    return StepQueue(work.executors, work.cache, work.progress).submit([step])[step.name].result()


def describe(work: Any) -> Any:
    return _converter(work).describe()


def export(work: Any) -> Any:
    steps = _converter(work).steps
    return _run(work, steps.steps[steps.export()])


def reference(work: Any) -> Any:
    np.savez(work.model.with_name("data.npz"), x=np.zeros((2, 2)))
    data = RepresentativeDataset(str(work.model.with_name("data.npz")))
    return _run(work, reference_outputs.reference_step(work.model, Config(), data))


def golden_answers(work: Any) -> Any:
    return golden_inputs._answer_inputs(work, work.model, Config(), {"x": np.zeros((1, 2))}, "digest")


def _converter(work: Any) -> Converter:
    return Converter(StepQueue(work.executors, work.cache, work.progress), work.model, Config(), ())


@pytest.mark.parametrize("read", [describe, export, reference, golden_answers])
def test_what_a_child_read_is_the_model_that_was_digested(read, work):
    with pytest.raises(InputError, match=r"model\.keras: was changed while it was read; run the command again"):
        read(work)
    work.model.write_bytes(b"first")
    work.executor.swaps = False
    read(work)  # nothing was kept: it is read once more, without the other file in its way
    work.executor.swaps = True
    read(work)  # and this was kept


def placed(work: Any, draft: Path) -> Any:
    converter = _converter(work)
    description = ServerModelDescription((), (), loader="keras")
    conversion = ConversionResult(ExportedServerModel(work.model, converter.steps.model.digest, description), (), draft)
    draft.mkdir()
    return conversion, lambda: assemble.place_server_model(draft, conversion.server, Config())


def test_what_travels_in_the_bundle_is_the_model_that_was_digested(work, tmp_path):
    conversion, place = placed(work, tmp_path / "honest")
    assert place().digest == conversion.server.digest
    _, place = placed(work, tmp_path / "draft")
    work.model.write_bytes(b"another")
    with pytest.raises(InputError, match=r"model\.keras: was changed while it was read"):
        place()


ODD = ["a\\b", "a\x07b", "a\nb", "a\N{WOMAN}\u200d\N{PERSONAL COMPUTER}b", "c:a"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize("name", ODD)
def test_a_model_of_any_name_travels_under_a_plain_one(name, work, tmp_path):
    work.model = work.model.rename(tmp_path / f"{name}.keras")
    path = placed(work, tmp_path / "draft")[1]().path
    assert untrusted.place_within(tmp_path / "draft", path).read_bytes() == b"first"
    assert path == "server/model.keras"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize("name", ODD[:-1])
def test_a_folder_with_names_that_no_bundle_takes_is_refused_at_once(name, tmp_path):
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "saved_model.pb").touch()
    model_files.check_kind(tmp_path)
    (tmp_path / "assets.extra" / name).touch()
    with pytest.raises(InputError, match="is not a relative path of plain names"):
        model_files.check_kind(tmp_path)
