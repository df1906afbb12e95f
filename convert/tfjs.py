"""SavedModel -> TF.js graph model (a folder with model.json and weight shards), weights stored as float32, float16 or uint8."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from edgeship.convert import blame, export, files, tensorflowjs_shim
from edgeship.errors import CheckError, InputError, unknown

WEIGHTS = ("float32", "float16", "uint8")
HINT = "Replace it by ops that TF.js has, or leave tfjs out with --to"


def run(saved_model: str, out_dir: str, weights: str = "float32") -> dict[str, Any]:
    """Write the folder (whole or not at all). Returns `{"tools", "notes"}`.

    `weights` is how they are stored; TF.js computes in float32 in any case. Raises InputError naming op and layer where
    TF.js has no such op.
    """
    if weights not in WEIGHTS:
        raise unknown("TF.js weight type", weights, WEIGHTS)
    tensorflowjs_shim.ensure()
    source, target = Path(saved_model), Path(out_dir)
    summary = export.read_summary(source)
    unrolled = (source / export.UNROLLED).is_dir()
    with files.folder(target) as made:
        _convert(source / export.UNROLLED if unrolled else source, made, summary, weights)
        _canonical(made / "model.json", summary)
    notes = ["recurrent layers are unrolled in time: TF.js runs loops only asynchronously"] if unrolled else []
    return {"tools": {"tensorflowjs": tensorflowjs_shim.VERSION}, "notes": notes}


def _convert(source: Path, out: Path, summary: dict[str, Any], weights: str) -> None:
    from tensorflowjs.converters.tf_saved_model_conversion_v2 import convert_tf_saved_model

    mapping = {} if weights == "float32" else {"quantization_dtype_map": {weights: "*"}}
    try:
        convert_tf_saved_model(str(source), str(out), signature_def=export.SIGNATURE, **mapping)
    except ValueError as error:
        found = re.search(r"Unsupported Ops in the model [^\n]*\n(.*)", str(error))
        if not found:
            raise InputError(f"tensorflowjs refuses the model: {blame.summary(error)}") from error
        ops = [op.strip() for op in found.group(1).split(",")]
        raise blame.unsupported(source, ops, summary["layers"], "TF.js", HINT) from error


def _canonical(path: Path, summary: dict[str, Any]) -> None:
    """Put the signature's inputs and outputs in canonical order: TF.js takes positional arguments in the order of its keys."""
    model = json.loads(path.read_text())
    for side in ("inputs", "outputs"):
        found, names = model["signature"][side], [spec["name"] for spec in summary[side]]
        if missing := [name for name in names if name not in found]:
            raise CheckError(f"the TF.js model has no {side[:-1]} '{missing[0]}' (it has: {', '.join(found)})")
        model["signature"][side] = {name: found[name] for name in names}
    path.write_text(json.dumps(model))
