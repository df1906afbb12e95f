"""SavedModel -> TF.js graph model (a folder with model.json and weight shards), weights stored as float32, float16 or uint8."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from edgeship.convert.export import export, saved_model_cache, unsupported
from edgeship.convert.rewrites import decompose
from edgeship.convert.tfjs import dedupe_weights, fold_batch_norm, node_order, shim, unfuse, weight_storage
from edgeship.errors import CheckError, unknown_name_error
from edgeship.server_model.description import ServerModelDescription
from edgeship.storage import atomic
from edgeship.types import TensorSpec, ToolReport

UNROLL = (
    f"It fails on loops over time; a fixed time axis of at most {export.UNROLL_AT_MOST} steps is unrolled instead, "
    "or leave tfjs out with --to"
)
LOOPS = ("Enter", "While", "StatelessWhile")
TYPES = {
    "float32": "DT_FLOAT",
    "int8": "DT_INT8",
    "uint8": "DT_UINT8",
    "int16": "DT_INT16",
    "int32": "DT_INT32",
    "int64": "DT_INT64",
    "bool": "DT_BOOL",
}
WEIGHTS = ("float32", "float16", "uint8")
FOLDED = "folded.json"  # beside a kept graph
HINT = "Replace it by ops that TF.js has, or leave tfjs out with --to"


def run(saved_model: str, out_dir: str, weights: str = "float32", graph: str | None = None) -> ToolReport:
    """Write the folder (whole or not at all).

    `weights` is how they are stored; TF.js computes in float32 in any case. `graph` is a folder where what the converter makes
    of this SavedModel, whatever the weights, is kept for the next call; where it is there already it is taken from there.
    Raises InputError naming op and layer where TF.js has no such op.
    """
    if weights not in WEIGHTS:
        raise unknown_name_error("TF.js weight type", weights, WEIGHTS)
    shim.ensure_importable()
    source, target = Path(saved_model), Path(out_dir)
    description = export.read_description(source)
    is_unrolled = (source / export.UNROLLED).is_dir()
    with atomic.atomic_folder(target) as draft, tempfile.TemporaryDirectory(prefix="edgeship-tfjs-") as folder:
        float_graph = Path(graph) if graph else Path(folder) / "graph"
        if not float_graph.is_dir():
            base = source / export.UNROLLED if is_unrolled else source
            expressible = decompose.decompose_ops(base, Path(folder) / "expressible", einsum=True)
            _convert_float_graph(expressible, float_graph, description)
        shutil.copytree(float_graph, draft)
        conv_names = json.loads((draft / FOLDED).read_text(encoding="utf-8"))
        (draft / FOLDED).unlink()
        if weights != "float32":
            weight_storage.store_weights(draft, weights)
        _refuse_loops(draft / "model.json", source, description)
        _write_signature(draft / "model.json", description)
        unfuse.unfuse(draft)
        dedupe_weights.dedupe(draft)
    notes = ["recurrent layers are unrolled in time: TF.js fails on loops"] if is_unrolled else []
    if conv_names:
        notes.append(f"batch normalization is folded into {len(conv_names)} depthwise convolutions")
    return ToolReport({"tensorflowjs": shim.VERSION}, tuple(notes))


def _convert_float_graph(source: Path, folder: Path, description: ServerModelDescription) -> None:
    """Convert with float32 weights into `folder` (whole or not at all), and note beside it what was folded."""
    with atomic.atomic_folder(folder) as draft:
        conv_names = _run_tensorflowjs(source, draft, description)
        node_order.sort_graph(draft)
        (draft / FOLDED).write_text(json.dumps(conv_names), encoding="utf-8")


def _run_tensorflowjs(source: Path, out: Path, description: ServerModelDescription) -> list[str]:
    """Convert; returns the names of depthwise convolutions that batch normalization was folded into."""
    from tensorflowjs.converters import tf_saved_model_conversion_v2 as converter

    try:
        with (
            fold_batch_norm.folding_in_conversion(description.inputs) as conv_names,
            saved_model_cache.share_with_converter(converter, "load"),
        ):
            # Debug ops (Assert, Print, CheckNumerics) check what training code assumed; TF.js has none of them.
            converter.convert_tf_saved_model(
                str(source), str(out), signature_def=export.SIGNATURE, strip_debug_ops=True
            )
        return conv_names
    except Exception as error:  # tensorflowjs asserts, and fails in TensorFlow's own code
        match = re.search(r"Unsupported Ops in the model [^\n]*\n(.*)", str(error))
        if not match:
            raise unsupported.refused_model_error(
                source, description.layers, "tensorflowjs", "TF.js", HINT, error
            ) from error
        ops = [op.strip() for op in match.group(1).split(",")]
        raise unsupported.unsupported_ops_error(source, ops, description.layers, "TF.js", HINT) from error


def _refuse_loops(path: Path, source: Path, description: ServerModelDescription) -> None:
    """Raise InputError for a graph with loops: TF.js 4.22 loads them, and fails when it runs them.

    Tried with loops lowered and not, with dynamic and fixed batch, from Keras 3 and from tf_keras.
    """
    graph = json.loads(path.read_text(encoding="utf-8"))["modelTopology"]["node"]
    if any(node["op"] in LOOPS for node in graph):
        loop_ops = [op for op, users in unsupported.nodes_by_op(source, ("While", "StatelessWhile")).items() if users]
        raise unsupported.unsupported_ops_error(source, loop_ops or ["While"], description.layers, "TF.js", UNROLL)


def _write_signature(path: Path, description: ServerModelDescription) -> None:
    """Write the signature anew, in canonical order: the converter guesses keys by shape, and leaves unused inputs out.

    TF.js takes positional arguments in the order of the signature's keys.
    """
    model = json.loads(path.read_text(encoding="utf-8"))
    graph = model["modelTopology"]["node"]
    nodes = {node["name"] for node in graph}
    signature: dict[str, Any] = {"inputs": {}, "outputs": {}}
    for spec in description.inputs:
        entry = _signature_entry(spec, spec.name)
        if spec.name not in nodes:
            graph.append(_placeholder_node(spec.name, entry))
        signature["inputs"][spec.name] = entry
    specs = {spec.name: spec for spec in description.outputs}
    # A loaded signature ends in one Identity node per output, in the order of their sorted names.
    ends = {name: f"Identity_{index}" if index else "Identity" for index, name in enumerate(sorted(specs))}
    if missing := [name for name, end in ends.items() if end not in nodes]:
        raise CheckError(f"the TF.js model has no output '{missing[0]}'")
    signature["outputs"] = {name: _signature_entry(spec, ends[name]) for name, spec in specs.items()}
    model["signature"] = {**model["signature"], **signature}
    path.write_text(json.dumps(model), encoding="utf-8")


def _signature_entry(spec: TensorSpec, node: str) -> dict[str, Any]:
    sizes = [{"size": "-1" if size is None else str(size)} for size in spec.shape]
    return {"name": f"{node}:0", "dtype": TYPES[spec.dtype], "tensorShape": {"dim": sizes} if sizes else {}}


def _placeholder_node(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """A node for an input that no output depends on: it stays part of the model's interface."""
    return {
        "name": name,
        "op": "Placeholder",
        "attr": {"dtype": {"type": entry["dtype"]}, "shape": {"shape": entry["tensorShape"]}},
    }
