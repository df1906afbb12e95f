"""Calls of the converters, each in a process that holds TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeship.convert.onnx import convert as onnx
from edgeship.convert.tfjs import convert as tfjs
from edgeship.convert.tfjs import shim
from edgeship.convert.tflite import convert as tflite
from edgeship.pipeline.step_queue import StepRun
from edgeship.storage.cache import Entry

# What a process imports ahead of its first conversion to a format.
MODULES: Mapping[str, tuple[str, ...]] = {
    "tflite": ("tensorflow", "tensorflow.lite.python.lite"),
    "onnx": ("tensorflow", "tf2onnx.convert"),
    "tfjs": ("tensorflow",),
}


def convert(run: StepRun, file_format: str, export: Entry, out: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Have the step's executor convert an export to the file `out`; returns what the converter says of it.

    What several weight types of TF.js share is left in the run's scratch folder.
    """
    saved_model = str(export.path / "saved_model")
    if file_format == "tflite":
        return run.executor.call(tflite.run, saved_model=saved_model, out_file=str(out), **options)
    if file_format == "onnx":
        return run.executor.call(onnx.run, saved_model=saved_model, out_file=str(out), **options)
    shim.install_if_missing()
    graph = str(run.executors.scratch / f"tfjs-{export.digest}")
    return run.executor.call(tfjs.run, saved_model=saved_model, out_dir=str(out.parent), graph=graph, **options)
