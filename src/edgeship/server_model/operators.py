"""What a TensorFlow graph may do without permission: compute. Read from its protobuf, before anything of it is loaded.

An operator counts as harmless if TensorFlow's registry says that it keeps no state (with the few exceptions that read
files all the same), or if it is among the stateful ones that are listed here. Whatever else is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from functools import cache
from pathlib import Path
from typing import Any

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.server_model.meta_graph import GraphBody, MetaGraph, node_name, tensor_name
from edgeship.untrusted import SHOWN, place_within, printable, regular_file

# Operators without state, as the registry has it, that read files, call Python, run code of their own, end the process or
# tell others what they see.
_REACHING = re.compile(
    r".*(?:Dataset|Iterator|Reader|PyFunc|Checkpoint|Rpc|Remote).*|(?:Read|Write|Matching)Files?|Debug.*|Copy(?:Host)?|"
    r"(?:En|De)codeProto.*|XlaCustomCall.*|ImmutableConst|GenerateVocabRemapping|LoadAndRemapMatrix|"
    r"InitializeTableFromTextFile|MlirPassthroughOp|Abort|.*SparseCore.*"
)
_STATEFUL = re.compile(
    r"_?Var(?:iable(?:V2|Shape)?|Handles?Op|IsInitializedOp)|_?ReadVariables?(?:Op|XlaSplitND)|Assign\w*VariableOp|"
    r"IsVariableInitialized|TemporaryVariable|Destroy(?:TemporaryVariable|ResourceOp)|"
    r"Resource(?:Gather|Scatter|Apply|SparseApply|StridedSliceAssign|CountUpTo|Accumulator)\w*|"
    r"(?:Stateful)?PartitionedCall|If|While|Case|Assert|Print|CheckNumerics(?:V2)?|"
    r"DisableCopyOnRead|DeepCopy|Empty|GuaranteeConst|DeviceIndex|StatelessRandomGetAlg|"
    r"Random(?!ShuffleQueue)\w*|TruncatedNormal|ParameterizedTruncatedNormal|Multinomial|Stateful(?:Random|Uniform|StandardNormal|Truncated)\w*|"
    r"Rng\w+|NonDeterministicInts|SampleDistortedBoundingBox(?:V2)?|"
    r"(?:Uniform|LogUniform|LearnedUnigram|ThreadUnsafeUnigram|All)CandidateSampler|"
    r"TensorArray\w*|Stack(?:V2|Push|PushV2|Pop|PopV2|Close|CloseV2)?|"
    r"(?:Anonymous)?(?:Mutable)?(?:Dense)?HashTable(?:OfTensors)?(?:V2)?|InitializeTable(?:V2)?|LookupTable\w+|CudnnRNN\w*"
)
_TABLE_FILE = re.compile(r"InitializeTableFromTextFile(?:V2)?")
_SAVING = {"Save", "SaveSlices", "SaveV2", "MergeV2Checkpoints"}
_RESTORING = {"Restore", "RestoreSlice", "RestoreV2"}
_STREAMS = {b"stderr", b"stdout", b"log(info)", b"log(warning)", b"log(error)"}
_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}


def refusal_error(path: object, what: str) -> InputError:
    """The error for something in a SavedModel that is not allowed without --allow-unsafe."""
    return InputError(
        f"{printable(path)}: {what}. If you trust the model, allow it with --allow-unsafe; better, export it without"
    )


@cache
def _is_harmless(op: str) -> bool | None:
    """Whether an operator of that name only computes; None where TensorFlow has none."""
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get(op)
    if definition is None:
        return None
    if _REACHING.fullmatch(op):
        return False
    return not definition.is_stateful or _STATEFUL.fullmatch(op) is not None


def _is_allowed(node: Any) -> bool | None:
    if node.op == "PrintV2":
        return bool(node.attr["output_stream"].s in _STREAMS) if "output_stream" in node.attr else True
    if node.op == "FixedUnigramCandidateSampler":
        return not node.attr["vocab_file"].s
    return _is_harmless(node.op)


def refused_layer(definition: Any) -> str:
    """The name of the operator in a TensorFlowOpLayer's NodeDef (a dict, or its bytes as text), if it is refused; else ''."""
    from google.protobuf import json_format
    from tensorflow.core.framework import node_def_pb2

    node = node_def_pb2.NodeDef()
    if isinstance(definition, dict) and definition.get("class_name") == "__bytes__":
        definition = definition.get("value")
    try:
        if isinstance(definition, dict):
            json_format.ParseDict(definition, node)
        else:
            node.ParseFromString(definition.encode())
    except Exception:  # whatever it is, tf_keras would not read it either
        return "a damaged operator"
    return "" if _is_allowed(node) and node.op not in _CALLS else node.op or "no operator"


def check(path: Path, meta: Any, *, runs_graph: bool) -> None:
    """Raises InputError for the first operator of a meta graph, of its functions or its assets, that may do more than compute.

    `runs_graph`: whether loading runs the graph itself, as TensorFlow 1 does, or its functions alone.
    """
    model = MetaGraph(path, meta, runs_graph)
    _check_assets(model)
    saver = _Saver.from_model(model)
    for body in model.bodies.values():
        for node in body.nodes.values():
            where = f"in its function {printable(body.name)[:80]}" if body.name else "in its graph"
            if _TABLE_FILE.fullmatch(node.op):
                index = list(node.input)[1] if len(node.input) > 1 else ""
                # TensorFlow 1 puts the asset's place there while it initializes, and only then.
                other = runs_graph and (body.name != "" or node.name in saver.answering_nodes | saver.restoring_nodes)
                if other or not _is_asset(model, body, index, set()):
                    what = f"{node.op} reads a file that is not among its assets ({where})"
                    raise refusal_error(path, f"its operator {what}")
            elif node.op in _SAVING | _RESTORING:
                if not saver.covers(body, node):
                    raise refusal_error(
                        path, f"its operator {node.op} ({where}) touches files beside its own variables"
                    )
            elif node.op not in model.bodies or _is_harmless(node.op) is not None:
                is_allowed = _is_allowed(node)
                if is_allowed is None:
                    raise InputError(
                        f"{printable(path)}: needs the custom op '{printable(node.op)[:SHOWN]}', which plain TensorFlow "
                        "does not have; export it without that op"
                    )
                if not is_allowed:
                    what = f"its operator {node.op} ({where}) may touch files, scripts, processes or the network"
                    raise refusal_error(path, what)


def _check_assets(model: MetaGraph) -> None:
    from tensorflow.core.protobuf import meta_graph_pb2

    assets = list(model.meta.asset_file_def)
    if "saved_model_assets" in model.meta.collection_def:  # as TensorFlow 1 had them
        for message in model.meta.collection_def["saved_model_assets"].any_list.value:
            assets.append(meta_graph_pb2.AssetFileDef())
            message.Unpack(assets[-1])
    for asset in assets:
        regular_file(place_within(model.path / "assets", asset.filename))


def _is_asset(model: MetaGraph, body: GraphBody, reference: str, visits: set[tuple[str, int]]) -> bool:
    """Whether a file name comes from the model's own assets, on whatever way it reaches a node."""
    if body.name == "":
        return body.leads_to(reference, {tensor_name(asset.tensor_info.name) for asset in model.meta.asset_file_def})
    argument, _ = body.trace_source(reference)
    if argument is None or body.name in model.interchangeable:
        return False
    if (body.name, argument) in visits:
        return True
    visits.add((body.name, argument))
    function, callers = model.concrete_function(body.name), model.callers.get(body.name, [])
    if function is None:
        is_known = bool(callers) and body.name not in model.reachable
    else:
        is_known = _is_bound_asset(model, function, argument - len(body.arguments) + len(function.bound_inputs))
    return is_known and all(
        (caller.op in _CALLS or caller.op == body.name)
        and argument < len(caller.input)
        and _is_asset(model, place, caller.input[argument], visits)
        for place, caller in callers
        if place.name or model.runs_graph
    )


def _is_bound_asset(model: MetaGraph, function: Any, index: int) -> bool:
    """Whether a function's captured input of that number (below 0: an argument that its caller gives) is an asset."""
    nodes = model.meta.object_graph_def.nodes
    node_id = function.bound_inputs[index] if index >= 0 else -1
    # Under a registered name TensorFlow would make another thing of the node, and no asset.
    asset = 0 <= node_id < len(nodes) and nodes[node_id].WhichOneof("kind") == "asset"
    return asset and not nodes[node_id].registered_name


@dataclass(frozen=True)
class _Saver:
    """What writes and reads the variables' files, as TensorFlow puts it beside every model.

    Loading runs the restoring part only, and with the path of the model's own variables.
    """

    model: MetaGraph
    filename: str
    restoring_nodes: frozenset[str]  # nodes that the restoring needs
    run_nodes: frozenset[str]  # nodes that signatures, initializers and other collections need
    answering_nodes: frozenset[str]  # nodes that signatures need, but those that initialize

    @classmethod
    def from_model(cls, model: MetaGraph) -> _Saver:
        saver, graph = model.meta.saver_def, model.bodies[""]
        restoring = _reachable_nodes(graph, _restore_operations(model.meta))
        # Freezing a TensorFlow 1 graph runs these, whatever lies behind them.
        reading = [f"{node.name}/Read/ReadVariableOp" for node in model.meta.graph_def.node if node.op == "VarHandleOp"]
        run = _reachable_nodes(graph, [*_runnable_names(model.meta), *reading])
        answering = _reachable_nodes(graph, [*_signature_tensors(model.meta, {"__saved_model_init_op"}), *reading])
        return cls(model, saver.filename_tensor_name, frozenset(restoring), frozenset(run), frozenset(answering))

    def covers(self, body: GraphBody, node: Any) -> bool:
        """Whether a node that saves or restores is never run, or restores the model's own variables only."""
        if not body.name:
            return self._is_idle(node, node.op in _RESTORING and self._names_own_files(body, node))
        own = node.op in _RESTORING and body.trace_source(next(iter(node.input), ""))[0] is not None
        callers = self.model.callers.get(body.name, [])
        # One that nobody calls is there for a purpose that is not seen here.
        alone = body.name not in self.model.reachable and bool(callers)
        return alone and all(not place.name and self._is_idle(caller, own) for place, caller in callers)

    def _is_idle(self, node: Any, restores: bool) -> bool:
        return node.name not in self.run_nodes and (restores or node.name not in self.restoring_nodes)

    def _names_own_files(self, body: GraphBody, node: Any) -> bool:
        return bool(self.filename and node.input) and body.leads_to(node.input[0], {tensor_name(self.filename)})


def _restore_operations(meta: Any) -> list[str]:
    """What loading runs to restore the variables: the saver's operation.

    Without a saver TensorFlow makes one for the variables that collections name, and runs whatever they need.
    """
    if meta.HasField("saver_def"):
        return [meta.saver_def.restore_op_name]
    variable_collections = {"variables", "saveable_objects"} & set(meta.collection_def)
    return [node.name for node in meta.graph_def.node] if variable_collections else []


def _reachable_nodes(graph: GraphBody, names: Sequence[str]) -> set[str]:
    """The named nodes and all that they need."""
    reachable: set[str] = set()
    pending = [node_name(name) for name in names]
    while pending:
        name = pending.pop()
        if name in reachable or name not in graph.nodes:
            continue
        reachable.add(name)
        pending.extend(node_name(reference) for reference in graph.nodes[name].input)
    return reachable


def _runnable_names(meta: Any) -> Iterator[str]:
    """Tensors and operations that signatures and collections name, so that somebody may run them."""
    yield from _signature_tensors(meta)
    for collection in meta.collection_def.values():
        yield from collection.node_list.value


def _signature_tensors(meta: Any, but: Set[str] = frozenset()) -> Iterator[str]:
    """The tensors of all signatures `but` those of these names."""
    for name, signature in meta.signature_def.items():
        for tensor in (*signature.inputs.values(), *signature.outputs.values()):
            if name not in but:
                yield tensor.name
