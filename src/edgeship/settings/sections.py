"""The sections of `edgeship.toml` but for variants, training and budget: how the model is loaded, its data, its measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Annotated

from msgspec import Meta

from edgeship.devices import profiles as devices
from edgeship.errors import unknown_name_error
from edgeship.light_dataclass import dataclass
from edgeship.recipes.quantization import DEFAULT_SAMPLES
from edgeship.storage import digest
from edgeship.toml_tables import Table
from edgeship.untrusted import is_code

PROFILES = ("rapid", "quick", "normal", "full")


@dataclass(frozen=True)
class Model(Table):
    """How the model is loaded."""

    custom_objects: Annotated[
        str | None,
        Meta(
            description="A module that registers the model's own layers; it is imported, so the file must be trusted.",
            examples=["package.module"],
        ),
    ] = None
    signature: Annotated[
        str | None, Meta(description="Which signature of a SavedModel.", examples=["serving_default"])
    ] = None
    allow_unsafe: Annotated[
        bool,
        Meta(
            description="Load Lambda layers: they run code of the model file, so this file must be trusted.",
            examples=[True],
        ),
    ] = False


Samples = Annotated[int, Meta(ge=1, title="a whole number, at least 1")]


@dataclass(frozen=True)
class Data(Table):
    """Where the data lies: an .npz file, a folder of them, or `package.module:attribute` (`edgeship.data`)."""

    calibration: Annotated[
        str | None,
        Meta(
            description="Shows the ranges of activations for int8: some hundred samples of the training data, no labels.",
            examples=["calibration.npz"],
        ),
    ] = None
    calibration_samples: Annotated[
        Samples | None,
        Meta(
            description=f"Spread evenly over that data; default: at most {DEFAULT_SAMPLES}.",
            examples=[200],
        ),
    ] = None
    train: Annotated[
        str | None,
        Meta(description="What a variant's model is trained further with, with labels.", examples=["train.npz"]),
    ] = None
    validation: Annotated[
        str | None,
        Meta(
            description="The best epoch is chosen on it; default: a part of `train` is held out.",
            examples=["validation.npz"],
        ),
    ] = None
    evaluation: Annotated[
        str | None,
        Meta(
            description="Decides whether an artifact may ship: labelled samples that the model has never seen.",
            examples=["evaluation.npz"],
        ),
    ] = None
    evaluation_samples: Annotated[
        Samples | None,
        Meta(description="Spread evenly over that data; default: all.", examples=[2000]),
    ] = None
    labels: Annotated[
        tuple[str, ...],
        Meta(
            title="a list of names, or a file with one name a line",
            description="What the classes are called in reports.",
            examples=[["cat", "dog"]],
        ),
    ] = ()
    license: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200)] | None,
        Meta(
            title="a name, as SPDX has it",
            description="The licence of all this data; the bundle's bill of materials (`edgeship bom`) names it.",
            examples=["CC-BY-4.0"],
        ),
    ] = None


@dataclass(frozen=True)
class Learning(Table):
    """What a bundle holds so that its model can learn on a device."""

    head_step: Annotated[
        bool,
        Meta(
            description="Add learning/: the model before its last Dense layer, a training step of that layer, and samples.",
            examples=[True],
        ),
    ] = False
    replay_samples: Annotated[
        Annotated[int, Meta(ge=16, le=65_536)],
        Meta(
            title="a whole number from 16 to 65536",
            description="Samples of train or calibration that travel along as features, to train with; and as many to judge by.",
            examples=[512],
        ),
    ] = 256


@dataclass(frozen=True)
class MetricChoice:
    """The metric of every output by name (`package.module:function` is one, too), and of some its own; None: by the labels.

    `digests`: of the sources of such functions, which figures depend on as on the data.
    """

    default: str | None = None
    by_output: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)

    def of_output(self, output: str) -> str | None:
        """The metric of an output; None where it follows from the labels."""
        return self.by_output.get(output, self.default)

    @property
    def names(self) -> tuple[str, ...]:
        """All metrics that are named."""
        return tuple(dict.fromkeys([*([self.default] if self.default else []), *self.by_output.values()]))


@dataclass(frozen=True)
class Benchmark(Table):
    """How it is measured."""

    profile: Annotated[
        str,
        Meta(
            title="rapid, quick, normal or full",
            description="How long each latency is taken: 6, 10, 60 or 600 s.",
        ),
    ] = "rapid"
    devices: Annotated[
        tuple[str, ...],
        Meta(
            description="Where artifacts are run: names that `edgeship devices` lists, or profiles in .toml files.",
            examples=[["host", "cortex-a72"]],
        ),
    ] = ("host",)
    runtimes: Annotated[
        tuple[str, ...],
        Meta(
            description="What runs them; default: the usual runtime of each format on each device.",
            examples=[["litert", "onnxruntime"]],
        ),
    ] = ()
    metric: Annotated[
        str | None,
        Meta(
            title="a metric (docs/metrics.md lists them), or `package.module:function`",
            description="Default: chosen from the labels. A function of your own takes (labels, outputs) and is imported.",
            examples=["f1"],
        ),
    ] = None
    metrics: Annotated[
        Mapping[str, str],
        Meta(
            title="a table of metrics by output",
            description="The metric of an output where several have their own; default: `metric`.",
            examples=[{"note": "f1"}],
        ),
    ] = field(default_factory=dict)
    output: Annotated[
        str | None,
        Meta(description="Which output the labels belong to; default: as their names say.", examples=["scores"]),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.profile not in PROFILES:
            raise unknown_name_error("profile", self.profile, PROFILES)
        for device in self.devices:
            devices.find_device(device)

    @property
    def metric_choice(self) -> MetricChoice:
        """The metrics of outputs. Raises InputError where the module of a function is not there."""
        choice = MetricChoice(self.metric, self.metrics)
        modules = {name: name.partition(":")[0] for name in choice.names if is_code(name)}
        return replace(choice, digests={name: digest.of_module(module) for name, module in modules.items()})
