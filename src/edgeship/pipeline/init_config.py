"""What `edgeship init` writes: a commented configuration with the model's own inputs, outputs and neighbouring data in it."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeship import untrusted
from edgeship.benchmarks.gate.budget import SQNR_FLOORS, Budget
from edgeship.errors import InputError
from edgeship.notices import print_notice
from edgeship.pipeline.run_settings.first_measurement import FirstMeasurement, measure_server_model
from edgeship.pipeline.run_settings.input_tables import input_lines, output_lines, read_stated_forms
from edgeship.processes.child import FunctionProcess
from edgeship.runtimes import registry
from edgeship.server_model import model_files, server_model
from edgeship.server_model.description import ServerModelDescription
from edgeship.settings import config, permissions, trust
from edgeship.settings.outputs import OutputForm
from edgeship.settings.sections import Benchmark, Data, Learning, Model
from edgeship.settings.variants import FOR_LITERT_JS, Variant
from edgeship.storage import atomic
from edgeship.toml_tables import describe_keys, toml_key, toml_value
from edgeship.types import TensorSpec
from edgeship.untrusted import parse_toml, printable

EVALUATION, MODEL_CARD = "evaluation.npz", "model-card.json"
USUAL_AGREEMENT = 0.98
LONGEST_LICENCE = 200
UNKNOWN_LICENCE = "see where it came from"  # what `edgeship train` says of a folder of the user's own
ABOVE_MEAN = 5.0  # dB: a third of the noise that always the mean of an output has
TEMPLATE = """\
# edgeship.toml for {name}: what `edgeship ship {name}` makes, measures and demands. All keys: docs/configuration.md.
#   inputs:  {inputs}
#   outputs: {outputs}

[model]
{custom_objects}
{signature}
{allow_unsafe}

[data]
# An .npz with one array per model input under the input's name, samples along the first axis; {labelled}.
#   numpy.savez("evaluation.npz", {arrays})
# A folder of .npz shards or package.module:attribute works too. Paths are relative to this file.
{calibration}
# {data[calibration_samples]}
{evaluation}
# {data[evaluation_samples]}
{train}
{validation}
{labels}
{license}

# One table per variant; float32, float16, int8, mobile, auto, dynamic_w8 and weight_only_w8 are known by name.
[variants.float32]

[variants.int8]
{variant[quantize]}
{variant[formats]}
# {variant[io]}
# {variant[calibration_method]}
# {variant[static_batch]}

# What apps take as it is, by Kotlin, Swift, C, MediaPipe and LiteRT.js: batch 1, float edges, labels and scaling in the file.
{mobile}
# {variant[mobile]}

[variants.weight_only_w8]
formats = ["tfjs"]

# LiteRT.js runs .tflite files in browsers; it takes a fixed batch and float at the edges only:
{litert_js}

# A variant's model can be trained further first, on the data that [data] names as train; [training] may set epochs,
# and teacher = 1.0 to learn the server model's answers in place of the labels.
# [variants.small-int8]
# quantize = "static_w8a8"
# {variant[prune]}
# {variant[cluster]}
# {variant[qat]}
# {variant[distill]}
# {variant[sparse_encoding]}

# What a device needs to teach the model's last layer (docs/learning/on-device.md):
# [learning]
# {learning[head_step]}
# {learning[replay_samples]}

{input_tables}

{output_tables}

[benchmark]
{benchmark[profile]}
# output = {output}
{metric}

# What the gate demands of every artifact. [budget."tflite/int8"] overrides it for one.
# Without labels: accuracy = "none", and one of min_agreement, max_abs_error and min_sqnr_db.
[budget]
{accuracy}
# {budget[max_drop]}
{floor}
# {budget[max_size_disk]}
# {budget[max_size_wire]}
# {budget[max_latency_ratio]}
# {budget[max_peak_memory]}
{min_agreement}
# {budget[max_abs_error]}
{min_sqnr_db}
{optional}
"""


def write_config(model: Path, target: Path | None, loading: dict[str, Any], *, force: bool) -> Path:
    """Write the file and return its path; `loading` is how the model is loaded (see `sections.Model`).

    What it lets run was given with this very command, so that the file is trusted (`edgeship.settings.trust`).

    Raises InputError where the file exists already or the model cannot be read.
    """
    path = target or model.parent / config.NAME
    if path.exists() and not force:
        raise InputError(f"{path}: exists already; --force replaces it")
    with FunctionProcess() as process, model_files.crash_as_input_error(model):
        description = process.call(server_model.describe, model=str(model), **loading)
        evaluation = model.parent / EVALUATION if config.is_usable_file(model.parent / EVALUATION) else None
        found = measure_server_model(process, model, evaluation, description, loading)
    try:
        content = _fill_template(model, path.parent, description, loading, found).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{printable(path)}: cannot name a file whose own name is no text; call it otherwise"
        ) from error
    with atomic.atomic_file(path) as draft:
        draft.write_bytes(content)
        config.Config.read(draft)
    grants = permissions.find_file_grants(parse_toml(content, path), path.parent)
    if grants and all(grant.value == loading.get(grant.key) for grant in grants):
        with contextlib.suppress(InputError):  # no place for the list: whoever uses the file is asked
            trust.trust_file(path, content)
    if found.unlabelled:
        print_notice(f"{printable(evaluation)}: no labels in it: the server model's own answers are the measure")
    return path


def _fill_template(
    model: Path,
    folder: Path,
    description: ServerModelDescription,
    loading: dict[str, Any],
    found: FirstMeasurement,
) -> str:
    def data(key: str, name: str) -> str:
        beside = model.parent / name
        value = toml_value(os.path.relpath(beside, folder))
        return f"{key} = {value}" if config.is_usable_file(beside) else f"# {key} = {toml_value(name)}"

    def loaded(key: str) -> str:
        return f"{key} = {toml_value(loading[key])}" if loading.get(key) else f"# {keys['model'][key]}"

    keys, stated = _key_lines(), read_stated_forms(model.parent / config.FORMS)
    single = len(description.outputs) == 1
    arrays = [spec.name for spec in description.inputs]
    labels = ["y"] if single else [f"y_{spec.name}" for spec in description.outputs]
    return TEMPLATE.format(
        name=printable(model.name),  # in a comment: a line end in it would begin a line of the file
        inputs=_describe_specs(description.inputs),
        outputs=_describe_specs(description.outputs),
        output=toml_value(description.outputs[0].name),
        labelled="y holds the labels" if single else "y_<output> holds the labels of an output",
        arrays=", ".join(f"{name}=..." for name in (*arrays, *labels)),
        custom_objects=loaded("custom_objects"),
        signature=loaded("signature"),
        allow_unsafe=loaded("allow_unsafe"),
        calibration=data("calibration", "calibration.npz"),
        evaluation=data("evaluation", EVALUATION),
        train=data("train", "train.npz"),
        validation=data("validation", "validation.npz"),
        labels=data("labels", "labels.txt"),
        license=_license_line(model.parent / MODEL_CARD, keys["data"]["license"]),
        output_tables=output_lines(stated, description.outputs, keys["scores"]["threshold"]),
        metric=_metric_lines(found, keys["benchmark"]["metric"], single=single),
        floor=_floor_line(found, keys["budget"]["min_server_accuracy"]),
        **_limit_lines(found, keys["budget"]),
        optional=_optional_line(),
        input_tables=input_lines(model.parent / "calibration.npz", description.inputs, stated),
        mobile=_mobile_line(description.inputs),
        litert_js="\n".join(f"# {line}".rstrip() for line in FOR_LITERT_JS.splitlines()),
        **keys,
    )


def _key_lines() -> dict[str, dict[str, str]]:
    """Every key with an example and its description, as a line of TOML, by section and name."""
    kinds = {
        "scores": OutputForm,
        "model": Model,
        "data": Data,
        "variant": Variant,
        "benchmark": Benchmark,
        "budget": Budget,
        "learning": Learning,
    }
    return {
        section: {key.name: f"{key.line:36} # {key.description}" for key in describe_keys(kind)}
        for section, kind in kinds.items()
    }


def _metric_lines(found: FirstMeasurement, example: str, *, single: bool) -> str:
    """The metric of each labelled output: other data could lead to another one, which floor and figures are not of."""
    if not found.outputs:
        return f"# {example}"
    reasons = {
        name: figures.why or "By what the labels are; docs/metrics.md lists the others."
        for name, figures in found.outputs.items()
    }
    if single:
        ((name, figures),) = found.outputs.items()
        return _with_comment("metric", figures.metric, reasons[name])
    lines = [_with_comment(name, figures.metric, reasons[name]) for name, figures in found.outputs.items()]
    return "\n".join(["", "[benchmark.metrics]", *lines])


def _limit_lines(found: FirstMeasurement, examples: Mapping[str, str]) -> dict[str, str]:
    """What outputs are held to: labels, or where the evaluation data has none the server model's own answers."""
    keys = ("accuracy", "min_agreement", "min_sqnr_db")
    lines = {key: examples[key] if key == "accuracy" else f"# {examples[key]}" for key in keys}
    if not found.unlabelled:
        return lines
    lines["accuracy"] = _with_comment("accuracy", "none", "There are no labels in the evaluation data.")
    if found.answers:
        return {**lines, "min_agreement": _agreement_line(examples["min_agreement"], found.constant_agreement)}
    return {**lines, "min_sqnr_db": _noise_line(found.constant_sqnr_db)}


def _agreement_line(example: str, constant: float) -> str:
    """The usual share of same answers, or one that always the commonest of them does not reach."""
    limit = math.ceil(1000 - 1000 * (1 - constant) / 4) / 1000  # a quarter of the rarer answers may be others
    if constant < USUAL_AGREEMENT or limit >= 1:
        return example
    comment = f"Same answers as the server model's: always the commonest has {constant:.3g}. More for stricter."
    return _with_comment("min_agreement", limit, comment)


def _noise_line(constant_sqnr_db: float) -> str:
    """What outputs that are no answers are held to: the floor of int8, or more where the mean alone comes near to it."""
    usual, above_mean = SQNR_FLOORS["static_w8a8"], math.ceil(constant_sqnr_db + ABOVE_MEAN)
    if above_mean <= usual:
        comment = "Signal over noise of every output in dB: what int8 is held to anyway. More for stricter, it lowers nothing."
        return _with_comment("min_sqnr_db", usual, comment)
    comment = f"Signal over noise of every output in dB: always the mean has {constant_sqnr_db:.1f}. More for stricter."
    return _with_comment("min_sqnr_db", float(above_mean), comment)


def _with_comment(key: str, value: Any, comment: str) -> str:
    """A line with a key that was measured; `comment` may hold what the data's maker wrote."""
    line = f"{toml_key(key)} = {toml_value(value)}"
    return f"{line:36} # {printable(comment)}"


def _floor_line(found: FirstMeasurement, example: str) -> str:
    """What the server model itself must reach; a comment where that is not known, or it reaches next to nothing."""
    if not found.floors:
        return f"# {example}"
    comment = f"What the server model itself must reach, by metric: it has {found.origin}."
    line = _with_comment("min_server_accuracy", found.floors, comment)
    return line if found.active else f"# {line}"


def _license_line(card: Path, example: str) -> str:
    """The licence of the data that `edgeship train` brought along, as the model's card names it; else a comment."""
    if config.is_usable_file(card):
        with contextlib.suppress(InputError), untrusted.damage_as_input_error(card):
            found = untrusted.read_json(card)["data"]["licence"]
            if isinstance(found, str) and found != UNKNOWN_LICENCE and 0 < len(found) <= LONGEST_LICENCE:
                return _with_comment("license", found, f"Of the data, as {card.name} says.")
    return f"# {example}"


def _mobile_line(inputs: Sequence[TensorSpec]) -> str:
    """The variant for apps; a comment where the model takes another number of samples at once, or some without a number."""
    line = "[variants.mobile]"
    return line if all(spec.shape and spec.shape[0] in (None, 1) for spec in inputs) else f"# {line}"


def _optional_line() -> str:
    """Without Node a TF.js artifact is made but cannot be run: the configuration then says so, for all to see."""
    reason = registry.for_format("tfjs")[0].unavailable_reason()
    if not reason:
        return '# optional = ["tfjs/*"]              # may ship unmeasured where its runtime is not installed'
    return f'optional = ["tfjs/*"]                # may ship unmeasured; here: {reason}'


def _describe_specs(specs: Sequence[TensorSpec]) -> str:
    shapes = ("x".join("?" if size is None else str(size) for size in spec.shape) for spec in specs)
    return ", ".join(f"{spec.name} {shape} {spec.dtype}" for spec, shape in zip(specs, shapes, strict=True))
