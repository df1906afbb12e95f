"""The types that flow between the stages: frozen, validated on construction, never acting."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Self

from edgeship.light_dataclass import dataclass

PLAIN = frozenset((str, int, float, bool, type(None)))  # types whose values are JSON as they are


def check_type(name: str, value: object, *kinds: type) -> None:
    """Raise ValueError where a value is of none of these types; a truth value is no number."""
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ValueError(f"{name}: {type(value).__name__} is not {' or '.join(kind.__name__ for kind in kinds)}")


class Kind(StrEnum):
    """How a figure was obtained; never mixed in one column without its label (shared convention, measuring.md 2)."""

    MEASURED = "measured"
    EMULATED = "emulated"
    SIMULATED = "simulated"
    ESTIMATED = "estimated"


class Availability(StrEnum):
    """Why there is no value, for what is decided by it: a reason is for people and may say it in any words."""

    AVAILABLE = "available"
    NOT_RUN = "not_run"  # nothing was started: not installed, or the runtime does not take the artifact
    UNSTABLE = "unstable"  # the machine was too busy for times
    NO_DATA = "no_data"  # nothing to compare with: no evaluation data, labels or server model
    UNDEFINED = "undefined"  # the figure means nothing for this artifact, or could not be told from what was measured
    FAILED = "failed"  # it was started, and did not work


class Verdict(StrEnum):
    """What a check decided. Only PASS lets a model ship."""

    PASS = "PASS"  # noqa: S105  # no password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True)
class Quantization:
    """Affine quantization, real = scale * (q - zero_point); `axis` is None for per-tensor."""

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None = None

    def __post_init__(self) -> None:
        if not self.scale or len(self.scale) != len(self.zero_point):
            raise ValueError(f"need one zero point per scale, got {len(self.scale)} and {len(self.zero_point)}")
        if self.axis is None and len(self.scale) != 1:
            raise ValueError("per-tensor quantization has exactly one scale")
        for scale, zero_point in zip(self.scale, self.zero_point, strict=True):
            check_type("a scale", scale, Real)
            check_type("a zero point", zero_point, Integral)
            if not math.isfinite(scale):  # neither a number nor JSON
                raise ValueError(f"a scale is a finite number, not {scale}")
        check_type("an axis", self.axis, Integral, type(None))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(tuple(_list_member(data, "scale")), tuple(_list_member(data, "zero_point")), data["axis"])


@dataclass(frozen=True)
class TensorSpec:
    """A model's input or output: its name, shape (None for a dynamic axis) and numpy dtype name."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    quantization: Quantization | None = None

    def __post_init__(self) -> None:
        check_type("a tensor's name", self.name, str)
        if not self.name:
            raise ValueError("a tensor needs a name")
        check_type(f"{self.name}: dtype", self.dtype, str)
        for size in self.shape:
            check_type(f"{self.name}: an axis", size, Integral, type(None))
        if any(size is not None and size < 0 for size in self.shape):
            raise ValueError(f"{self.name}: a dynamic axis is None, not {self.shape}")
        axis = self.quantization.axis if self.quantization else None
        if axis is not None and self.shape and not 0 <= axis < len(self.shape):
            raise ValueError(f"{self.name}: has no axis {axis} to be quantized along")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        quantization = data.get("quantization")
        return cls(
            data["name"],
            tuple(_list_member(data, "shape")),
            data["dtype"],
            Quantization.from_json(quantization) if quantization else None,
        )


@dataclass(frozen=True)
class Step:
    """One transformation: its name, its recipe, the tools that did it and the digest of what it read."""

    name: str
    source: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value, kind in (
            ("name", self.name, str),
            ("source", self.source, str),
            ("recipe", self.recipe, Mapping),
            ("tools", self.tools, Mapping),
        ):
            check_type(f"a step's {name}", value, kind)


METADATA = "metadata"  # the name of the step that writes what an app must know into a file, and computes nothing


def last_computing_step(steps: Sequence[Step]) -> Step:
    """The last of some steps that made another computation of it: its recipe is the artifact's."""
    return [step for step in steps if step.name != METADATA][-1]


@dataclass(frozen=True)
class ToolReport:
    """What a tool tells that wrote a file: the versions of what did the work, notes for people, and what it left float by choice.

    `float_operators`: the names of operators that int8 would have ruined.
    """

    tools: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    float_operators: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bridge:
    """How a file that somebody else made has the server model's tensors.

    `names`: the file's names by the server model's; an output that is not among them is not looked at. `channels_first`: the
    server model's names of those that lie in the file as (N, C, ...) and in the server model as (N, ..., C). `three_channels`:
    the inputs whose one channel the file takes three times.
    """

    names: Mapping[str, str]
    channels_first: tuple[str, ...] = ()
    three_channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Artifact:
    """A model on disk (a file, or the folder of a TF.js model) and how it came to be; `bridge`: where its tensors are others."""

    path: Path
    format: str
    variant: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    steps: tuple[Step, ...] = ()
    bridge: Bridge | None = None

    def __post_init__(self) -> None:
        check_type("a variant", self.variant, str)
        check_type("a format", self.format, str)

    @property
    def id(self) -> str:
        """What the artifact is called in tables, budgets and manifests, as `tflite/int8`."""
        return f"{self.format}/{self.variant}"

    @classmethod
    def from_json(cls, data: Mapping[str, Any], root: Path) -> Self:
        """The inverse of `to_json`; `root` is the folder that the recorded path is relative to."""
        return cls(
            root / data["path"],
            data["format"],
            data["variant"],
            tuple(map(TensorSpec.from_json, _list_member(data, "inputs"))),
            tuple(map(TensorSpec.from_json, _list_member(data, "outputs"))),
            tuple(Step(**step) for step in _list_member(data, "steps")),
        )


def _list_member(data: Mapping[str, Any], key: str) -> list[Any]:
    """A list of a JSON object. Raises ValueError where it is something else: a text would be taken for its letters."""
    value: list[Any] = data[key]
    check_type(key, value, list, tuple)
    return value


def to_json(value: Any) -> Any:
    """Dataclasses, tuples, enums and paths as plain JSON values."""
    if type(value) in PLAIN:  # most values are; asking for a dataclass takes ten times as long
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_json(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, Path):
        return value.as_posix()
    return str(value) if isinstance(value, StrEnum) else value


def drop_missing(value: Any) -> Any:
    """A JSON value without keys that hold null."""
    if isinstance(value, dict):
        return {key: drop_missing(item) for key, item in value.items() if item is not None}
    return [drop_missing(item) for item in value] if isinstance(value, list) else value
