"""The steps that finish a `.tflite` for apps: what is known of its inputs and outputs is written into the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from edgeship.bundle import goldens, preprocessing
from edgeship.bundle.preprocessing import PictureInput
from edgeship.data import RepresentativeDataset
from edgeship.deploy.metadata import write
from edgeship.deploy.metadata.description import InputDescription, ModelDescription, OutputDescription, Picture
from edgeship.errors import InputError
from edgeship.formats.formats import FILES
from edgeship.pipeline.conversion.source import StepOutput
from edgeship.pipeline.step_queue import CachedStep, Inputs, StepRun
from edgeship.processes.executors import QUANTIZE
from edgeship.server_model.description import ServerModelDescription
from edgeship.settings.variants import Variant
from edgeship.storage.cache import Entry, versions
from edgeship.typed_json import convert
from edgeship.types import METADATA, Bridge, Step, ToolReport, to_json

FILE = FILES["tflite"]
TOOLS = ("ai-edge-litert", "flatbuffers")
Pictures = Mapping[str, PictureInput]


def metadata_step(
    variant: Variant, artifact: str, model: str, labels: tuple[str, ...], needs: tuple[str, str, str]
) -> CachedStep:
    """The step that finishes a `.tflite`; its value is a `StepOutput`. `model` is what the file says that it is called.

    `needs` are the steps of the file as it is, of its export, and of the pictures (`pictures_step`). Raises InputError, in the
    step, where three channels are asked for and the model takes no grey picture.
    """
    source, exported, pictures = needs

    def describe(inputs: Inputs) -> dict[str, Any]:
        server: ServerModelDescription = inputs[exported].description
        grey = _find_grey(server, inputs[pictures]) if variant.mobile == "rgb" else None
        return {"description": to_json(describe_model(model, server, inputs[pictures], labels, grey)), "as_rgb": grey}

    def make(run: StepRun, folder: Path) -> ToolReport:
        path = run.inputs[source].entry.path / FILE
        return run.executor.call(write.run, model=str(path), out_file=str(folder / FILE), **describe(run.inputs))

    def value(inputs: Inputs, entry: Entry) -> StepOutput:
        read: StepOutput = inputs[source]
        server: ServerModelDescription = inputs[exported].description
        grey = describe(inputs)["as_rgb"]
        scaling = {
            item["name"]: list(zip(item["picture"]["mean"], item["picture"]["std"], strict=True))
            for item in describe(inputs)["description"]["inputs"]
            if item["picture"]
        }
        names = {spec.name: spec.name for spec in (*server.inputs, *server.outputs)}
        recorded = Step(METADATA, read.entry.digest, {"as_rgb": grey, "pictures": scaling}, versions(*TOOLS))
        bridge = Bridge(names, three_channels=(grey,)) if grey else None
        return StepOutput(entry, (*read.steps, recorded), bridge=bridge)

    return CachedStep(
        name=f"metadata {artifact}",
        executors=QUANTIZE,
        needs=tuple(dict.fromkeys(needs)),
        kind="metadata",
        key=lambda inputs: {"source": inputs[source].entry.digest, "tools": versions(*TOOLS), **describe(inputs)},
        make=make,
        value=value,
        label=f"{artifact}: write metadata",
    )


def pictures_step(exported: str, data: RepresentativeDataset | None) -> CachedStep:
    """The step that looks which inputs are pictures, in some samples of the calibration data; its value is `Pictures`."""

    def make(run: StepRun, _: Path) -> Pictures:
        specs = run.inputs[exported].description.inputs
        return preprocessing.describe_pictures(specs, goldens.pick_samples(data, specs)) if data else {}

    def key(inputs: Inputs) -> dict[str, Any]:
        return {"inputs": to_json(inputs[exported].description.inputs), "data": data.digest if data else None}

    return CachedStep(
        name="pictures",
        executors=QUANTIZE,
        needs=(exported,),
        kind="pictures",
        key=key,
        make=make,
        value=lambda _, entry: convert(dict[str, PictureInput], entry.result),
    )


def describe_model(
    name: str, model: ServerModelDescription, pictures: Pictures, labels: tuple[str, ...], grey: str | None
) -> ModelDescription:
    """What a file says of a model: `grey` is the input that takes three channels in it.

    Labels are those of the outputs that have as many classes; a shape of another length has none.
    """
    inputs = (
        InputDescription(spec.name, _describe_picture(pictures[spec.name], rgb=spec.name == grey))
        if spec.name in pictures
        else InputDescription(spec.name)
        for spec in model.inputs
    )
    outputs = (
        OutputDescription(spec.name, labels if len(spec.shape) > 1 and spec.shape[-1] == len(labels) else ())
        for spec in model.outputs
    )
    return ModelDescription(name, tuple(inputs), tuple(outputs))


def _describe_picture(picture: PictureInput, *, rgb: bool) -> Picture:
    """A picture whose tensor is low + byte * (high - low) / 255, as (byte - mean) / std."""
    low, high = picture.range
    std = 255 / (high - low)
    colour: Literal["rgb", "grey"] = "rgb" if rgb or picture.channels == 3 else "grey"
    return Picture(picture.height, picture.width, colour, (0.0 - low * std,), (std,))


def _find_grey(model: ServerModelDescription, pictures: Pictures) -> str | None:
    """The input that three channels are made of; None where the model takes three already."""
    channels = {spec.name: pictures[spec.name].channels for spec in model.inputs if spec.name in pictures}
    grey = [item for item, count in channels.items() if count == 1]
    if len(grey) == 1:
        return grey[0]
    if channels and not grey:
        return None
    told = "several grey pictures" if grey else "no input that is known to be a picture (data of bytes shows it)"
    raise InputError(f'mobile = "rgb" makes three channels of one grey picture, and the model has {told}')
