"""A contract in a short table: what an app has in hand, what is done to it, and how each of that is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeship.deploy.contract.contract import Contract, ContractOutput, read_contract
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.steps import Affine, Frame, HashWords, Invert, Mono, Resize, SwapRedBlue
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import printable_value

SHOWN = 5  # labels, units or columns in a line
MOST_LINES = 200


@dataclass(frozen=True)
class ContractLine:
    """A line: the `tensor` that it is about (empty: the whole), the `fact`, its `value`, and how it is `known`, if it need be."""

    tensor: str
    fact: str
    value: str
    known: str = ""


def read_summary(root: Path) -> tuple[ContractLine, ...]:
    """The contract of a bundle in lines that may be shown; none where it has none. Raises InputError for a broken one."""
    contract = read_contract(root)
    lines: tuple[ContractLine, ...] = printable_value(summarize_contract(contract)) if contract else ()
    return lines


def summarize_contract(contract: Contract) -> tuple[ContractLine, ...]:
    """The contract in lines."""
    lines = [line for item in contract.inputs for line in _input_lines(item)]
    lines += [line for item in contract.outputs for line in _output_lines(item)]
    goldens = contract.goldens
    text = f"{goldens.samples} cases in {goldens.folder}" if goldens.cases else f"none: {goldens.reason}"
    return (*lines[:MOST_LINES], ContractLine("", "raw goldens", text))


def _input_lines(item: ContractInput) -> Iterator[ContractLine]:
    values = {"kind": f"{item.kind}, {item.raw.dtype}", "affine": _scale_text(item)}
    values |= _picture_values(item)
    if item.step(Frame) is not None:
        mono = ", mixed to one" if item.step(Mono) else ""
        values["channels"] = f"{item.raw.channels}{mono}"
    if item.raw.rate is not None:
        values["rate"] = f"{item.raw.rate:g} samples per second"
    if item.raw.units:
        values["units"] = _list_texts(item.raw.units)
    if item.raw.columns:
        values["columns"] = _list_texts([f"{column.name} ({column.kind})" for column in item.raw.columns])
    if hashing := item.step(HashWords):
        values |= {
            "column": item.raw.column or "",
            "words": f"the first {hashing.words}",
            "buckets": str(hashing.buckets),
        }
    for fact, value in values.items():
        if value:
            yield ContractLine(item.name, fact, value, item.known.get(fact, ""))
    for fact in item.known.keys() - values.keys():
        yield ContractLine(item.name, fact, "-", item.known[fact])


def _picture_values(item: ContractInput) -> dict[str, str]:
    resize, invert = item.step(Resize), item.step(Invert)
    if resize is None:
        return {}
    colour = (
        "grey" if item.raw.colour == "grey" else "blue, green, red" if item.step(SwapRedBlue) else "red, green, blue"
    )
    return {
        "colour": colour,
        "fit": f"{resize.fit}, {resize.height} x {resize.width}",
        "resampler": resize.resampler,
        "ground": f"{invert.ground}: others are inverted" if invert else "any",
        "border": "the mean of the outermost pixels" if resize.border == "rim" else str(resize.border),
    }


def _scale_text(item: ContractInput) -> str:
    affine = item.step(Affine)
    if affine is None:
        return ""
    factors, terms = (_list_texts([f"{number:.6g}" for number in numbers]) for numbers in (affine.multiply, affine.add))
    return f"value * {factors} + {terms}"


def _output_lines(item: ContractOutput) -> Iterator[ContractLine]:
    yield ContractLine(item.name, "activation", item.activation)
    if item.labels:
        yield ContractLine(item.name, "labels", _list_texts(item.labels))
    if item.threshold is not None:
        yield ContractLine(item.name, "threshold", f"{item.threshold:g}")


def _list_texts(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - SHOWN:,} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more
