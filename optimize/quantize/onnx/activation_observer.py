"""What the tensors of a float `.onnx` hold while it runs on representative data, by ONNX Runtime's own calibrators."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, calibrate

from edgeship.data import Batch
from edgeship.optimize.quantize.ranges import ObservedTensor, Range

METHOD = CalibrationMethod.MinMax  # what ranges are to the quantizer, whatever they come from


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """ONNX Runtime's interface over a stream of batches."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches

    def get_next(self) -> Batch | None:
        return next(self._batches, None)


def observe_extremes(model: Path, batches: Iterable[Batch]) -> dict[str, Range]:
    """Minimum and maximum of every tensor that can be quantized; the graph itself reduces them."""
    with tempfile.TemporaryDirectory(prefix="edgeship-calibrate-") as folder:
        calibrator = _open_calibrator(calibrate.MinMaxCalibrater, model, folder)
        calibrator.collect_data(_Reader(iter(batches)))
        tensors_data = calibrator.compute_data()
    # A reduction keeps an axis of length one.
    return {name: [float(np.min(pair[0])), float(np.max(pair[1]))] for name, pair in _range_pairs(tensors_data).items()}


def observe_ranges(model: Path, feeds: Iterable[Batch]) -> dict[str, dict[str, Range]]:
    """Per calibration method, per tensor that can be quantized, its range over the feeds."""
    observer = ObservedTensor()
    with tempfile.TemporaryDirectory(prefix="edgeship-calibrate-") as folder:
        # This calibrator gives whole tensors out; what it would keep of all feeds together is not used.
        calibrator = _open_calibrator(calibrate.PercentileCalibrater, model, folder)
        names = [item.name for item in calibrator.infer_session.get_outputs()]
        float_names = calibrator.tensors_to_calibrate
        for feed in feeds:
            values = dict(zip(names, calibrator.infer_session.run(None, feed), strict=True))
            values |= {name: array for name, array in feed.items() if array.dtype == np.float32}
            observer.add({name: values[name] for name in sorted(float_names & values.keys())})
    return observer.ranges()


def write_ranges(ranges: Mapping[str, Sequence[float]], path: Path) -> None:
    """Ranges as the quantizer reads them."""
    pairs = {name: tuple(np.array(value, np.float32) for value in pair) for name, pair in ranges.items()}
    calibrate.save_tensors_data(calibrate.TensorsData(METHOD, pairs), path)


def _open_calibrator(kind: Any, model: Path, folder: str) -> Any:
    calibrator = kind(str(model), augmented_model_path=str(Path(folder) / "augmented.onnx"))
    calibrator.augment_graph()
    calibrator.create_inference_session()
    return calibrator


def _range_pairs(tensors_data: Any) -> dict[str, Any]:
    return {name: data.range_value for name, data in tensors_data.data.items()}
