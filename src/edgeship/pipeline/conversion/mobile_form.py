"""The steps that finish a `.tflite` for apps: what is known of its inputs and outputs is written into the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.bundle import goldens
from edgeship.data import RepresentativeDataset
from edgeship.deploy.contract import build, describe
from edgeship.deploy.contract.contract import Contract, ContractOutput, RawGoldens, contract_json
from edgeship.deploy.contract.inputs import ContractInput
from edgeship.deploy.contract.names import name_contract
from edgeship.deploy.metadata import of_contract, write
from edgeship.formats import formats
from edgeship.pipeline.conversion.source import ModelSource, StepOutput
from edgeship.pipeline.step_queue import CachedStep, Inputs, StepRun
from edgeship.processes.executors import QUANTIZE
from edgeship.server_model.description import ServerModelDescription
from edgeship.settings.config import Config
from edgeship.settings.variants import Variant
from edgeship.storage.cache import Entry, versions
from edgeship.typed_json import convert
from edgeship.types import METADATA, Bridge, Step, ToolReport, to_json

TFLITE = formats.find("tflite")
TOOLS = ("ai-edge-litert", "flatbuffers")
IN_BUNDLE = "goldens lie beside the contract of the bundle that this file comes from"


def metadata_step(variant: Variant, model: ModelSource, config: Config, needs: tuple[str, str, str]) -> CachedStep:
    """The step that finishes a `.tflite`; its value is a `StepOutput`.

    `needs` are the steps of the file as it is, of its export, and of the contract's inputs (`inputs_step`). Raises InputError, in
    the step, where three channels are asked for and the model takes no grey picture.
    """
    source, exported, described = needs
    artifact = f"tflite/{variant.name}"

    def arguments(inputs: Inputs) -> dict[str, Any]:
        return _describe(variant, model, config, inputs[exported].description, inputs[described])

    def make(run: StepRun, folder: Path) -> ToolReport:
        path, out_file = run.inputs[source].entry.path / TFLITE.file, folder / TFLITE.file
        return run.executor.call(write.run, model=str(path), out_file=str(out_file), **arguments(run.inputs))

    def value(inputs: Inputs, entry: Entry) -> StepOutput:
        return _record(inputs[source], entry, inputs[exported].description, arguments(inputs))

    return CachedStep(
        name=f"metadata {artifact}",
        executors=QUANTIZE,
        needs=tuple(dict.fromkeys(needs)),
        kind="metadata",
        key=lambda inputs: {"source": inputs[source].entry.digest, "tools": versions(*TOOLS), **arguments(inputs)},
        make=make,
        value=value,
        label=f"{artifact}: write metadata",
    )


def _describe(
    variant: Variant,
    model: ModelSource,
    config: Config,
    server: ServerModelDescription,
    described: Sequence[ContractInput],
) -> dict[str, Any]:
    """What `write.run` is told of a model."""
    grey = of_contract.find_grey(described) if variant.mobile == "rgb" else None
    known = [of_contract.with_three_channels(item) if item.name == grey else item for item in described]
    outputs = _describe_outputs(server, config)
    name = name_contract(Path("/", model.path.name))  # wherever it lies: the same file of the same model
    names = [spec.name for spec in server.inputs]
    description, notes = of_contract.describe_model(name, names, known, outputs)
    contract = ""
    if known:
        whole = Contract(name, model.digest, tuple(known), outputs, (), RawGoldens(reason=IN_BUNDLE))
        contract = contract_json(whole)
    return {"description": to_json(description), "contract": contract, "as_rgb": grey, "notes": list(notes)}


def _record(read: StepOutput, entry: Entry, server: ServerModelDescription, written: Mapping[str, Any]) -> StepOutput:
    """The finished artifact: what was written into what was read."""
    grey = written["as_rgb"]
    pictures = {item["name"]: item["picture"] for item in written["description"]["inputs"] if item["picture"]}
    recorded = Step(METADATA, read.entry.digest, {"as_rgb": grey, "pictures": pictures}, versions(*TOOLS))
    names = {spec.name: spec.name for spec in (*server.inputs, *server.outputs)}
    bridge = Bridge(names, three_channels=(grey,)) if grey else None
    return StepOutput(entry, (*read.steps, recorded), bridge=bridge)


def inputs_step(exported: str, data: RepresentativeDataset | None, config: Config) -> CachedStep:
    """The step that describes the inputs as the bundle's contract does; its value is a list, empty without data."""

    def make(run: StepRun, _: Path) -> Any:
        import msgspec

        specs = run.inputs[exported].description.inputs
        samples = goldens.pick_samples(data, specs) if data else {}
        found = describe.describe_inputs(specs, samples, config.input, source=config.source) if data else ()
        return msgspec.to_builtins(found)

    def key(inputs: Inputs) -> dict[str, Any]:
        specs = to_json(inputs[exported].description.inputs)
        return {"inputs": specs, "data": data.digest if data else None, "stated": to_json(config.input)}

    return CachedStep(
        name="contract inputs",
        executors=QUANTIZE,
        needs=(exported,),
        kind="contract-inputs",
        key=key,
        make=make,
        value=lambda _, entry: convert(list[ContractInput], entry.result),
    )


def _describe_outputs(server: ServerModelDescription, config: Config) -> tuple[ContractOutput, ...]:
    """The outputs as the bundle's contract has them, but for what only the server model's answers tell of them."""
    unseen = {spec.name: np.zeros(0) for spec in server.outputs}
    labels, chosen = config.data.labels, config.benchmark.output
    return build.describe_outputs(server.outputs, server.activations, labels, chosen, unseen, config.output)
