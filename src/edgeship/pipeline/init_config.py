"""What `edgeship init` writes: a commented configuration with the model's own inputs, outputs and neighbouring data in it."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from edgeship.errors import InputError
from edgeship.processes.child import FunctionProcess
from edgeship.runtimes import registry
from edgeship.server_model import model_files
from edgeship.settings import config, permissions, trust
from edgeship.settings.variants import FOR_LITERT_JS
from edgeship.storage import atomic
from edgeship.untrusted import parse_toml, printable

TEMPLATE = """\
# edgeship.toml for {name}: what `edgeship ship {name}` makes, measures and demands.
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
# calibration_samples = 200            # spread evenly over the data; default: at most 500
{evaluation}
# evaluation_samples = 2000            # default: all
{train}
{validation}
{labels}

# One table per variant. quantize: float32, float16, static_w8a8 (full integer), dynamic_w8, weight_only_w8, or auto:
# full integer, but for the fewest layers that the gate needs in higher precision.
# formats: tflite, onnx, tfjs. A pair without meaning (TF.js has no int8 inference) is refused.
[variants.float32]

[variants.int8]
quantize = "static_w8a8"
formats = ["tflite", "onnx"]
io = "int8"                            # or "float32": int8 inside, float at the edges (.tflite)
# calibration_method = "percentile"    # ranges: min-max (default), moving-average, percentile, entropy or mse
# static_batch = true                  # batch 1 for ever (.tflite); 64: for pages that run many samples

[variants.weight_only_w8]
formats = ["tfjs"]

# LiteRT.js runs .tflite files in browsers; it takes a fixed batch and float at the edges only:
{litert_js}

# A variant's model can be trained further first, on the data that [data] names as train; [training] may set epochs,
# and teacher = 1.0 to learn the server model's answers in place of the labels.
# [variants.small-int8]
# quantize = "static_w8a8"
# prune = 0.7                          # share of zeros; or {{ sparsity = 0.5, pattern = "2:4", layers = ["conv*"] }}
# cluster = 16                         # at most so many different values in a kernel
# qat = true                           # quantization-aware training
# distill = 0.5                        # teach a model of half the width; or {{ student = "client.keras" }}
# sparse_encoding = true               # of a float32 .tflite: kernels without their zeros

[benchmark]
profile = "rapid"                      # rapid 6 s, quick 10 s, normal 60 s, full 600 s a measurement
# metric = "top1"                      # default: chosen from the labels
# output = "{output}"                  # which output the labels belong to

# What the gate demands of every artifact. [budget."tflite/int8"] overrides it for one.
[budget]
accuracy = "mlperf99"                  # keeps 99 % of the server model's figure; or max_drop = 0.5 (points)
# min_server_accuracy = 0.89           # guards against a baseline that is already broken
# max_size_disk = "1.5 MB"
# max_size_wire = "400 kB"             # brotli
# max_latency_ratio = 1.0              # to the float32 artifact of the same format
# max_peak_memory = "200 MB"
# min_agreement = 0.98                 # same answer as the server model
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
        described = process.call("edgeship.server_model.server_model:describe", model=str(model), **loading)
    try:
        content = _fill(model, path.parent, described, loading).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{printable(path)}: cannot name a file whose own name is no text; call it otherwise"
        ) from error
    with atomic.atomic_file(path) as draft:
        draft.write_bytes(content)
        config.Config.read(draft)
    grants = permissions.of_file(parse_toml(content, path), path.parent)
    if grants and all(grant.value == loading.get(grant.key) for grant in grants):
        with contextlib.suppress(InputError):  # no place for the list: whoever uses the file is asked
            trust.record(path, content)
    return path


def _fill(model: Path, folder: Path, described: dict[str, Any], loading: dict[str, Any]) -> str:
    def data(key: str, name: str) -> str:
        beside = model.parent / name
        value = _quoted(os.path.relpath(beside, folder))
        return f"{key} = {value}" if config.lies_there(beside) else f"# {key} = {json.dumps(name)}"

    def given(key: str, example: str) -> str:
        return f"{key} = {_quoted(loading[key])}" if loading.get(key) else f"# {key} = {example}"

    single = len(described["outputs"]) == 1
    arrays = [spec["name"] for spec in described["inputs"]]
    labels = ["y"] if single else [f"y_{spec['name']}" for spec in described["outputs"]]
    return TEMPLATE.format(
        name=printable(model.name),  # in a comment: a line end in it would begin a line of the file
        inputs=_specs(described["inputs"]),
        outputs=_specs(described["outputs"]),
        output=described["outputs"][0]["name"],
        labelled="y holds the labels" if single else "y_<output> holds the labels of an output",
        arrays=", ".join(f"{name}=..." for name in (*arrays, *labels)),
        custom_objects=given("custom_objects", '"package.module"'),
        signature=given("signature", '"serving_default"        # which signature of a SavedModel'),
        allow_unsafe=given(
            "allow_unsafe", "true                   # load Lambda layers: they run code of the model file"
        ),
        calibration=data("calibration", "calibration.npz"),
        evaluation=data("evaluation", "evaluation.npz"),
        train=data("train", "train.npz"),
        validation=data("validation", "validation.npz"),
        labels=data("labels", "labels.txt"),
        optional=_optional(),
        litert_js="\n".join(f"# {line}".rstrip() for line in FOR_LITERT_JS.splitlines()),
    )


def _quoted(value: str | bool) -> str:
    """A text or flag as TOML has it, which takes neither JSON's pairs of surrogates nor a bare DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _optional() -> str:
    """Without Node a TF.js artifact is made but cannot be run: the configuration then says so, for all to see."""
    reason = registry.for_format("tfjs")[0].unavailable()
    if not reason:
        return '# optional = ["tfjs/*"]              # may ship unmeasured where its runtime is not installed'
    return f'optional = ["tfjs/*"]                # may ship unmeasured; here: {reason}'


def _specs(specs: list[dict[str, Any]]) -> str:
    shapes = ("x".join("?" if size is None else str(size) for size in spec["shape"]) for spec in specs)
    return ", ".join(f"{spec['name']} {shape} {spec['dtype']}" for spec, shape in zip(specs, shapes, strict=True))
