"""SavedModels whose functions are exchanged for others while they run (see attacks.py)."""

from __future__ import annotations

from typing import Any

from tests.hostile.models.attacks import _canary
from tests.hostile.models.saved_model_attacks import _edit_saved_model, _exported

CPU = "/job:localhost/replica:0/task:0/device:CPU:0"


def _constant(nodes: Any, name: str, value: Any) -> None:
    import tensorflow as tf

    tensor = tf.make_tensor_proto(value)
    node = nodes.add(name=name, op="Const")
    node.attr["dtype"].type = tensor.dtype
    node.attr["value"].tensor.CopyFrom(tensor)


def _saving_implementation(folder):
    """A function that no other calls says that it does the same as one that is called, and better on this device."""
    import tensorflow as tf

    @tf.function
    def inner(x):
        return x + 1.0

    def change(meta: Any) -> None:
        functions = meta.graph_def.library.function
        good = next(item for item in functions if "inner" in item.signature.name)
        evil = functions.add()
        evil.CopyFrom(good)
        evil.signature.name = "__inference_evil_99"
        values = {"place": str(_canary(folder)), "names": ["a"], "data": [1.0]}
        for name, value in values.items():
            _constant(evil.node_def, name, value)
        saving = evil.node_def.add(name="saving", op="Save", input=[f"{name}:output:0" for name in values])
        saving.attr["T"].list.type.append(1)
        answer = next(iter(evil.ret.values())).split(":")[0]
        next(node for node in evil.node_def if node.name == answer).input.append("^saving")
        for function, device in ((good, "GPU"), (evil, "CPU")):
            function.attr["api_implements"].s = b"the same"
            function.attr["api_preferred_device"].s = device.encode()
            function.attr["_noinline"].b = True
        for function in functions:
            for node in function.node_def:
                if "f" in node.attr and node.attr["f"].func.name == good.signature.name:
                    node.device = CPU
        _constant(meta.graph_def.node, "idle_data", [[1.0, 2.0]])
        idle = meta.graph_def.node.add(name="idle", op="PartitionedCall", input=["idle_data"])
        idle.attr["f"].func.name = evil.signature.name
        for side in ("Tin", "Tout"):
            idle.attr[side].list.type.append(1)

    return _edit_saved_model(_exported(folder, lambda tf, x: inner(x)), change)
