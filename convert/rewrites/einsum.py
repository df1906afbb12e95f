"""Einsum as transposes, reshapes and one batched matrix product: the wasm backend of TF.js has no Einsum kernel.

Two operands whose labels occur once each, as attention and dense layers over several axes use them; others are left alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeship.light_dataclass import dataclass


@dataclass(frozen=True)
class Contraction:
    """The labels of an equation: of both operands and the result, and by role (`own` are those of one operand alone)."""

    operands: tuple[str, str]
    result: str
    batch: list[str]
    summation: list[str]
    own: tuple[list[str], list[str]]


def plan_contraction(equation: str) -> Contraction | None:
    """The labels of an equation by their roles; None where it is not of the kind above."""
    sides = equation.replace(" ", "").split("->")
    operands = sides[0].split(",")
    if len(sides) != 2 or len(operands) != 2 or "." in equation:
        return None
    (left, right), result = operands, sides[1]
    if any(len(set(labels)) != len(labels) for labels in (left, right, result)):
        return None
    batch = [label for label in left if label in right and label in result]
    summation = [label for label in left if label in right and label not in result]
    common = batch + summation
    own = [label for label in left if label not in common], [label for label in right if label not in common]
    if sorted(result) != sorted(batch + own[0] + own[1]):
        return None
    return Contraction((left, right), result, batch, summation, own)


class Builder:
    """Adds the nodes that replace one Einsum node, which itself becomes the last of them (an Identity)."""

    def __init__(self, node: Any, nodes: Any, in_function: bool) -> None:
        self.node, self.nodes, self.in_function = node, nodes, in_function
        self.dtype, self.count = node.attr["T"].type, 0

    def add_node(self, op: str, inputs: list[str], **attributes: Any) -> str:
        """One node; returns how its output is referred to."""
        node = self.nodes.add()
        self.count += 1
        node.name, node.op = f"{self.node.name}/{op}_{self.count}", op
        node.input.extend(inputs)
        for key, value in attributes.items():
            if isinstance(value, bool):
                node.attr[key].b = value
            elif key == "N":
                node.attr[key].i = value
            else:
                node.attr[key].type = value
        return f"{node.name}:{'y' if op == 'Transpose' else 'output'}:0" if self.in_function else node.name

    def add_constant(self, values: list[int] | int) -> str:
        """An int32 constant."""
        from tensorflow import make_tensor_proto

        reference = self.add_node("Const", [], dtype=3)
        proto = make_tensor_proto(np.asarray(values, np.int32))
        self.nodes[len(self.nodes) - 1].attr["value"].tensor.CopyFrom(proto)
        return reference

    def add_transpose(self, tensor: str, order: list[int]) -> str:
        """The tensor with its axes in that order."""
        if order == sorted(order):
            return tensor
        return self.add_node("Transpose", [tensor, self.add_constant(order)], T=self.dtype, Tperm=3)

    def add_sizes(self, shape: str, axes: list[int], product: bool) -> str:
        """These entries of a shape, or their product as a vector of one."""
        if product and not axes:
            return self.add_constant([1])
        entries = self.add_node(
            "GatherV2", [shape, self.add_constant(axes), self.add_constant(0)], Tparams=3, Tindices=3, Taxis=3
        )
        return (
            self.add_node("Prod", [entries, self.add_constant([0])], T=3, Tidx=3, keep_dims=True)
            if product
            else entries
        )

    def add_reshape(self, tensor: str, parts: list[str]) -> str:
        """The tensor in the shape that these vectors make when joined."""
        shape = (
            self.add_node("ConcatV2", [*parts, self.add_constant(0)], N=len(parts), T=3, Tidx=3)
            if len(parts) > 1
            else parts[0]
        )
        return self.add_node("Reshape", [tensor, shape], T=self.dtype, Tshape=3)


def replace_einsum(node: Any, nodes: Any, in_function: bool) -> bool:
    """Replace one Einsum node in place; False where its equation is not of the kind above."""
    plan = plan_contraction(node.attr["equation"].s.decode())
    if plan is None or len([name for name in node.input if not name.startswith("^")]) != 2:
        return False
    build, batch, summation = Builder(node, nodes, in_function), plan.batch, plan.summation
    matrices, own_sizes, leading = [], [], ""
    for side, labels in enumerate(plan.operands):
        own, tensor = plan.own[side], node.input[side]
        order = [*batch, *own, *summation] if side == 0 else [*batch, *summation, *own]
        shape = build.add_node("Shape", [tensor], T=build.dtype, out_type=3)
        axes = {
            name: [labels.index(label) for label in part] for name, part in (("b", batch), ("o", own), ("s", summation))
        }
        flat = {name: build.add_sizes(shape, axes[name], product=True) for name in ("o", "s")}
        if batch:
            leading = build.add_sizes(shape, axes["b"], product=False)
        parts = [*([leading] if batch else []), *((flat["o"], flat["s"]) if side == 0 else (flat["s"], flat["o"]))]
        matrices.append(build.add_reshape(build.add_transpose(tensor, [labels.index(label) for label in order]), parts))
        if own:
            own_sizes.append(build.add_sizes(shape, axes["o"], product=False))
    product = build.add_node("BatchMatMulV2", matrices, T=build.dtype, adj_x=False, adj_y=False)
    labels_so_far = [*batch, *plan.own[0], *plan.own[1]]
    result = (
        build.add_reshape(product, [*([leading] if batch else []), *own_sizes])
        if labels_so_far
        else build.add_reshape(product, [build.add_constant([])])
    )
    result = build.add_transpose(result, [labels_so_far.index(label) for label in plan.result])
    control = [name for name in node.input if name.startswith("^")]
    node.op = "Identity"
    del node.input[:]
    node.input.extend([result, *control])
    for key in [key for key in node.attr if key != "T"]:
        del node.attr[key]
    return True
