"""Calls of the converters, each in a process that holds TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeship import typed_json
from edgeship.formats import formats
from edgeship.pipeline.step_queue import StepRun
from edgeship.storage.cache import Entry
from edgeship.types import ToolReport


def convert(run: StepRun, file_format: str, export: Entry, out: Path, options: Mapping[str, Any]) -> ToolReport:
    """Have the step's executor convert an export to the file `out`; returns what the converter says of it.

    What artifacts that differ in their weights share is left in the run's scratch folder.
    """
    form = formats.find(file_format)
    arguments = {"saved_model": str(export.path / "saved_model"), **options}
    arguments["out_dir" if form.is_folder else "out_file"] = str(form.place(out))
    if form.weight_storage:
        arguments["graph"] = str(run.executors.scratch / f"{file_format}-{export.digest}")
    if form.converter_setup:
        formats.import_function(form.converter_setup)()
    return typed_json.convert(ToolReport, run.executor.call(form.converter, **arguments))
