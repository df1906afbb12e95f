"""Receipts: open an artifact again after it was written, write down what it really holds, and check it.

Without TensorFlow: flatbuffer, protobuf and JSON are read as they are.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeship import untrusted
from edgeship.bundle.receipt import Receipt
from edgeship.errors import CheckError, InputError
from edgeship.formats import formats
from edgeship.formats.layer_names import LayerNames
from edgeship.light_dataclass import dataclass
from edgeship.server_model.description import ServerModelDescription
from edgeship.types import TensorSpec, to_json

# Converters fold, split and merge weights, and drop those no output needs; a model that lost them holds next to nothing.
LEAST_SHARE_OF_WEIGHTS = 0.5
# Below this many numbers in kernels, shapes and axes blur the count.
JUDGED_FROM = 256
# A full-integer model keeps most of its ops in int8; the rest are float islands and named.
LEAST_INT8_SHARE = 0.5
# Bytes that reading a `.tflite` may take in a process of its own, beside so many times the file's size.
MEMORY, MEMORY_TIMES = 2 << 30, 8


def read(path: str | Path, format: str | None = None, kernels: int = 0) -> Receipt:
    """The receipt of an artifact: names, dtypes, ops, weights, quantization, requirements.

    `format` is told from the path where it is not given. With the count of numbers in the server model's `kernels` (weights of
    two or more axes) the receipt also says which share of them it holds. Raises InputError for a file that is not a whole
    artifact.
    """
    place = Path(path)
    with untrusted.damage_as_input_error(place):
        return _read(place, format, kernels)


def read_apart(path: str, format: str) -> dict[str, Any]:
    """`read`, as JSON, of a stranger's file, for a process of its own.

    Raises InputError where a `.tflite` takes far more memory than it has bytes.

    Parts of a flatbuffer may be named again and again, names and lists of all kinds: each is unpacked as often.
    """
    place = Path(path)
    with contextlib.ExitStack() as stack:
        if format == "tflite" and place.is_file():
            stack.enter_context(_at_most(MEMORY + MEMORY_TIMES * place.stat().st_size))
        content: dict[str, Any] = to_json(read(path, format))
        return content


@contextlib.contextmanager
def _at_most(size: int) -> Iterator[None]:
    """Lets this process take so much more memory than it has, where the system counts it (Linux)."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (ImportError, OSError):
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    most = [pages * resource.getpagesize() + size, *(limit for limit in before if limit != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_AS, (min(most), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _read(place: Path, format: str | None, kernels: int) -> Receipt:
    if not place.exists():
        raise InputError(f"{untrusted.printable(place)}: no such file or folder")
    kind = format or format_of(place)
    receipt: Receipt = formats.import_function(formats.find(kind).receipt_reader)(place)
    for spec in (*receipt.inputs, *receipt.outputs):
        untrusted.count_elements(spec.shape, 1, f"{place}: '{spec.name}'")
    dynamic = bool(receipt.inputs) and all(spec.shape[0] is None for spec in receipt.inputs if spec.shape)
    share = round(receipt.weights.elements / kernels, 4) if kernels else None
    receipt = replace(receipt, dynamic_batch=dynamic, weights=replace(receipt.weights, share=share))
    json.dumps(to_json(receipt), allow_nan=False)  # names that are no text, numbers that are none
    return receipt


def format_of(path: Path) -> str:
    """The format of an artifact, by what lies there. Raises InputError where it is none of the known ones."""
    if found := formats.format_at(path):
        return found.name
    raise InputError(f"{untrusted.printable(path)}: neither a .tflite, an .onnx nor a TF.js folder with model.json")


@dataclass(frozen=True)
class ExpectedArtifact:
    """What an artifact should be: the server model's inputs and outputs in their order, and what was asked for.

    `io` is int8, float32, or auto, which leaves the inputs open; so many `float_operators` stayed float by choice.
    """

    model: ServerModelDescription
    variant: str = ""
    io: str | None = None
    allow_flex: bool = False
    opset: int | None = None
    sparse_encoding: bool = False
    float_operators: int = 0


def check(receipt: Receipt, expected: ExpectedArtifact) -> None:
    """Raise CheckError naming what is wrong with an artifact."""
    _check_weights(receipt, expected)
    for side, have, want in (
        ("input", receipt.inputs, expected.model.inputs),
        ("output", receipt.outputs, expected.model.outputs),
    ):
        io = "int8" if expected.io == "auto" and side == "output" else expected.io
        _check_border(receipt.format, side, have, want, io)
    if receipt.flex_ops and not expected.allow_flex:
        raise CheckError(f"holds Flex ops that nobody asked for: {', '.join(receipt.flex_ops)}")
    if receipt.custom_ops:
        raise CheckError(f"holds custom ops that no plain runtime has: {', '.join(receipt.custom_ops)}")
    if expected.opset and receipt.opset is not None and receipt.opset != expected.opset:
        raise CheckError(f"has opset {receipt.opset}, asked for was {expected.opset}")
    _check_variant(receipt, expected)


def _check_weights(receipt: Receipt, expected: ExpectedArtifact) -> None:
    if receipt.variable_ops:
        raise CheckError(
            f"holds variables instead of weights ({', '.join(receipt.variable_ops)}): the weights were lost, or the model "
            "changes a variable while it predicts, which a device file cannot"
        )
    stored, kernels = receipt.weights.elements, expected.model.kernel_elements
    if kernels >= JUDGED_FROM and stored < LEAST_SHARE_OF_WEIGHTS * kernels:
        raise CheckError(f"holds only {stored:,} numbers where the model's kernels have {kernels:,}: weights were lost")


def _check_border(
    format: str, side: str, specs: Sequence[TensorSpec], expected: Sequence[TensorSpec], io: str | None
) -> None:
    names, right = [item.name for item in specs], [item.name for item in expected]
    if names != right:
        raise CheckError(f"its {side}s are {', '.join(names)} in this order; the model has {', '.join(right)}")
    for have, want in zip(specs, expected, strict=True):
        allowed = _allowed_dtypes(format, want.dtype, io)
        if have.dtype not in allowed:
            raise CheckError(f"{side} '{have.name}' is {have.dtype}, asked for was {' or '.join(sorted(allowed))}")
        if len(have.shape) != len(want.shape) and have.shape:
            raise CheckError(f"{side} '{have.name}' has shape {list(have.shape)}, the model {list(want.shape)}")
        integer = have.dtype in ("int8", "uint8", "int16") and want.dtype == "float32"
        if integer and not have.quantization:
            raise CheckError(f"{side} '{have.name}' is {have.dtype} without scale and zero point")


def _allowed_dtypes(format: str, dtype: str, io: str | None) -> set[str]:
    found = formats.find(format)
    if dtype == "float32":
        kinds = {"int8": {"int8", "uint8"}, "auto": {"int8", "uint8", "float32"}} if found.quantizer else {}
        return kinds.get(io or "", {"float32"})
    return {dtype, found.integers or dtype}


def _check_variant(receipt: Receipt, expected: ExpectedArtifact) -> None:
    variant, kinds = expected.variant, receipt.weights.dtypes
    if variant == "int8" and _int8_share_but_for(expected.float_operators, receipt) < LEAST_INT8_SHARE:
        islands = "; ".join(receipt.float_islands[:3])
        names = [island.partition(": ")[2] for island in receipt.float_islands]
        known = LayerNames(expected.model.layers, names)
        raise CheckError(
            f"int8 was asked for, but only {receipt.int8_op_share:.0%} of its ops run in int8"
            + (f" (float: {islands})" if islands else "")
            + f": leave {receipt.format} out of the variant's formats, or make dynamic_w8 or float16 of it there"
        ).about(dict.fromkeys(layer for name in names for layer in known.layers_of(name)))
    if expected.sparse_encoding and not receipt.sparse_encoding:
        raise CheckError(
            "sparse_encoding was asked for, but no kernel is stored that way: TFLite does it where most values of a 1x1 "
            "convolution or a dense kernel are zero; prune more, as prune = 0.8, or leave sparse_encoding out"
        )
    if variant == "float16" and not kinds.get("float16"):
        raise CheckError("float16 was asked for, but it holds no float16 weight")
    if variant in ("dynamic_w8", "weight_only_w8") and not any(kinds.get(kind) for kind in ("int8", "uint8")):
        raise CheckError(f"{variant} was asked for, but it holds no 8-bit weight")
    if variant in ("dynamic_w4", "weight_only_w4") and not any(kinds.get(kind) for kind in ("int4", "uint4")):
        raise CheckError(f"{variant} was asked for, but it holds no 4-bit weight")


def _int8_share_but_for(chosen: int, receipt: Receipt) -> float:
    """The share of int8 among the operators that compute, without so many that stayed float by choice."""
    share, floats = receipt.int8_op_share, len(receipt.float_islands)
    if not 0 < share < 1:
        return share
    integers = round(share * floats / (1 - share))
    return integers / (integers + max(0, floats - chosen))
