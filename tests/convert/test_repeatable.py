"""The same bytes whatever a process did before: addresses, hashes and numbered names leave no trace."""

from __future__ import annotations

import pytest

from edgeship.convert.export import export
from edgeship.convert.onnx import convert as onnx
from edgeship.convert.tfjs import convert as tfjs
from edgeship.convert.tflite import convert as tflite
from edgeship.processes.child import FunctionProcess

MODELS = ("functional", "recurrent", "attention", "masked")
LOOPS = ("masked",)  # which TF.js lacks


@pytest.mark.more
def test_another_process_and_another_order_give_the_same_bytes(tensorflow, zoo, tmp_path):
    paths = {name: zoo(name) for name in MODELS}
    with FunctionProcess() as other:
        orders = ((tensorflow, MODELS), (other, MODELS[::-1]))
        found = [_convert(process, tmp_path / str(process.pid), paths, names) for process, names in orders]
    assert len(found[0]) >= 4 * len(MODELS) - 2
    assert [name for name in found[0] if found[0][name] != found[1][name]] == []


def _convert(process, out, paths, names):
    """The files of all models in all formats, by name; each is exported by the process itself."""
    for name in names:
        saved_model = str(out / "exports" / name)
        process.call(export.run, model=paths[name], out=saved_model)
        process.call(onnx.run, saved_model=saved_model, out_file=str(out / "files" / f"{name}.onnx"))
        process.call(tflite.run, saved_model=saved_model, out_file=str(out / "files" / f"{name}.tflite"))
        if name not in LOOPS:
            process.call(tfjs.run, saved_model=saved_model, out_dir=str(out / "files" / name))
    files = (path for path in (out / "files").rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}
