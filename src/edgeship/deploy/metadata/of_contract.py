"""What metadata say of a model, as far as its contract with the app is known and the schema has a place for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgeship.deploy.contract.contract import ContractOutput
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.steps import Affine, Grey, Resize, SwapRedBlue
from edgeship.deploy.metadata.description import InputDescription, ModelDescription, OutputDescription, Picture
from edgeship.errors import InputError

SHARES = ("softmax", "sigmoid")


def describe_model(
    name: str, names: Sequence[str], inputs: Sequence[ContractInput], outputs: Sequence[ContractOutput]
) -> tuple[ModelDescription, tuple[str, ...]]:
    """The description, and notes on what it does not say. `names` are the model's inputs, known from the contract or not."""
    known = {item.name: _describe_picture(item) for item in inputs}
    notes = tuple(f"input '{item}': {why}" for item, (_, why) in known.items() if why)
    told = (InputDescription(item, known[item][0] if item in known else None) for item in names)
    scores = (
        OutputDescription(item.name, _labels_of_scores(item), item.threshold, shares=item.activation in SHARES)
        for item in outputs
    )
    return ModelDescription(name, tuple(told), tuple(scores)), notes


def _labels_of_scores(item: ContractOutput) -> tuple[str, ...]:
    """A label for each score, as readers want them: one score with two labels is that of the second."""
    labels = item.labels or ()
    return labels[1:] if (item.shape[-1], len(labels)) == (1, 2) else labels


def _describe_picture(item: ContractInput) -> tuple[Picture | None, str]:
    """The picture that an input is, or why metadata do not say that it is one; (None, "") for other kinds."""
    if item.kind != "image":
        return None, ""
    size, affine = item.step(Resize), item.step(Affine)
    if size is None or affine is None or item.known.get("affine") == "unknown":
        return None, f"metadata do not say how bytes are scaled, which is not known: state it under [input.{item.name}]"
    if item.step(SwapRedBlue):
        return None, "metadata cannot say that blue comes first: let the model swap red and blue itself"
    if len(item.tensor.shape) != 4 or 0 in affine.multiply:
        return None, "metadata are for a tensor of 1 x height x width x channels"
    std = tuple(1 / factor for factor in affine.multiply)
    mean = tuple(0.0 - shift / factor for factor, shift in zip(affine.multiply, affine.add, strict=True))
    if len(set(std)) == len(set(mean)) == 1:
        std, mean = std[:1], mean[:1]
    colour = item.raw.colour or "rgb"
    note = "" if len(std) == 1 else "MediaPipe refuses a mean and std for each channel: let the model scale them itself"
    return Picture(size.height, size.width, colour, mean, std), note


def find_grey(inputs: Sequence[ContractInput]) -> str | None:
    """The input that three channels are made of; None where the model takes three already.

    Raises InputError where there is no picture, or several that are grey.
    """
    pictures = [item for item in inputs if item.kind == "image"]
    grey = [item.name for item in pictures if item.step(Grey)]
    if len(grey) == 1:
        return grey[0]
    if pictures and not grey:
        return None
    sizes = (
        f"'{item.name}' is {'x'.join('?' if size is None else str(size) for size in item.tensor.shape)}"
        for item in inputs
    )
    none = (
        f"no input that is known to be a picture ({', '.join(sizes)}); [input.NAME] may state one, of 1 or 3 channels"
    )
    told = "several grey pictures" if grey else none
    raise InputError(f'mobile = "rgb" makes three channels of one grey picture, and the model has {told}')


def with_three_channels(item: ContractInput) -> ContractInput:
    """A grey input as a file has it that makes one channel of three itself."""
    steps = tuple(step for step in item.steps if not isinstance(step, Grey))
    tensor = replace(item.tensor, shape=(*item.tensor.shape[:3], 3))
    return replace(item, raw=replace(item.raw, colour="rgb"), steps=steps, tensor=tensor)
