"""Which tensor of a stranger's file is which of the server model's, and what keeps the two from being compared.

A difference is said or refused, and none is bridged in silence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

import numpy as np

from edgeship.bundle.manifest import DTYPES
from edgeship.errors import InputError, unknown_name_error
from edgeship.light_dataclass import dataclass
from edgeship.types import Bridge, TensorSpec
from edgeship.untrusted import printable

NCHW = "nchw"
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Sides:
    """The inputs and outputs of a model."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class MatchOptions:
    """What the caller says of the files: `tensors` are their names by the server model's; `layout` "nchw": channels first."""

    tensors: Mapping[str, str] = field(default_factory=dict)
    layout: str | None = None


def match_tensors(server: Sides, file: Sides, options: MatchOptions, where: str) -> tuple[Bridge, tuple[str, ...]]:
    """How the file has the server model's tensors, and what there is to say of it.

    Raises InputError, beginning with `where`, naming the tensors that cannot be compared and what to do.
    """
    _check_said(options.tensors, (*server.inputs, *server.outputs), where)
    notes: list[str] = []
    names: dict[str, str] = {}
    first: list[str] = []
    for side, own, other in (("input", server.inputs, file.inputs), ("output", server.outputs, file.outputs)):
        pairs = _pair_names(side, own, other, options.tensors, where)
        for spec, found in pairs:
            label = f"{side} '{printable(found.name)}'"
            if spec.name != found.name and spec.name not in options.tensors:
                notes.append(f"its only {side} '{printable(found.name)}' is taken for the server model's '{spec.name}'")
            if _has_channels_first(spec.shape, found.shape, options.layout, f"{where}: {label}", spec.name):
                first.append(spec.name)
                notes.append(f"{label} has channels first (--layout {NCHW}): transposed outside of what is timed")
            notes += _describe_dtypes(side, spec, found, f"{where}: {label}")
            names[spec.name] = found.name
        unused = [item.name for item in other if item.name not in {found.name for _, found in pairs}]
        if unused:
            notes.append(f"not looked at, as the server model has no such {side}: {_list_names(unused)}")
    if options.layout == NCHW and not first:
        notes.append(f"none of its tensors has channels first: --layout {NCHW} changes nothing")
    return Bridge(names, tuple(first)), tuple(notes)


def _check_said(said: Mapping[str, str], own: Sequence[TensorSpec], where: str) -> None:
    """Raise InputError for a name that the server model does not have, and for a tensor that is given to two."""
    for name in said:
        if name not in {spec.name for spec in own}:
            raise unknown_name_error("tensor of the server model", name, [spec.name for spec in own], "--tensor")
    if len(set(said.values())) < len(said):
        raise InputError(f"{where}: --tensor names one of its tensors for two of the server model's")


def _pair_names(
    side: str, own: Sequence[TensorSpec], other: Sequence[TensorSpec], said: Mapping[str, str], where: str
) -> list[tuple[TensorSpec, TensorSpec]]:
    """Each tensor of the server model with the file's: as was said, by name, or as the only one on both sides."""
    found = {spec.name: spec for spec in other}
    names = {spec.name: said.get(spec.name, spec.name) for spec in own}
    if len(own) == len(other) == 1 and own[0].name not in said:
        names = {own[0].name: other[0].name}
    missing = [name for name in names.values() if name not in found]
    spare = [name for name in found if name not in names.values()]
    if missing or (spare and side == "input"):
        raise InputError(
            f"{where}: its {side}s are {_list_tensors(other)}; those of the server model {_list_tensors(own)}\n"
            f"{_way_out(side, own, other)}"
        )
    return [(spec, found[names[spec.name]]) for spec in own]


def _way_out(side: str, own: Sequence[TensorSpec], other: Sequence[TensorSpec]) -> str:
    if len(other) < len(own) or (side == "input" and len(other) > len(own)):
        return f"name a server model with the same {side}s, or make the file again with all of them"
    free, pairs = list(other), list[str]()
    for spec in own:
        likely = next((item for item in free if _fits(spec.shape[1:], item.shape[1:])), free[0])
        free.remove(likely)
        pairs.append(f"--tensor '{spec.name}={printable(likely.name)}'")
    return f"say which is which with --tensor SERVER=FILE, as {' '.join(pairs)}"


def _list_names(names: Sequence[str]) -> str:
    return ", ".join(f"'{printable(name)}'" for name in names) or "none"


def _list_tensors(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"'{printable(spec.name)}' ({spec.dtype} {shape_text(spec.shape)})" for spec in specs) or "none"


def shape_text(shape: Sequence[int | None]) -> str:
    """A shape for people; an axis of any size is a question mark."""
    return "x".join("?" if size is None else str(size) for size in shape) or "scalar"


def _fits(one: Shape, other: Shape) -> bool:
    return len(one) == len(other) and all(None in (a, b) or a == b for a, b in zip(one, other, strict=True))


def _has_channels_first(own: Shape, other: Shape, layout: str | None, where: str, name: str) -> bool:
    """Whether the file's axes are to be moved; the first one, of samples, may differ in size.

    Raises InputError where the shapes do not fit as they are, nor as was said.
    """
    mine, theirs = own[1:], other[1:]
    same = bool(own) == bool(other) and _fits(mine, theirs)
    moved = len(mine) > 1 and _fits((mine[-1], *mine[:-1]), theirs)
    if moved and (layout == NCHW or not same):
        if layout != NCHW:
            raise InputError(
                f"{where} has shape {shape_text(other)}, with channels first, the server model's '{name}' "
                f"{shape_text(own)}\nsay --layout {NCHW} to have its axes moved, or convert it without"
            )
        return True
    if not same:
        raise InputError(
            f"{where} has shape {shape_text(other)}, the server model's '{name}' {shape_text(own)}\n"
            f"make the file again with the shape of the server model{_shape_advice(mine, theirs)}"
        )
    return False


def _shape_advice(mine: Shape, theirs: Shape) -> str:
    if None in (*mine, *theirs):
        return ""
    if sorted(map(str, mine)) == sorted(map(str, theirs)):
        return ": its axes are in another order"
    return ": it holds as many numbers, so a Reshape does it" if _count(mine) == _count(theirs) else ""


def _count(shape: Shape) -> int:
    return math.prod(size or 1 for size in shape)


def _describe_dtypes(side: str, own: TensorSpec, other: TensorSpec, where: str) -> Iterator[str]:
    """What is done to the numbers at a file's edge. Raises InputError where nobody can know it."""
    label = where.rpartition(": ")[2]
    if other.dtype not in DTYPES:
        raise InputError(f"{where} is {printable(other.dtype)}: only numbers are compared")
    mine, theirs, affine = np.dtype(own.dtype).kind, np.dtype(other.dtype).kind, other.quantization
    if affine is not None and theirs in "iu":
        scale, zero = affine.scale[0], affine.zero_point[0]
        limits = np.iinfo(other.dtype)
        low, high = (scale * (limit - zero) for limit in (limits.min, limits.max))
        if mine != "f":
            raise InputError(
                f"{where} is {other.dtype} and stands for {low:.4g} to {high:.4g} (scale {scale:.4g}), the server model's "
                f"'{own.name}' is {own.dtype}\nit is unclear what a number stands for: make the file again with the "
                "server model's own type at its edge"
            )
        verb = "quantized" if side == "input" else "dequantized"
        yield f"{label} is {other.dtype}: {verb} by its own scale {scale:.4g} and zero point {zero} ({low:.4g} to {high:.4g})"
    elif mine == "f" and theirs in "iu":
        raise InputError(
            f"{where} is {other.dtype} without a scale, the server model's '{own.name}' is {own.dtype}\n"
            "what its numbers stand for is not in the file: make it again with float edges, or with scale and zero point"
        )
    elif mine in "iu" and theirs == "f" and side == "output":
        raise InputError(
            f"{where} is {other.dtype}, the server model's '{own.name}' is {own.dtype}\n"
            "numbers of another kind are not compared: make the file again with the server model's own outputs"
        )
    elif own.dtype != other.dtype:
        yield f"{label} is {other.dtype}, the server model's '{own.name}' {own.dtype}: the same numbers in another type"
