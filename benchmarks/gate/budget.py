"""What an artifact may cost: the `[budget]` table of `edgeship.toml`, validated on construction."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import field
from fnmatch import fnmatchcase
from typing import Annotated, Any

from msgspec import Meta

from edgeship.benchmarks.gate.budget_values import PARSERS, PRESETS, UNJUDGED, parse_value
from edgeship.errors import InputError, unknown_name_error
from edgeship.formats.formats import FORMATS
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import SHOWN, printable

DEFAULT_PRESET = "mlperf99"
# What every plain conversion keeps: an artifact below it is another model, however well it scores. Rounding Gaussian
# weights to 8 bits over 9 deviations leaves 40 dB per layer (12 * (254 / 9)^2), and independent noise of 300 layers still
# 15 dB; calibrated activations are clipped as well and get more room. Of 32 Gaussian weights the largest is 2.4 deviations
# (root mean square), which as the eighth step of 4 bits leaves 21 dB per layer (12 * (8 / 2.4)^2) and, as the seventh, 20: of
# 30 layers 5 dB.
SQNR_FLOORS = {
    "float32": 60.0, "float16": 30.0, "static_w8a8": 10.0, "auto": 10.0, "dynamic_w8": 15.0, "weight_only_w8": 15.0,
    "dynamic_w4": 5.0, "weight_only_w4": 5.0,
}  # fmt: skip
# Of ids (class numbers, say) there is no noise to measure: the share that has to stay the same. Rounding turns near ties.
AGREEMENT_FLOORS = {
    "float32": 0.99,
    "float16": 0.98,
    "static_w8a8": 0.9,
    "auto": 0.9,
    "dynamic_w8": 0.9,
    "weight_only_w8": 0.9,
    "dynamic_w4": 0.8,
    "weight_only_w4": 0.8,
}
NO_LABELS = (
    "no labels in it, and the budget asks for accuracy: add an array y\n"
    'without labels: accuracy = "none" and min_agreement = 0.98 (or max_abs_error, min_sqnr_db) in [budget] of edgeship.toml'
)
NO_ANSWERS = (
    "min_agreement is set, but no output is a class or a decision: use max_abs_error or min_sqnr_db in its place"
)
SURE_FLIPS = 1.0  # percent; see `bundle.comparisons.SureFlips`


@dataclass(frozen=True)
class Budget:
    """The limits of a gate, read by `Budget.parse`; None is no limit. What each means stands beside it.

    overrides: the same keys for artifacts that match a pattern (`[budget."tflite/int8"]`), in the order of the file; of
    `for_artifact` those that hold for the artifact.
    """

    accuracy: Annotated[
        str | None,
        Meta(
            title='one of mlperf99.9, mlperf99, mlperf98, mlperf95, mlperf93, or "none"',
            description="Keeps that share of the server model's figure; default: mlperf99, or none with max_drop. "
            "Without labels: none, and one of min_agreement, max_abs_error and min_sqnr_db.",
            examples=["mlperf99"],
        ),
    ] = None
    max_drop: Annotated[
        float | None,
        Meta(
            title="a number of at least 0",
            description="How far the figure may drop: percentage points for shares, else the metric's unit.",
            examples=[0.5],
        ),
    ] = None
    min_server_accuracy: Annotated[
        float | Mapping[str, float] | None,
        Meta(
            title="numbers of at least 0 by metric, or one number",
            description="What the server model itself must reach, in the metric's unit; where lower is better, not exceed.",
            examples=[{"top1": 0.89}],
        ),
    ] = None
    max_class_drop: Annotated[
        float,
        Meta(
            title="a number between 0 and 100",
            description="Percentage points by which no class may surely fall.",
            examples=[5.0],
        ),
    ] = 10.0
    groups: Annotated[
        str | None,
        Meta(
            title="the name of an array in the evaluation data",
            description="It gives each sample's group, and each group is held to its margin.",
            examples=["site"],
        ),
    ] = None
    max_sure_flips: Annotated[
        float | None,
        Meta(
            title="a number between 0 and 100",
            description="Percent of the server model's sure answers that may turn into others; default: 1 without training.",
            examples=[0.5],
        ),
    ] = None
    max_size_disk: Annotated[
        int | None,
        Meta(title='a number of bytes, or text as "1.5 MB"', description="Size on disk.", examples=["1.5 MB"]),
    ] = None
    max_size_wire: Annotated[
        int | None,
        Meta(
            title='a number of bytes, or text as "400 kB"',
            description="Size as sent, packed by brotli.",
            examples=["400 kB"],
        ),
    ] = None
    max_latency_ratio: Annotated[
        float | None,
        Meta(
            title="a number above 0",
            description="To the latency of the float32 artifact of the same format and runtime.",
            examples=[1.0],
        ),
    ] = None
    max_peak_memory: Annotated[
        int | None,
        Meta(
            title='a number of bytes, or text as "200 MB"',
            description="The most memory that the worker process holds.",
            examples=["200 MB"],
        ),
    ] = None
    max_instructions: Annotated[
        int | None,
        Meta(
            title="a whole number, at least 1",
            description="Instructions per inference on every emulated device.",
            examples=[550000],
        ),
    ] = None
    max_instructions_ratio: Annotated[
        float | None,
        Meta(
            title="a number above 0",
            description="To the instructions of the float32 artifact of the same format on the same device.",
            examples=[0.6],
        ),
    ] = None
    min_agreement: Annotated[
        float | None,
        Meta(
            title="a number between 0 and 1",
            description="The share of samples with the same answer as the server model's.",
            examples=[0.98],
        ),
    ] = None
    max_abs_error: Annotated[
        float | None,
        Meta(
            title="a number of at least 0",
            description="The largest difference of an output's value from the server model's, in the output's unit.",
            examples=[0.1],
        ),
    ] = None
    min_sqnr_db: Annotated[
        float | None,
        Meta(
            title="a number between -200 and 200",
            description="Signal over noise of every output in dB, where that is above the recipe's floor (int8: 10); "
            'in [budget."tflite/int8"] it is in place of the floor and of what peers show.',
            examples=[20.0],
        ),
    ] = None
    required_devices: Annotated[
        tuple[str, ...],
        Meta(
            title="a list of devices",
            description="Devices that must have run all that they take.",
            examples=[["cortex-a72"]],
        ),
    ] = ()
    required: Annotated[
        tuple[str, ...],
        Meta(
            title="a list of artifacts",
            description="Artifacts that must be there and run, each by its whole name, or with a runtime as tflite/int8@litert.",
            examples=[["tflite/int8", "onnx/int8"]],
        ),
    ] = ()
    optional: Annotated[
        tuple[str, ...],
        Meta(
            title="a list of artifacts or patterns",
            description="Artifacts that may stay unjudged where no runtime for them is installed or they cannot be made; "
            "never counted as passed.",
            examples=[["tfjs/*"]],
        ),
    ] = ()
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def parse(cls, table: Mapping[str, Any], where: str = "edgeship.toml") -> Budget:
        """The budget of a `[budget]` table. Raises InputError naming the key, and for unknown keys the known ones."""
        if not isinstance(table, Mapping):
            raise InputError(f"{where} [budget]: {repr(table)[:SHOWN]} must be a table of limits")
        plain: dict[str, Any] = {}
        overrides: dict[str, dict[str, Any]] = {}
        for key, value in table.items():
            if key in PARSERS:
                plain[key] = parse_value(key, value, f"{where} [budget]")
            elif isinstance(value, Mapping) and "/" in key:
                overrides[key] = _parse_override(key, value, where)
            else:
                raise unknown_name_error(
                    "budget key", key, [*PARSERS, '[budget."format/variant"]'], f"{where} [budget]"
                )
        budget = cls(**plain, overrides=overrides)
        for name, limits in (
            ("[budget]", budget),
            *((f'[budget."{printable(key)}"]', budget.for_artifact(key)) for key in overrides),
        ):
            if not limits.judges_anything:
                raise InputError(
                    f'{where} {name}: accuracy = "none" leaves nothing to judge; '
                    "set max_drop, min_agreement, max_abs_error or min_sqnr_db"
                )
        if budget.groups and not budget.wants_accuracy:
            raise InputError(
                f'{where} [budget]: groups are held to a margin, and accuracy = "none" gives none: set max_drop'
            )
        return budget

    @property
    def wants_accuracy(self) -> bool:
        """Whether labels are needed, for any artifact: accuracy is asked for, or is all that outputs are judged by."""
        tables = [self, *(self.for_artifact(pattern) for pattern in self.overrides)]
        return any(
            table.judges_accuracy
            and (table.accuracy is not None or table.max_drop is not None or not table._limits_outputs)
            for table in tables
        )

    @property
    def judges_accuracy(self) -> bool:
        """Whether accuracy is judged where there are labels."""
        return self.accuracy != UNJUDGED or self.max_drop is not None

    @property
    def judges_anything(self) -> bool:
        """Whether any limit speaks about the outputs."""
        return self.judges_accuracy or self._limits_outputs

    @property
    def limits_agreement(self) -> bool:
        """Whether same answers are asked for, of any artifact."""
        return any(table.get("min_agreement") is not None for table in (vars(self), *self.overrides.values()))

    @property
    def _limits_outputs(self) -> bool:
        """Whether a limit is given that outputs are held to without labels."""
        return any(limit is not None for limit in (self.min_agreement, self.max_abs_error, self.min_sqnr_db))

    def for_artifact(self, artifact: str) -> Budget:
        """The limits for one artifact: every pattern that matches it applies, in the order of the file."""
        matching = {pattern: values for pattern, values in self.overrides.items() if fnmatchcase(artifact, pattern)}
        changes = {key: value for values in matching.values() for key, value in values.items()}
        return dataclasses.replace(self, overrides=matching, **changes)

    def is_optional(self, artifact: str) -> bool:
        """Whether an artifact may stay unjudged."""
        return any(fnmatchcase(artifact, pattern) for pattern in self.optional)

    def margin(self, server: float, share: bool) -> float | None:
        """The largest drop allowed, in the metric's unit (shares: 0 to 1), or None where accuracy is not judged."""
        preset = self.accuracy or (DEFAULT_PRESET if self.max_drop is None else UNJUDGED)
        margins = [PRESETS[preset] * abs(server)] if preset != UNJUDGED else []
        if self.max_drop is not None:
            margins.append(self.max_drop / 100 if share else self.max_drop)
        return min(margins, default=None)

    @property
    def floor_metrics(self) -> tuple[str, ...]:
        """The metrics that `min_server_accuracy` names."""
        return tuple(self.min_server_accuracy) if isinstance(self.min_server_accuracy, Mapping) else ()

    def server_floor(self, metric: str) -> float | None:
        """What the server model's figure of a metric must reach, None where nothing is said of it."""
        floor = self.min_server_accuracy
        return floor.get(metric) if isinstance(floor, Mapping) else floor

    def sqnr_floor(self, recipe: str | None) -> float | None:
        """The least SQNR of one artifact in dB: its recipe's, or a higher one of the budget; an override replaces it.

        None for models that were trained again, where the budget has none.
        """
        if self.replaces_sqnr_floor:
            return self.min_sqnr_db
        floors = [floor for floor in (self.min_sqnr_db, SQNR_FLOORS.get(recipe or "")) if floor is not None]
        return max(floors, default=None)

    @property
    def replaces_sqnr_floor(self) -> bool:
        """Whether `min_sqnr_db` is of an override for one artifact: one for all of them must not lower what each keeps."""
        return any("min_sqnr_db" in values for values in self.overrides.values())

    def sure_flips(self, recipe: str | None) -> float | None:
        """The most sure answers in percent that may flip, by default 1; None for models that were trained again."""
        return self.max_sure_flips if self.max_sure_flips is not None else SURE_FLIPS if recipe in SQNR_FLOORS else None


def _parse_override(pattern: str, table: Mapping[str, Any], where: str) -> dict[str, Any]:
    place = f'{where} [budget."{printable(pattern)}"]'
    head = pattern.partition("/")[0]
    if head not in FORMATS and not any(mark in head for mark in "*?["):
        raise unknown_name_error("format", head, FORMATS, place)
    keys = [key for key in PARSERS if key not in {"required", "optional", "min_server_accuracy", "groups"}]
    for key in table:
        if key not in keys:
            raise unknown_name_error("budget key", key, keys, place)
    return {key: parse_value(key, value, place) for key, value in table.items()}
