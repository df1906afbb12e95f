"""The float models, their data, and the two runtimes to try them in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest

from edgeship.processes.child import FunctionProcess

Arrays = dict[str, np.ndarray[Any, Any]]
HERE = {"PYTHONPATH": str(Path(__file__).parent)}
SAMPLES = 128
SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "photo": {"image": (20, 20, 3)},
    "table": {"features": (12,)},
    "pair": {"photo": (16, 16, 3), "meta": (5,)},
    "motion": {"window": (10, 6)},
    "length": {"window": (30, 6)},
    "words": {"ids": (10,)},
    "leaky": {"image": (8, 8, 3)},
    "bend": {"features": (12,)},
    "four": {"features": (12,)},
    "wide": {"features": (300,)},
    "raw": {"features": (6,)},
    "dim": {"image": (8, 8, 3)},
    **{name: {"features": (12,)} for name in ("share", "reciprocal", "softsign", "two-ways")},
    "branch": {"features": (12,)},
    **{name: {"image": (8, 8, 3)} for name in ("dead", "faint")},
}


@dataclass(frozen=True)
class Lab:
    """Float models in `folder`, a folder of one's own to write to, and a child process that quantizes."""

    folder: Path
    out: Path
    process: FunctionProcess

    def model(self, name: str) -> str:
        return str(self.folder / name)

    def feeds(self, name: str) -> Arrays:
        with np.load(self.folder / f"{name}.npz") as arrays:
            return {key: arrays[key] for key in arrays.files}

    def data(self, name: str) -> str:
        return str(self.folder / f"{name}.npz")

    def calibrate(self, name: str, **options: Any) -> Any:
        """Statistics of the model in `<out>/<name>.json`."""
        arguments = {
            "model": self.model(f"{name}.tflite"),
            "data": self.data(name),
            "out": str(self.out / f"{name}.json"),
        }
        return self.process.call("edgeship.optimize.quantize.tflite.quantizer:calibrate", **{**arguments, **options})

    def tflite(
        self, name: str, recipe: str = "static_w8a8", io: str = "int8", file: str = "", **options: Any
    ) -> tuple[Path, Any]:
        """The model quantized, calibrated where the recipe needs it."""
        path, statistics = self.out / (file or f"{name}-{recipe}-{io}.tflite"), self.out / f"{name}.json"
        if recipe == "static_w8a8" and not statistics.exists():
            self.calibrate(name)
        arguments = {
            "model": self.model(f"{name}.tflite"),
            "out_file": str(path),
            "recipe": recipe,
            "io": io,
            **options,
        }
        existing = statistics if statistics.exists() else None
        return path, self.process.call(
            "edgeship.optimize.quantize.tflite.quantizer:quantize",
            **arguments,
            statistics=str(existing) if existing else None,
        )

    def calibrate_onnx(self, name: str, **options: Any) -> Any:
        """Statistics of the model in `<out>/<name>.onnx.json`, the prepared model beside."""
        arguments = {
            "model": self.model(f"{name}.onnx"),
            "data": self.data(name),
            "out": str(self.out / f"{name}.onnx.json"),
        }
        return self.process.call("edgeship.optimize.quantize.onnx.quantizer:calibrate", **{**arguments, **options})

    def onnx(self, name: str, recipe: str = "static_w8a8", file: str = "", **options: Any) -> tuple[Path, Any]:
        """The model quantized, calibrated where the recipe needs it."""
        path, statistics = self.out / (file or f"{name}-{recipe}.onnx"), self.out / f"{name}.onnx.json"
        if recipe == "static_w8a8" and not statistics.exists():
            self.calibrate_onnx(name)
        arguments = {"model": self.model(f"{name}.onnx"), "out_file": str(path), "recipe": recipe, **options}
        existing = str(statistics) if statistics.exists() else None
        return path, self.process.call(
            "edgeship.optimize.quantize.onnx.quantizer:quantize", **arguments, statistics=existing
        )

    @staticmethod
    def run(path: Path | str, feeds: Arrays, batch: int = 16, signature: str | None = None) -> Arrays:
        """Float in and out, in that runtime; (de)quantized here by the file's own scales."""
        path = Path(path)
        return _run_onnx(path, feeds, batch) if path.suffix == ".onnx" else _run_tflite(path, feeds, batch, signature)

    @staticmethod
    def sqnr(reference: Arrays, values: Arrays) -> float:
        """The worst output's signal to quantization noise in dB: 10 log10(sum(reference^2) / sum(difference^2))."""
        assert reference.keys() == values.keys()
        noise = {key: float(np.square(reference[key] - values[key]).sum()) for key in reference}
        ratios = [np.square(reference[key]).sum() / noise[key] for key in reference if noise[key]]
        return min((10 * float(np.log10(ratio)) for ratio in ratios), default=float("inf"))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of models and data, made once per test run, whichever worker comes first."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if base.name.startswith("popen-") else base) / "quantization-models"
    with filelock.FileLock(folder.with_suffix(".lock")):
        if not (folder / "done").exists():
            folder.mkdir(exist_ok=True)
            for name in SHAPES:
                np.savez(folder / f"{name}.npz", **_data(name))  # type: ignore[arg-type]
            with FunctionProcess(env=HERE) as tensorflow:
                tensorflow.call("quantization_models:build", folder=str(folder))
            (folder / "done").touch()
    return folder


def _data(name: str) -> Arrays:
    random = np.random.default_rng(5)
    if name == "words":
        return {"ids": random.integers(0, 50, (SAMPLES, 10)).astype(np.int32)}
    if name == "raw":
        scales = np.array((0.02, 1.0, 5.0, 40.0, 900.0, 60000.0), np.float32)
        return {"features": (1 + random.standard_normal((SAMPLES, 6)).astype(np.float32)) * scales}
    if name == "dim":
        return {"image": random.integers(0, 256, (SAMPLES, 8, 8, 3)).astype(np.float32)}
    if name == "wide":
        return {
            "features": ((random.standard_normal((SAMPLES, 300)) + 50) * 10 ** np.linspace(-6, 1, 300)).astype(
                np.float32
            )
        }
    return {key: random.standard_normal((SAMPLES, *shape)).astype(np.float32) for key, shape in SHAPES[name].items()}


@pytest.fixture(scope="session")
def quantize_process() -> Iterator[FunctionProcess]:
    with FunctionProcess("quantize", env=HERE) as process:
        yield process


@pytest.fixture
def lab(models: Path, tmp_path: Path, quantize_process: FunctionProcess) -> Lab:
    return Lab(models, tmp_path, quantize_process)


def _into(array: Any, detail: Any) -> Any:
    if detail["dtype"] != np.int8:
        return array
    scale, zero_point = detail["quantization"]
    return np.clip(np.round(array / scale + zero_point), -128, 127).astype(np.int8)


def _out_of(value: Any, detail: Any) -> Any:
    scale, zero_point = detail["quantization"]
    return (value.astype(np.float32) - zero_point) * scale if value.dtype == np.int8 else value


def _run_tflite(path: Path, feeds: Arrays, batch: int, signature: str | None = None) -> Arrays:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(path)).get_signature_runner(signature)
    ins, outs = runner.get_input_details(), runner.get_output_details()
    outputs: dict[str, list[Any]] = {name: [] for name in outs}
    for start in range(0, SAMPLES, batch):
        feed = {name: _into(feeds[name][start : start + batch], detail) for name, detail in ins.items()}
        for name, value in runner(**feed).items():
            outputs[name].append(_out_of(value, outs[name]))
    return {name: np.concatenate(parts) for name, parts in outputs.items()}


def _run_onnx(path: Path, feeds: Arrays, batch: int) -> Arrays:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    outputs: dict[str, list[Any]] = {output.name: [] for output in session.get_outputs()}
    for start in range(0, SAMPLES, batch):
        feed = {name: array[start : start + batch] for name, array in feeds.items()}
        for name, value in zip(outputs, session.run(None, feed), strict=True):
            outputs[name].append(value)
    return {name: np.concatenate(parts) for name, parts in outputs.items()}
