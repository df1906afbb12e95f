"""A sample that has arrived: whether it is of a bundle that is known, of a week that can be, and of that bundle's tensors.

Its bytes are a line of JSON and the numbers of its tensors, little-endian, one after the other in the order of their names. How
many there must be is known before they are looked at: nothing in them can unpack to more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from math import prod
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from edgeship import typed_json
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.inbox.arrival import RefusedReport, check_window
from edgeship.monitoring.inbox.samples.form import NUMBERS, SampleForm, TensorOfSample
from edgeship.monitoring.reports.read import NAMES
from edgeship.monitoring.reports.report import ARTIFACT, MOST_TENSORS, PSEUDONYM, Digest
from edgeship.monitoring.reports.windows import WINDOW
from edgeship.untrusted import parse_json, printable

MOST_HEADER_BYTES = 8 << 10
MOST_AXES = 16
RANDOM, MARGIN = "random", "margin"
REASONS = ("invalid", "window", "unknown", "tensors", "quota")
Array = np.ndarray[Any, Any]


class SampleTensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tensor of a sample: with or without the batch's axis of 1."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    dtype: Annotated[str, Meta(max_length=20)]
    shape: Annotated[tuple[Annotated[int, Meta(ge=1, le=2**31 - 1)], ...], Meta(max_length=MOST_AXES)]


class Sample(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="edgeship-sample", kw_only=True
):
    """The header of a sample. `user`: a pseudonym, of a month, that is not that of reports. `picked`: how it was.

    `predicted`: the class that the artifact said, `margin`: the difference of its two highest probabilities. The others: as in
    a report.
    """

    schema: Literal[1]
    window: Annotated[str, Meta(pattern=WINDOW)]
    user: Annotated[str, Meta(pattern=PSEUDONYM)]
    profile: Digest
    bundle: Digest | None
    artifact: Annotated[str, Meta(pattern=ARTIFACT)]
    content: Digest
    picked: Literal["random", "margin"]
    predicted: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    margin: Annotated[float, Meta(ge=0, le=1)]
    inputs: Annotated[tuple[SampleTensor, ...], Meta(max_length=MOST_TENSORS)]


@dataclass(frozen=True)
class ArrivedSample:
    """A sample that was checked; `name`: 32 digits of the sha256 of its bytes. `tensors`: by input, without a batch axis."""

    name: str
    header: Sample
    tensors: Mapping[str, Array]


class RefusedSampleError(InputError):
    """A sample that is not kept; `reason`: one of `REASONS`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


_DECODE = msgspec.json.Decoder(Sample).decode


def check_sample(body: bytes, forms: Mapping[str, SampleForm], received: int) -> ArrivedSample:
    """What is kept of a sample that arrived at `received` (seconds since 1970). `forms`: of known bundles, by profile.

    Raises RefusedSampleError for what is no sample, of a week more than 35 days off, of an unknown bundle, or of other tensors
    than its contract's.
    """
    line, _, content = body.partition(b"\n")
    header = _read_header(line)
    try:
        check_window(header.window, received // 86_400, "sample")
    except RefusedReport as error:
        raise RefusedSampleError(error.reason, str(error)) from error
    except InputError as error:  # no week of the calendar
        raise RefusedSampleError("invalid", str(error)) from error
    form = _find_form(header, forms)
    tensors = _read_tensors(header.inputs, form.inputs, content)
    return ArrivedSample(hashlib.sha256(body).hexdigest()[:32], header, tensors)


def _read_header(line: bytes) -> Sample:
    if len(line) > MOST_HEADER_BYTES:
        raise RefusedSampleError("invalid", f"the sample's first line has more than {MOST_HEADER_BYTES:,} bytes")
    try:
        return _DECODE(line)
    except msgspec.ValidationError as error:
        try:
            value = parse_json(line, "the sample")
        except InputError as other:
            raise RefusedSampleError("invalid", str(other)) from error
        text = typed_json.describe_error(error, Sample, value, NAMES)
        raise RefusedSampleError("invalid", f"the sample: {text}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedSampleError(
            "invalid", f"the sample's first line is not JSON ({printable(error)[:100]})"
        ) from error


def _find_form(header: Sample, forms: Mapping[str, SampleForm]) -> SampleForm:
    form = forms.get(header.profile)
    if form is None:
        raise RefusedSampleError("unknown", f"the sample is of a profile that is not known here, {header.profile[:16]}")
    if header.bundle is not None and form.manifests and header.bundle not in form.manifests:
        raise RefusedSampleError("unknown", f"the sample is of a bundle that is not known here, {header.bundle[:16]}")
    if form.profile.artifacts.get(header.artifact) != header.content:
        raise RefusedSampleError(
            "unknown", f"the sample is of an artifact that the bundle has not, {header.artifact[:40]}"
        )
    first = form.profile.first_classes
    if first is None or header.predicted >= first.classes:
        raise RefusedSampleError("invalid", f"the sample's class {header.predicted} is none of the model's")
    return form


def _read_tensors(named: Sequence[SampleTensor], known: Sequence[TensorOfSample], content: bytes) -> dict[str, Array]:
    if [item.name for item in named] != [item.name for item in known]:
        expected = ", ".join(item.name for item in known)
        raise RefusedSampleError("tensors", f"the sample's tensors must be {printable(expected)[:200]}, in that order")
    sizes = []
    for item, expected_form in zip(named, known, strict=True):
        _check_tensor(item, expected_form)
        sizes.append(prod(item.shape) * NUMBERS[item.dtype])
    if sum(sizes) != len(content):
        raise RefusedSampleError(
            "tensors", f"the sample has {len(content):,} bytes of numbers, by its shapes they are {sum(sizes):,}"
        )
    tensors, start = {}, 0
    for item, form, size in zip(named, known, sizes, strict=True):
        values = np.frombuffer(content, np.dtype(item.dtype).newbyteorder("<"), prod(item.shape), start)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise RefusedSampleError(
                "tensors", f"the sample's '{printable(item.name)[:60]}' has numbers that are not finite"
            )
        tail = item.shape[len(item.shape) - len(form.shape) :]
        tensors[item.name] = values.astype(item.dtype).reshape(tail)
        start += size
    return tensors


def _check_tensor(item: SampleTensor, form: TensorOfSample) -> None:
    where = f"the sample's '{printable(item.name)[:60]}'"
    if item.dtype not in form.dtypes:
        raise RefusedSampleError(
            "tensors", f"{where} must be {' or '.join(form.dtypes)}, not {printable(item.dtype)!r}"
        )
    shape = item.shape[1:] if len(item.shape) == len(form.shape) + 1 and item.shape[0] == 1 else item.shape
    fits = len(shape) == len(form.shape) and all(
        own is None or own == size for own, size in zip(form.shape, shape, strict=True)
    )
    if not fits:
        expected = "x".join("?" if size is None else str(size) for size in form.shape) or "one number"
        raise RefusedSampleError("tensors", f"{where} must be of the shape {expected}, not {list(item.shape)}")
