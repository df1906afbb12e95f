"""One contract, run against every runtime: same names, shapes and numbers, same checks, same figures, same failures."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.errors import InputError, MissingDependencyError, ProcessError
from edgeship.runtimes.registry import RUNTIMES, find
from edgeship.runtimes.session import Session, open_session
from edgeship.types import Artifact, TensorSpec

WIDE, NARROW = TensorSpec("wide", (None, 7), "float32"), TensorSpec("narrow", (None, 2), "float32")
FREE = Artifact(Path(), "", "", (WIDE,), (NARROW,))
# Other backends of tfjs-web: tests/browser/test_engines.py. MediaPipe takes pictures alone: tests/runtimes/test_mediapipe.py.
OTHERS = ("tfjs-cpu", "tfjs-webgl", "tfjs-webgpu", "mediapipe", "mediapipe-web")
DOWNLOADED = "tflite-runtime"


@dataclass(frozen=True)
class Case:
    """A runtime, and the batch of the models that it takes where that is fixed."""

    runtime: str
    batch: int | None = None
    tolerance: float = 1e-5


def _cases() -> Iterator[Any]:
    """Every runtime that edgeship finds and that runs artifacts; lanes of clients run self-tests alone."""
    for runtime in RUNTIMES.values():
        if runtime.formats and runtime.name not in OTHERS:
            case = Case(runtime.name, batch=1 if runtime.refusal(FREE) else None)
            yield pytest.param(case, marks=pytest.mark.slow) if runtime.name == DOWNLOADED else case


@pytest.fixture(scope="module", params=_cases(), ids=lambda case: case.runtime)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    case: Case = request.param
    with pytest.MonkeyPatch.context() as patch:
        if case.runtime == DOWNLOADED:
            patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
            prepare = find(case.runtime).prepare
            assert prepare
            try:
                prepare()
            except MissingDependencyError as error:
                pytest.skip(str(error))
        reason = find(case.runtime).unavailable_reason()
        if reason and not (os.environ.get("CI") and case.runtime != DOWNLOADED):
            pytest.skip(f"{case.runtime}: {reason}")
        yield case


@pytest.fixture(scope="module")
def locate(case: Case, tiny_model: Callable[[str, str], Path]) -> Callable[[str], Path]:
    """The path of a tiny model of that name that the runtime takes."""
    (artifact_format,) = find(case.runtime).formats
    return lambda name: tiny_model(name if case.batch is None else f"{name}-one", artifact_format)


@pytest.fixture(scope="module")
def cnn(case: Case, locate: Callable[[str], Path]) -> Iterator[Session]:
    with open_session(case.runtime, locate("cnn")) as session:
        yield session


@pytest.fixture(scope="module")
def pair(case: Case, locate: Callable[[str], Path]) -> Iterator[Session]:
    with open_session(case.runtime, locate("pair"), outputs=(WIDE, NARROW)) as session:
        yield session


@pytest.fixture(scope="module")
def images(tiny_models: Path) -> dict[str, np.ndarray[Any, Any]]:
    return _expected(tiny_models, "cnn/inputs/")


@pytest.fixture(scope="module")
def tables(tiny_models: Path) -> dict[str, np.ndarray[Any, Any]]:
    return _expected(tiny_models, "pair/inputs/")


def _expected(models: Path, prefix: str) -> dict[str, np.ndarray[Any, Any]]:
    with np.load(models / "expected.npz") as arrays:
        return {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}


def test_inputs_and_outputs_are_described(case: Case, cnn: Session, pair: Session) -> None:
    batch = case.batch
    assert [(spec.name, spec.shape, spec.dtype) for spec in cnn.inputs] == [("image", (batch, 8, 8, 1), "float32")]
    assert [(spec.name, spec.shape, spec.dtype) for spec in cnn.outputs] == [("probs", (batch, 5), "float32")]
    found = {spec.name: (spec.shape, spec.dtype) for spec in pair.inputs}
    assert found == {"values": ((batch, 4), "float32"), "ids": ((batch, 3), "int32")}
    wide, narrow = (replace(spec, shape=(batch, *spec.shape[1:])) for spec in (WIDE, NARROW))
    assert pair.outputs == (wide, narrow)


@pytest.mark.parametrize("batch", [1, 7])
def test_outputs_are_those_of_keras_by_name(
    batch: int, case: Case, cnn: Session, pair: Session, tiny_models: Path
) -> None:
    for name, session in {"cnn": cnn, "pair": pair}.items():
        feeds = {key: array[:batch] for key, array in _expected(tiny_models, f"{name}/inputs/").items()}
        outputs = session.run(feeds)
        expected = _expected(tiny_models, f"{name}/outputs/")
        assert list(outputs) == [spec.name for spec in session.outputs]
        for key, array in outputs.items():
            assert array.dtype == np.float32
            np.testing.assert_allclose(array, expected[key][:batch], atol=case.tolerance, rtol=0)


def test_a_batch_gives_what_its_samples_give(pair: Session, tables: dict[str, Any]) -> None:
    whole = pair.run(tables)
    for index in range(7):
        single = pair.run({name: array[index : index + 1] for name, array in tables.items()})
        for name, array in single.items():
            np.testing.assert_allclose(array[0], whole[name][index], atol=1e-6)


def test_raw_and_real_are_the_same_where_nothing_is_quantized(cnn: Session, images: dict[str, Any]) -> None:
    np.testing.assert_array_equal(cnn.run(images)["probs"], cnn.run(images, raw=True)["probs"])


def test_feeds_are_checked(pair: Session, tables: dict[str, Any]) -> None:
    values, ids = tables["values"], tables["ids"]
    wrong = {
        "takes inputs .* got 'values'": {"values": values},
        "got 'values', 'ids', 'more'": {"values": values, "ids": ids, "more": ids},
        r"input 'values' takes shape \?x4, got 7x3": {"values": values[:, :3], "ids": ids},
        r"input 'values' takes shape \?x4, got 4": {"values": values[0], "ids": ids},
        "input 'ids' takes int32, got float32": {"values": values, "ids": ids.astype(np.float32)},
        "input 'values' takes float32, got <U": {"values": values.astype(str), "ids": ids},
        "int64 values do not fit": {"values": values, "ids": ids.astype(np.int64) + 2**40},
        r"different numbers of samples: \[6, 7\]": {"values": values[:6], "ids": ids},
        "no sample": {"values": values[:0], "ids": ids[:0]},
    }
    for message, feeds in wrong.items():
        with pytest.raises(InputError, match=message):
            pair.run(feeds)
    kind = {"values": values.astype(np.float64), "ids": ids.astype(np.int64)}
    np.testing.assert_allclose(pair.run(kind)["wide"], pair.run(tables)["wide"], atol=1e-6)


def test_a_stream_is_evaluated_in_order(pair: Session, tables: dict[str, Any]) -> None:
    whole = pair.run(tables)
    pieces = ({name: array[start:end] for name, array in tables.items()} for start, end in ((0, 1), (1, 6), (6, 7)))
    outputs = pair.evaluate(pieces, batch=3)
    assert list(outputs) == ["wide", "narrow"]
    for name, array in outputs.items():
        np.testing.assert_allclose(array, whole[name], atol=1e-6)


def test_an_error_in_a_stream_reaches_the_caller_and_the_session_goes_on(pair: Session, tables: dict[str, Any]) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield tables
        yield {**tables, "values": tables["values"][:, :2]}

    with pytest.raises(InputError, match="takes shape"):
        pair.evaluate(broken(), batch=2)
    with pytest.raises(InputError, match="no sample"):
        pair.evaluate(iter(()), batch=2)
    assert len(pair.run(tables)["wide"]) == 7


def test_two_sessions_at_once(cnn: Session, pair: Session, images: dict[str, Any], tables: dict[str, Any]) -> None:
    assert cnn.pid != pair.pid
    alone = cnn.run(images)["probs"], pair.run(tables)["wide"]
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(lambda: [cnn.run(images)["probs"] for _ in range(20)])
        second = threads.submit(lambda: [pair.run(tables)["wide"] for _ in range(20)])
    for array in first.result():
        np.testing.assert_array_equal(array, alone[0])
    for array in second.result():
        np.testing.assert_array_equal(array, alone[1])


def test_figures(cnn: Session) -> None:
    assert cnn.load_ms > 0
    assert cnn.first_ms > 0
    memory = cnn.memory()
    assert memory.baseline_bytes and memory.peak_bytes
    assert 1_000_000 < memory.baseline_bytes <= memory.peak_bytes < 4_000_000_000
    assert cnn.version == find(cnn.runtime).version()


@pytest.mark.parametrize(("seconds", "queries"), [(0.3, 1), (0.001, 200)])
def test_latency_obeys_both_stopping_rules(seconds: float, queries: int, cnn: Session) -> None:
    start = time.perf_counter()
    taken = cnn.latency(seconds, queries)
    assert time.perf_counter() - start >= seconds
    assert len(taken.samples_ms) >= queries
    assert min(taken.samples_ms) > 0
    in_python = "edgeship.runtimes.worker" in find(cnn.runtime).launch().command
    assert taken.engine == ("loadgen" if in_python and find_spec("mlperf_loadgen") else "loop")
    if queries >= 64:
        assert taken.valid
        if taken.engine == "loadgen":
            # LoadGen's own clock includes its call of us, so its estimate lies above our p90.
            assert taken.early_stopping_p90_ms and taken.early_stopping_p90_ms >= np.percentile(taken.samples_ms, 80)


def test_a_block_lasts_as_long_as_asked(cnn: Session) -> None:
    start = time.perf_counter()
    samples = cnn.block(0.05)
    assert time.perf_counter() - start >= 0.05
    assert samples
    assert min(samples) > 0


def test_a_damaged_file_is_told(case: Case, locate: Callable[[str], Path], tmp_path: Path) -> None:
    good = locate("cnn")
    broken = tmp_path / good.name
    if good.is_dir():
        broken.mkdir()
        (broken / "model.json").write_bytes((good / "model.json").read_bytes()[:200])
    else:
        broken.write_bytes(good.read_bytes()[:200])
    with pytest.raises((ProcessError, InputError), match=case.runtime if case.runtime != "keras" else "cnn"):
        open_session(case.runtime, broken)


def test_a_crash_is_an_error_here_and_not_our_end(cnn: Session, images: dict[str, Any]) -> None:
    os.kill(cnn.pid, signal.SIGKILL)
    with pytest.raises(ProcessError, match=f"the {cnn.runtime} process was killed by SIGKILL"):
        cnn.run(images)
    with pytest.raises(ProcessError, match=f"the {cnn.runtime} process was killed by SIGKILL"):
        cnn.evaluate(iter([images]), batch=2)
