"""`edgeship inspect ARTIFACT`: what a model file really holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeship import api
from edgeship.cli import options, output
from edgeship.errors import CheckError

if TYPE_CHECKING:
    from edgeship.types import TensorSpec

SHOWN = 200  # inputs, outputs, operators or islands of a file; --json has all


@click.command("inspect")
@click.argument("artifact", type=click.Path(path_type=Path))
@options.JSON
def inspect(artifact: Path, json_file: str | None) -> None:
    """Open ARTIFACT (.tflite, .onnx, a TF.js folder, or a bundle) and show inputs, outputs, ops, weights and precision.

    \b
    Example: edgeship inspect bundle/tflite/int8.tflite

    Exit code 1 where a bundle was changed after it was written.
    """
    receipts, damage = api.inspect_model(artifact), api.find_damage(artifact)
    contract = api.summarize_contract(artifact)
    output.write_json({"artifacts": receipts, "damage": damage, "contract": contract}, json_file)
    if json_file != "-":
        _show_receipts(receipts)
        if contract:
            _show_contract(contract)
    if damage:
        raise CheckError(damage)


def _show_receipts(receipts: Mapping[str, api.Receipt]) -> None:
    from edgeship.terminal import wrap_text
    from edgeship.untrusted import printable_value

    for name, receipt in receipts.items():
        click.echo(
            "\n".join(
                wrap_text(line, indent=11) for line in describe_receipt(printable_value(name), printable_value(receipt))
            )
        )


def _show_contract(lines: Sequence[api.ContractLine]) -> None:
    """What an app must know, as a table; what is `unknown` was stated by nobody."""
    from edgeship.terminal import Column, make_console, make_table

    out = make_console()
    columns = [Column("contract", folds=True), Column("fact"), Column("value", folds=True), Column("known")]
    rows = [[line.tensor, line.fact, line.value, line.known] for line in lines]
    out.print("", make_table(columns, rows, out.width), sep="\n")
    if unknown := sorted({line.tensor for line in lines if line.known == "unknown"}):
        text = f"unknown: nobody stated it; [input.{unknown[0]}] in edgeship.toml does (docs/configuration.md)"
        out.print(text, soft_wrap=True, markup=False)


def describe_receipt(name: str, receipt: api.Receipt) -> list[str]:
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
    items = list(texts)
    return items if len(items) <= SHOWN else [*items[:SHOWN], f"and {len(items) - SHOWN:,} more"]


def _describe_spec(spec: TensorSpec) -> str:
    shape = "x".join("?" if size is None else str(size) for size in spec.shape) or "scalar"
    affine = spec.quantization
    scale = f", scale {affine.scale[0]:.6g}, zero point {affine.zero_point[0]}" if affine else ""
    return f"{spec.name}: {shape} {spec.dtype}{scale}"
