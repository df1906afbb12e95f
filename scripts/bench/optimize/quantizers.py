"""The quantizers side by side: the same float model and calibration samples, each by its own calls, for `make bench-optimize`.

Runs in a TensorFlow process. Each function writes an int8 file; its seconds are those of the calls, without imports.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

COUNT = 100  # calibration samples, of all tools


def run(model: str, float_tflite: str, float_onnx: str, data: str, out: str, repeats: int = 1) -> dict[str, Any]:
    """Every peer's int8 file in `out`, with its seconds (the least of `repeats`) or why there is none."""
    folder, samples = Path(out), _samples(data)
    saved = str(folder / "saved_model")
    from edgeship.convert.export import export

    export.run(model=model, out=saved)
    jobs: dict[str, Callable[[Path], None]] = {
        "mlir.tflite": lambda path: _mlir(saved, samples, path),
        "litert.tflite": lambda path: _litert(float_tflite, samples, path),
        "ort.onnx": lambda path: _ort(float_onnx, samples, path),
    }
    found: dict[str, Any] = {}
    for name, job in jobs.items():
        seconds = []
        try:
            for _ in range(repeats):
                start = time.perf_counter()
                job(folder / name)
                seconds.append(time.perf_counter() - start)
            if name.endswith(".tflite"):
                renamed(str(folder / name), float_tflite)
            found[name] = {"seconds": min(seconds), "all_seconds": seconds}
        except Exception as error:  # a peer's failure is a finding
            found[name] = {"failed": f"{type(error).__name__}: {str(error)[:200]}"}
    return found


def conversions(model: str, data: str, out: str, count: int) -> list[float]:
    """Seconds of each of `count` conversions to int8 by TensorFlow's converter, its own calibration included."""
    from edgeship.convert.export import export

    Path(out).mkdir(exist_ok=True)
    saved, samples = str(Path(out) / "saved_model"), _samples(data)
    export.run(model=model, out=saved)
    seconds = []
    for number in range(count):
        start = time.perf_counter()
        _mlir(saved, samples, Path(out) / f"{number}.tflite")
        seconds.append(time.perf_counter() - start)
    return seconds


def _samples(data: str) -> list[np.ndarray[Any, Any]]:
    """The samples that edgeship takes: spread evenly over the data."""
    with np.load(data) as arrays:
        (name,) = (key for key in arrays.files if key != "y")
        array = arrays[name]
    chosen = np.unique(np.linspace(0, len(array) - 1, min(COUNT, len(array))).round().astype(int))
    return [array[index : index + 1].astype(np.float32) for index in chosen]


def _mlir(saved_model: str, samples: list[Any], path: Path) -> None:
    """TensorFlow's own converter."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model, signature_keys=["serving_default"])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    path.write_bytes(converter.convert())


def _litert(float_tflite: str, samples: list[Any], path: Path) -> None:
    """LiteRT's quantizer as its documentation has it."""
    from litert_quantizer import quantizer, recipe

    worker = quantizer.Quantizer(float_tflite, recipe.static_wi8_ai8())
    name = _input(float_tflite)
    statistics = worker.calibrate({"serving_default": [{name: sample} for sample in samples]})
    worker.quantize(statistics).export_model(str(path), overwrite=True)


def _input(float_tflite: str) -> str:
    from ai_edge_litert.interpreter import Interpreter

    return str(Interpreter(float_tflite).get_signature_list()["serving_default"]["inputs"][0])


def _ort(float_onnx: str, samples: list[Any], path: Path) -> None:
    """ONNX Runtime's quantize_static: QDQ, int8 in and out, per channel, all else as it comes."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            name = onnx.load(float_onnx).graph.input[0].name
            self.feeds: Iterator[Any] = iter({name: sample} for sample in samples)

        def get_next(self) -> Any:
            return next(self.feeds, None)

    prepared = path.with_name("prepared.onnx")
    quant_pre_process(float_onnx, str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(path),
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
    )


def judge(
    made: dict[str, str], bases: dict[str, str], model: str, data: str, answers: str, limit: int | None
) -> dict[str, Any]:
    """Figures of int8 files (name to path), each against the float file of its format, as edgeship takes them everywhere."""
    from rich.console import Console

    from edgeship.benchmarks.measure import benchmark as bench
    from edgeship.benchmarks.measure import driver
    from edgeship.convert.receipts import receipt
    from edgeship.data import RepresentativeDataset, load
    from edgeship.devices import profiles
    from edgeship.progress import Progress
    from edgeship.runtimes import registry
    from edgeship.server_model import model_files
    from edgeship.storage import digest
    from edgeship.storage.cache import Cache
    from edgeship.types import Artifact, to_json

    model_files.sniff(Path(model))

    def subject(name: str, path: str) -> bench.MeasuredArtifact:
        held = receipt.read(path)
        artifact = Artifact(Path(path), held.format, name, held.inputs, held.outputs)
        return bench.MeasuredArtifact(artifact, digest.of_path(Path(path)), held)

    floats = {item.artifact.format: item for item in (subject("float32", path) for path in bases.values())}
    source = RepresentativeDataset(data)
    specs = floats["tflite"].artifact.inputs
    reference = bench.Reference(
        source, specs, load(Path(answers)), source.labels(limit), limit, digest.of_path(Path(answers))
    )
    found = {}
    with Progress(Console(quiet=True)) as progress:
        worker = bench.Benchmark(Cache(), progress, bench.Settings("rapid"), reference)
        for name, path in made.items():
            item = subject(name, path)
            kind = item.artifact.format
            runtime = registry.for_format(kind)[0]
            worker.subjects = {"float32": floats[kind]}
            (measured,) = driver.measure(worker, driver.Job(item, (runtime,), profiles.find_device("host")))
            islands = item.receipt.float_islands
            found[name] = {**to_json(measured), "int8_ops": item.receipt.int8_op_share, "islands": len(islands)}
    return found


def renamed(path: str, like: str) -> None:
    """Give a peer's `.tflite` the names and the order of the float file's ends, so that its outputs can be compared."""
    from edgeship.convert.receipts import receipt
    from edgeship.convert.tflite import tensor_names

    ends = receipt.read(like)
    names = [[spec.name for spec in side] for side in (ends.inputs, ends.outputs)]
    Path(path).write_bytes(tensor_names.rename(Path(path).read_bytes(), *names))
