"""How an artifact compares with the server model, its layers with that one's, and with a twin that is made anew from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Self

from edgeship.bundle.metric import Count, Digest, Number
from edgeship.light_dataclass import dataclass


@dataclass(frozen=True)
class OutputParity:
    """How near one output of an artifact is to the server model's, over `n` samples, after dequantization.

    Errors are in the output's unit, `sqnr_db` within +-200. `agreement`: the share of `agreement_n` answers that are the same,
    with its 95 % interval; None for outputs that are no answers. `margins_reached`: the share of answers whose margin the error
    reaches, with the low end of its interval. `probabilities`: of classes, which are answers also where no labels say so.
    `bad`, `bad_server`: values that are NaN or infinite; with any, and for errors beyond all numbers, there are no figures and
    a `reason`. `whole`: the values are whole numbers. `server_span`: the server model's largest value less its smallest.
    `constant_sqnr_db`: what always the mean of its values would have; None where they are all the same. `constant_agreement`:
    with how many answers always the commonest one agrees.
    """

    reason: str
    n: Count = 0
    bad: Count = 0
    bad_server: Count = 0
    whole: bool = False
    max_abs_error: Number | None = None
    mean_abs_error: Number | None = None
    cosine: Number | None = None
    sqnr_db: Number | None = None
    agreement: Number | None = None
    agreement_low: Number | None = None
    agreement_high: Number | None = None
    agreement_n: Count | None = None
    margins_reached: Number | None = None
    margins_reached_low: Number | None = None
    probabilities: bool = False
    server_span: Number | None = None
    constant_sqnr_db: Number | None = None
    constant_agreement: Number | None = None


@dataclass(frozen=True)
class ClassAccuracy:
    """The accuracy of one class, as shares of its `n` samples, with the paired interval of the drop and its p-values."""

    label: Count
    drop: Number
    low: Number
    high: Number
    server: Number
    artifact: Number
    significant: bool
    n: Count = 0
    p: Number | None = None
    p_holm: Number | None = None


@dataclass(frozen=True)
class GroupAccuracy:
    """The metric of both models on the `n` samples of one `group`, as in `OutputAccuracy`."""

    group: str
    n: Count = 0
    value: Number | None = None
    server: Number | None = None
    drop: Number | None = None
    low: Number | None = None
    high: Number | None = None
    spread: Number | None = None
    reason: str = ""


@dataclass(frozen=True)
class SureFlips:
    """How many of the `n` answers that the server model is sure of are others, and their share with its 95 % interval.

    `at_least`: the share's low end of 99.87 %, which a FAIL takes.
    """

    n: Count
    flips: Count
    share: Number
    low: Number
    high: Number
    at_least: Number | None = None


@dataclass(frozen=True)
class FlippedSample:
    """A sample that the two models answer differently: its place in the data, and classes with their probabilities."""

    index: Count
    label: int
    server: int
    artifact: int
    server_confidence: Number
    artifact_confidence: Number | None = None


@dataclass(frozen=True)
class OutputAccuracy:
    """The task metric of one output of both models on the same `n` samples.

    `value` is the artifact's, `server` the server model's, `drop` is positive where the artifact is worse and has a paired
    95 % interval by `method`, `spread` as its standard error, and `at_least`, the low end of 99.87 % that a FAIL takes;
    `share`: figures are between 0 and 1. `disagreement`: the share of samples that score differently. `flips` are the first 200
    of `flips_total`. Without figures the `reason` says why. `why`: why that metric was taken, where nobody named it and it is
    not plain. `groups`: the same of parts of the samples.
    """

    metric: str = ""
    share: bool = False
    higher_is_better: bool = True
    n: Count = 0
    value: Number | None = None
    server: Number | None = None
    drop: Number | None = None
    low: Number | None = None
    high: Number | None = None
    spread: Number | None = None
    at_least: Number | None = None
    disagreement: Number | None = None
    ece: Number | None = None
    ece_server: Number | None = None
    flips_total: Count | None = None
    sure_flips: SureFlips | None = None
    per_class: tuple[ClassAccuracy, ...] = ()
    flips: tuple[FlippedSample, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str = ""
    method: str = ""
    why: str = ""
    groups: tuple[GroupAccuracy, ...] = ()


@dataclass(frozen=True)
class AccuracyReport(OutputAccuracy):
    """The comparison of the output that lost most, which tables show, and those of all labelled outputs by name."""

    output: str = ""
    outputs: Mapping[str, OutputAccuracy] = field(default_factory=dict)

    @classmethod
    def of_outputs(cls, outputs: Mapping[str, OutputAccuracy], worst: str) -> Self:
        """The report of all `outputs`, of which `worst` lost most."""
        worst_fields = {item.name: getattr(outputs[worst], item.name) for item in fields(OutputAccuracy)}
        return cls(**worst_fields, output=worst, outputs=outputs)


@dataclass(frozen=True)
class ServerAccuracy:
    """The server model's own figure on the evaluation data, of the output that is named; `outputs`: of all labelled ones."""

    metric: str = ""
    share: bool = False
    higher_is_better: bool = True
    n: Count = 0
    server: Number | None = None
    ece_server: Number | None = None
    output: str = ""
    reason: str = ""
    notes: tuple[str, ...] = ()
    why: str = ""
    outputs: Mapping[str, ServerAccuracy] = field(default_factory=dict)


@dataclass(frozen=True)
class ConstantAnswer:
    """The best answer to one output that is the same whatever the input, beside the server model's on the same `n` samples.

    `value` is its figure by the `metric`, `server` the server model's; `gain` is positive where the server model is better, with
    its paired 95 % interval, all in the metric's unit. `answer` says what it is, `label` its class where it is one.
    """

    metric: str
    answer: str
    share: bool = False
    higher_is_better: bool = True
    n: Count = 0
    label: Count | None = None
    value: Number | None = None
    server: Number | None = None
    gain: Number | None = None
    low: Number | None = None
    high: Number | None = None


@dataclass(frozen=True)
class FormatParity:
    """How near one artifact is to that of another format, by output."""

    artifact: str
    against: str
    parity: Mapping[str, OutputParity]


@dataclass(frozen=True)
class CandidateFigures:
    """The model's outputs with a trial file: worst SQNR (dB) and agreement, the metric's `value` and `drop`.

    `drop` is positive where the file is worse, in the metric's unit (`share`: 0 to 1); None without labels.

    `metric` and `share` as in `OutputAccuracy`, None without labels. `output`: the one that the metric, without labels the SQNR,
    is of; empty where it is not known. Where a file could not be made or run there is a
    `reason` and no figure; `runs`: it was made.
    """

    sqnr_db: Number | None = None
    agreement: Number | None = None
    value: Number | None = None
    drop: Number | None = None
    metric: str | None = None
    share: bool | None = None
    reason: str = ""
    runs: bool = True
    output: str = ""


@dataclass(frozen=True)
class LayerErrors:
    """What a layer costs: its own output in the quantized file against the float one, and the model's outputs.

    `only_layer_int8`: with nothing but this layer quantized; `only_layer_float`: with nothing but this layer left in float.
    `tensors` are its outputs in the quantized file. `in_float`: it is not quantized there, so that it costs nothing.
    """

    name: str
    operators: tuple[str, ...] = ()
    weight_bytes: Count = 0
    sqnr_db: Number | None = None
    mse: Number | None = None
    cosine: Number | None = None
    only_layer_int8: CandidateFigures = field(default_factory=CandidateFigures)
    only_layer_float: CandidateFigures = field(default_factory=CandidateFigures)
    tensors: tuple[str, ...] = ()
    in_float: bool = False


@dataclass(frozen=True)
class LayerSensitivity:
    """What each layer of an int8 artifact costs, over so many samples; `content` is the digest of what was examined."""

    artifact: str
    content: Digest
    samples: Count
    float32: CandidateFigures
    quantized: CandidateFigures
    layers: tuple[LayerErrors, ...] = ()


@dataclass(frozen=True)
class FileComparison:
    """What of two files is other than rounding explains: the `differences` in words, none where nothing is.

    `numbers` of the constants were compared; a `remark` says which could not be.
    """

    differences: tuple[str, ...] = ()
    numbers: Count = 0
    remark: str = ""


@dataclass(frozen=True)
class TwinComparison:
    """An artifact of that `content` beside its twin; `same`: they are equal bit for bit, and there is nothing more to say.

    `files` are their constants and operators. `sqnr_db`: the twin's own SQNR by output, on the evaluation data, where it is
    calibrated alike. Without a twin the `reason` says why.
    """

    content: Digest
    same: bool = False
    files: FileComparison = field(default_factory=FileComparison)
    sqnr_db: Mapping[str, Number] = field(default_factory=dict)
    reason: str = ""
