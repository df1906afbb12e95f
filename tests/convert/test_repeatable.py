"""The same bytes whatever a process did before: addresses, hashes and numbered names leave no trace."""

from __future__ import annotations

import pytest

from edgeship.convert.export import export
from edgeship.convert.onnx import convert as onnx
from edgeship.convert.tfjs import convert as tfjs
from edgeship.processes.child import FunctionProcess

MODELS = ("functional", "recurrent", "attention")


@pytest.mark.more
def test_another_process_and_another_order_give_the_same_bytes(tensorflow, zoo, tmp_path):
    for name in MODELS:
        tensorflow.call(export.run, model=zoo(name), out=str(tmp_path / name))
    with FunctionProcess() as other:
        found = [_convert(process, tmp_path, names) for process, names in ((tensorflow, MODELS), (other, MODELS[::-1]))]
    assert len(found[0]) >= 3 * len(MODELS)
    assert [name for name in found[0] if found[0][name] != found[1][name]] == []


def _convert(process, folder, names):
    """The files of all models in both formats, by name."""
    out = folder / f"{process.name}-{process.pid}"
    for name in names:
        process.call(onnx.run, saved_model=str(folder / name), out_file=str(out / f"{name}.onnx"))
        process.call(tfjs.run, saved_model=str(folder / name), out_dir=str(out / name))
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
