"""`edgeship inspect ARTIFACT`: what a model file really holds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeship.cli import options

if TYPE_CHECKING:
    from edgeship.processes.child import FunctionProcess

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
    found = receipts(artifact)
    options.emit({"artifacts": found}, json_file)
    if json_file == "-":
        return
    from edgeship.terminal import wrap
    from edgeship.untrusted import shown

    for name, receipt in found.items():
        click.echo("\n".join(wrap(line, indent=11) for line in lines(shown(name), shown(receipt))))


def receipts(path: Path) -> dict[str, dict[str, Any]]:
    """The receipt of an artifact, or of every artifact of a bundle, by name."""
    from edgeship import untrusted
    from edgeship.errors import InputError
    from edgeship.processes.child import FunctionProcess

    with contextlib.ExitStack() as stack:
        child = cache(lambda: stack.enter_context(FunctionProcess("inspect")))
        manifest = path / "manifest.json"
        if not manifest.is_file():
            return {path.name: read(path, None, child)}
        try:
            listed = [(item["id"], item["path"], item["format"]) for item in untrusted.read_json(manifest)["artifacts"]]
        except (KeyError, TypeError) as error:
            raise InputError(f"{untrusted.printable(manifest)}: not the manifest of a bundle ({error})") from error
        return {str(name): read(untrusted.place_within(path, place), kind, child) for name, place, kind in listed}


def read(path: Path, format: str | None, child: Callable[[], FunctionProcess]) -> dict[str, Any]:
    """The receipt of a stranger's artifact; `child` is where one is read that has a format of `APART`."""
    from edgeship import untrusted
    from edgeship.convert.receipts import receipt
    from edgeship.errors import InputError, ProcessError

    with untrusted.reading(path):
        kind = format or (receipt.format_of(path) if path.exists() else "")
    if kind not in APART:
        return receipt.read(path, format)
    try:
        found: dict[str, Any] = child().call(
            "edgeship.convert.receipts.receipt:read_apart",
            timeout=untrusted.limits().read_seconds,
            path=str(path.absolute()),
            format=kind,
        )
    except ProcessError as error:
        longer = f"; {untrusted.LIMITS}=read_seconds=... gives it longer" if "took longer than" in str(error) else ""
        raise InputError(
            f"{untrusted.printable(path)}: {kind} cannot be read, is the file damaged, or made to do that? ({error}{longer})"
        ) from error
    return found


def lines(name: str, receipt: dict[str, Any]) -> list[str]:
    """A receipt for people."""
    weights = receipt["weights"]
    size = ", ".join(f"{count:,} {dtype}" for dtype, count in weights["dtypes"].items())
    shown = [f"{name}  ({receipt['format']})"]
    shown += [f"  {side[:-1]:<8} {item}" for side in ("inputs", "outputs") for item in _some(map(_spec, receipt[side]))]
    shown.append(f"  batch    {'dynamic' if receipt['dynamic_batch'] else 'fixed'}")
    shown.append(f"  ops      {', '.join(_some(f'{count} {op}' for op, count in receipt['ops'].items()))}")
    shown.append(f"  weights  {weights['elements']:,} numbers in {weights['bytes']:,} bytes: {size}")
    if weights["sparsity"] is not None:
        shown.append(f"  zeros    {weights['sparsity']:.1%} of the weights")
    if sparse := receipt.get("sparse_encoding"):
        shown.append(f"  sparse   kernels stored without their zeros: {len(sparse)}")
    if receipt["int8_op_share"]:
        shown.append(f"  int8     {receipt['int8_op_share']:.0%} of the ops that compute")
        shown += [f"  float    {island}" for island in _some(receipt["float_islands"])]
    elif receipt["hybrid_op_share"]:
        shown.append(f"  hybrid   {receipt['hybrid_op_share']:.0%} of the ops take 8-bit weights and float data")
    needs = {"runtime": receipt["min_runtime"], "opset": receipt["opset"], "IR": receipt.get("ir_version")}
    if any(needs.values()):
        shown.append(f"  needs    {', '.join(f'{key} {value}' for key, value in needs.items() if value)}")
    for key in ("flex_ops", "custom_ops", "variable_ops"):
        if receipt[key]:
            shown.append(f"  {key.replace('_', ' ')}: {', '.join(_some(receipt[key]))}")
    return shown


def _some(texts: Iterable[str]) -> list[str]:
    found = list(texts)
    return found if len(found) <= SHOWN else [*found[:SHOWN], f"and {len(found) - SHOWN:,} more"]


def _spec(spec: dict[str, Any]) -> str:
    shape = "x".join("?" if size is None else str(size) for size in spec["shape"]) or "scalar"
    quantization = spec["quantization"]
    affine = (
        f", scale {quantization['scale'][0]:.6g}, zero point {quantization['zero_point'][0]}" if quantization else ""
    )
    return f"{spec['name']}: {shape} {spec['dtype']}{affine}"
