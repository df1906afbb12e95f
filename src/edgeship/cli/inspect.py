"""`edgeship inspect ARTIFACT`: what a model file really holds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeship.cli import options

if TYPE_CHECKING:
    from edgeship.bundle.receipt import Receipt
    from edgeship.processes.child import FunctionProcess
    from edgeship.types import TensorSpec

# What is read in a process of its own: some models crash the library that reads them, or never let go of it.
APART = ("tflite", "onnx")
SHOWN = 200  # inputs, outputs, operators or islands of a file; --json has all


@click.command("inspect", short_help="Show what a model file really holds.")
@click.argument("artifact", type=click.Path(path_type=Path))
@options.JSON
def inspect(artifact: Path, json_file: str | None) -> None:
    """Open ARTIFACT (.tflite, .onnx, a TF.js folder, or a bundle) and show inputs, outputs, ops, weights and precision.

    \b
    Example: edgeship inspect bundle/tflite/int8.tflite
    """
    receipts = read_receipts(artifact)
    options.emit({"artifacts": receipts}, json_file)
    if json_file == "-":
        return
    from edgeship.bundle.receipt import Receipt
    from edgeship.terminal import wrap
    from edgeship.typed_json import convert
    from edgeship.types import to_json
    from edgeship.untrusted import shown

    for name, receipt in receipts.items():
        printable = convert(Receipt, shown(to_json(receipt)))
        click.echo("\n".join(wrap(line, indent=11) for line in describe_receipt(shown(name), printable)))


def read_receipts(path: Path) -> dict[str, Receipt]:
    """The receipt of an artifact, or of every artifact of a bundle, by name."""
    from edgeship import untrusted
    from edgeship.errors import InputError
    from edgeship.processes.child import FunctionProcess

    with contextlib.ExitStack() as stack:
        child = cache(lambda: stack.enter_context(FunctionProcess("inspect")))
        manifest = path / "manifest.json"
        if not manifest.is_file():
            return {path.name: read_receipt(path, None, child)}
        try:
            listed = [(item["id"], item["path"], item["format"]) for item in untrusted.read_json(manifest)["artifacts"]]
        except (KeyError, TypeError) as error:
            raise InputError(f"{untrusted.printable(manifest)}: not the manifest of a bundle ({error})") from error
        return {
            str(name): read_receipt(untrusted.place_within(path, place), kind, child) for name, place, kind in listed
        }


def read_receipt(path: Path, format: str | None, child: Callable[[], FunctionProcess]) -> Receipt:
    """The receipt of a stranger's artifact; `child` is where one is read that has a format of `APART`."""
    from edgeship import untrusted
    from edgeship.bundle.receipt import Receipt
    from edgeship.convert.receipts import receipt
    from edgeship.errors import InputError, ProcessError
    from edgeship.typed_json import convert

    with untrusted.reading(path):
        kind = format or (receipt.format_of(path) if path.exists() else "")
    if kind not in APART:
        return receipt.read(path, format)
    try:
        content = child().call_within(
            untrusted.limits().read_seconds,
            receipt.read_apart,
            path=str(path.absolute()),
            format=kind,
        )
    except ProcessError as error:
        longer = f"; {untrusted.LIMITS}=read_seconds=... gives it longer" if "took longer than" in str(error) else ""
        raise InputError(
            f"{untrusted.printable(path)}: {kind} cannot be read, is the file damaged, or made to do that? ({error}{longer})"
        ) from error
    with untrusted.reading(path):
        return convert(Receipt, content)


def describe_receipt(name: str, receipt: Receipt) -> list[str]:
    """A receipt for people, in lines."""
    weights = receipt.weights
    size = ", ".join(f"{count:,} {dtype}" for dtype, count in weights.dtypes.items())
    lines = [f"{name}  ({receipt.format})"]
    for side, specs in (("input", receipt.inputs), ("output", receipt.outputs)):
        lines += [f"  {side:<8} {text}" for text in _first_of(map(_describe_spec, specs))]
    lines.append(f"  batch    {'dynamic' if receipt.dynamic_batch else 'fixed'}")
    lines.append(f"  ops      {', '.join(_first_of(f'{count} {op}' for op, count in receipt.ops.items()))}")
    lines.append(f"  weights  {weights.elements:,} numbers in {weights.bytes:,} bytes: {size}")
    if weights.sparsity is not None:
        lines.append(f"  zeros    {weights.sparsity:.1%} of the weights")
    if receipt.sparse_encoding:
        lines.append(f"  sparse   kernels stored without their zeros: {len(receipt.sparse_encoding)}")
    if receipt.int8_op_share:
        lines.append(f"  int8     {receipt.int8_op_share:.0%} of the ops that compute")
        lines += [f"  float    {island}" for island in _first_of(receipt.float_islands)]
    elif receipt.hybrid_op_share:
        lines.append(f"  hybrid   {receipt.hybrid_op_share:.0%} of the ops take 8-bit weights and float data")
    needs = {"runtime": receipt.min_runtime, "opset": receipt.opset, "IR": receipt.ir_version}
    if any(needs.values()):
        lines.append(f"  needs    {', '.join(f'{key} {value}' for key, value in needs.items() if value)}")
    for kind, ops in (("flex", receipt.flex_ops), ("custom", receipt.custom_ops), ("variable", receipt.variable_ops)):
        if ops:
            lines.append(f"  {kind} ops: {', '.join(_first_of(ops))}")
    return lines


def _first_of(texts: Iterable[str]) -> list[str]:
    listed = list(texts)
    return listed if len(listed) <= SHOWN else [*listed[:SHOWN], f"and {len(listed) - SHOWN:,} more"]


def _describe_spec(spec: TensorSpec) -> str:
    shape = "x".join("?" if size is None else str(size) for size in spec.shape) or "scalar"
    affine = spec.quantization
    scale = f", scale {affine.scale[0]:.6g}, zero point {affine.zero_point[0]}" if affine else ""
    return f"{spec.name}: {shape} {spec.dtype}{scale}"
