"""One quantizer of another project on a float `.onnx`; runs in that project's own environment, standard library and it only.

    python scripts/bench/optimize/foreign.py nncf float32.onnx calibration.npz int8.onnx 100

Prints the seconds that it took as JSON. NNCF: `pip install nncf onnx onnxruntime`; Neural Compressor, which names neither
all that it imports nor the versions that it can live with: `pip install onnx-neural-compressor onnx==1.16.2
onnxruntime==1.18.1 prettytable psutil py-cpuinfo pydantic scipy transformers`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx


def samples(data: str, count: int) -> list[Any]:
    """The samples that edgeship takes: spread evenly over the data."""
    with np.load(data) as arrays:
        (name,) = (key for key in arrays.files if key != "y")
        array = arrays[name]
    chosen = np.unique(np.linspace(0, len(array) - 1, min(count, len(array))).round().astype(int))
    return [array[index : index + 1].astype(np.float32) for index in chosen]


def nncf(model: str, feeds: Sequence[dict[str, Any]], out: str) -> None:
    """NNCF's post-training quantization with its defaults."""
    import nncf as tool

    dataset = tool.Dataset(feeds)
    onnx.save(tool.quantize(onnx.load(model), dataset, subset_size=len(feeds)), out)


def neural_compressor(model: str, feeds: Sequence[dict[str, Any]], out: str) -> None:
    """Neural Compressor's static quantization as QDQ, per channel, int8."""
    from onnx_neural_compressor import data_reader
    from onnx_neural_compressor.quantization import QuantFormat, QuantType, config, quantize

    class Reader(data_reader.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rewind()

        def get_next(self) -> dict[str, Any] | None:
            return next(self.feeds, None)

        def rewind(self) -> None:
            self.feeds: Iterator[dict[str, Any]] = iter(feeds)

    recipe = config.StaticQuantConfig(
        calibration_data_reader=Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
    )
    quantize(model, out, recipe)
    whole = onnx.load(out)  # weights came in a file of their own
    onnx.save(whole, out)


if __name__ == "__main__":
    tool, model, data, out, count = sys.argv[1:]
    name = onnx.load(model).graph.input[0].name
    feeds = [{name: sample} for sample in samples(data, int(count))]
    __import__("nncf" if tool == "nncf" else "onnx_neural_compressor")
    start = time.perf_counter()
    {"nncf": nncf, "neural-compressor": neural_compressor}[tool](model, feeds, out)
    print(json.dumps({"seconds": time.perf_counter() - start}))
