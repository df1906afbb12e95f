"""What a generated client teaches: the head of the bundle's `learning/`, as plain files and constants for code of its own.

`head/` beside the model holds `base.tflite`, `shipped.bin` (weights, bias) and `replay.bin` (features as bytes and targets, of
the samples that are trained with and of those that judge), little endian. With them go the goldens of a self-test: features,
and lessons that must end as they do in `edgeship.client.learning`.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeship.bundle.head_learning import FILE, FOLDER, HeadLearning, LearningBase
from edgeship.client.learning.arithmetic import Array, apply_activation, compute_scores
from edgeship.client.learning.package import Package, open_package, read_file
from edgeship.client.outcome import ClientError
from edgeship.deploy.codegen.edges import DTYPES, ClientOutput, Edge
from edgeship.deploy.codegen.lessons import Lesson, make_lessons, spread_of
from edgeship.errors import InputError
from edgeship.formats import flatbuffer
from edgeship.light_dataclass import dataclass
from edgeship.types import TensorSpec, to_json
from edgeship.untrusted import damage_as_input_error, place_within, printable

HEAD = "head"  # the folder in a client
BASE, SHIPPED, REPLAY = "base.tflite", "shipped.bin", "replay.bin"
GOLDEN_FEATURES, GOLDEN_SAMPLES, GOLDEN_BAD, GOLDEN_HEADS = (
    f"learning.{name}" for name in ("features", "samples", "bad", "heads")
)
# What features may be off on other right kernels, as a share of their range: as `edgeship verify` allows of answers.
LOOSE = {"float32": 1e-3}
LOOSE_INTEGERS = 0.1


@dataclass(frozen=True)
class HeadFile:
    """A file in `head/`: its bytes, and its CRC-32."""

    name: str
    size: int
    checksum: int


@dataclass(frozen=True)
class Learning:
    """A head that a client teaches; `files` are what `head/` holds, `goldens` what the self-test reads.

    `activation` is what scores go through where they are learned, `answers` what they go through to be the model's own output
    (`linear` where the model gives logits). `place`: of that output among the client's. `inputs`: edges of the base, in the
    order of the client's inputs; `output`: of its features, off by at most `tolerance` on a right device. A stored feature is
    byte * `scale` + `offset`, in float32; `replay` and `guard` are counts. `digest`: of `learning.json`. `package`: the files of
    `learning/` itself that a client needs which reads those.
    """

    digest: str
    features: int
    outputs: int
    activation: str
    answers: str
    batch: int
    rate: float
    scale: float
    offset: float
    replay: int
    guard: int
    place: int
    inputs: tuple[Edge, ...]
    output: Edge
    output_name: str
    tolerance: float
    lesson: Lesson
    bad: Lesson
    parts: tuple[HeadFile, ...]
    files: Mapping[str, bytes]
    package: tuple[str, ...]
    goldens: Mapping[str, bytes]

    @property
    def base(self) -> HeadFile:
        """The model without its head."""
        return self.parts[0]

    @property
    def shipped(self) -> HeadFile:
        """The shipped head."""
        return self.parts[1]

    @property
    def samples(self) -> HeadFile:
        """The samples that travel with it."""
        return self.parts[2]


@dataclass(frozen=True)
class GoldenTensors:
    """A client's inputs, as the sizes of their tensors by name, and the tensors of its goldens: float32, a list for each case."""

    sizes: Mapping[str, int]
    cases: Sequence[Mapping[str, bytes]]


def describe_learning(
    root: Path,
    learning: HeadLearning,
    outputs: Sequence[ClientOutput],
    tensors: GoldenTensors,
    answers: Sequence[Mapping[str, bytes]],
) -> Learning | str:
    """How the head of a bundle is taught in a client; a sentence where its clients cannot.

    `answers`: the goldens of the artifact's outputs, float32, by name for each case. Raises InputError for a `learning/` that is
    damaged, and where no runtime is installed.
    """
    base = next((item for item in learning.bases if item.format == "tflite"), None)
    if base is None or "tflite" not in learning.steps:
        return f"{FOLDER}/ has no base for TensorFlow Lite; make the bundle with --to tflite"
    place = next((number for number, item in enumerate(outputs) if item.name == learning.output), None)
    if place is None or outputs[place].edge.size != learning.outputs:
        return (
            f"'{printable(learning.output)}', which {FOLDER}/ is of, is no output of the artifact, or of another size"
        )
    edges = _match_edges(base, tensors.sizes)
    if isinstance(edges, str):
        return edges
    try:
        return _describe(root, learning, base, edges, place, tensors, [item[learning.output] for item in answers])
    except ClientError as error:
        raise InputError(printable(str(error))) from error


def _describe(
    root: Path,
    learning: HeadLearning,
    base: LearningBase,
    edges: tuple[Edge, ...],
    place: int,
    tensors: GoldenTensors,
    answers: Sequence[bytes],
) -> Learning | str:
    package = _open(root, learning)
    lessons = make_lessons(package.folder, package.digest)
    if lessons is None:
        return "no lesson for the self-test was found that every device must end alike"
    lesson, bad, goldens = lessons
    features = _compute_features(package, base, edges, tensors)
    shipped = _floats(package.head.weights, package.head.bias)
    files = {
        BASE: flatbuffer.fix_batch(place_within(package.folder, base.file).read_bytes()),
        SHIPPED: shipped,
        REPLAY: _pack_samples(package),
    }
    return Learning(
        digest=package.digest,
        features=learning.features,
        outputs=learning.outputs,
        activation=learning.activation,
        answers=_choose_answers(package, features, answers),
        batch=learning.batch,
        rate=learning.rate,
        scale=learning.samples.scale,
        offset=learning.samples.offset,
        replay=learning.samples.replay,
        guard=learning.samples.guard,
        place=place,
        inputs=edges,
        output=Edge(0, "float32", (1, learning.features), 0.0, 0),
        output_name=base.output,
        tolerance=LOOSE.get(base.variant, LOOSE_INTEGERS) * max(spread_of(package), float(abs(features).max()), 1e-6),
        lesson=lesson,
        bad=bad,
        parts=tuple(HeadFile(name, len(content), zlib.crc32(content)) for name, content in files.items()),
        files=files,
        package=(FILE, learning.head, learning.replay, base.file, learning.steps["tflite"]),
        goldens={
            GOLDEN_FEATURES: _floats(features),
            GOLDEN_SAMPLES: goldens.samples,
            GOLDEN_BAD: goldens.bad,
            GOLDEN_HEADS: goldens.head,
        },
    )


def _open(root: Path, learning: HeadLearning) -> Package:
    """The package, which is what the manifest says. Raises InputError or ClientError where it is not."""
    package = open_package(root / FOLDER)
    if package.content != to_json(learning):
        raise InputError(f"{printable(root)}: {FOLDER}/{FILE} says otherwise than the manifest; make the bundle again")
    head, size, scores = package.head, learning.features, learning.outputs
    forms = [(head.weights, (size, scores)), (head.bias, (scores,))]
    for part, count in ((package.replay, learning.samples.replay), (package.guard, learning.samples.guard)):
        forms += [(part.features, (count, size)), (part.target, (count, scores))]
    if not all(array.shape == shape and np.isfinite(array).all() for array, shape in forms):
        raise InputError(f"{printable(root)}: {FOLDER}/ holds other numbers than {FILE} says; make the bundle again")
    if not (learning.samples.replay and learning.samples.guard and learning.batch > 1):
        raise InputError(f"{printable(root)}: {FOLDER}/ has no samples to replay or judge by; make the bundle again")
    return package


def _match_edges(base: LearningBase, sizes: Mapping[str, int]) -> tuple[Edge, ...] | str:
    """The edges of a base in the order of the client's inputs, with a batch of one; a sentence where they do not match."""
    found = {item.name: (index, item) for index, item in enumerate(base.inputs)}
    if found.keys() != sizes.keys():
        return f"{FOLDER}/{base.file} has other inputs than the artifact"
    edges = []
    for name, size in sizes.items():
        index, spec = found[name]
        edge = _describe_edge(index, spec)
        if edge is None or edge.size != size:
            return f"{FOLDER}/{base.file} takes '{printable(name)}' in another form than clients feed"
        edges.append(edge)
    return tuple(edges)


def _describe_edge(index: int, spec: TensorSpec) -> Edge | None:
    shape = tuple(1 if axis is None and place == 0 else axis for place, axis in enumerate(spec.shape))
    sizes = tuple(axis for axis in shape if axis is not None)
    if len(sizes) < len(shape) or spec.dtype not in DTYPES or spec.quantization or math.prod(sizes[:1]) != 1:
        return None
    return Edge(index, spec.dtype, sizes, 0.0, 0)


def _compute_features(package: Package, base: LearningBase, edges: Sequence[Edge], tensors: GoldenTensors) -> Array:
    """(cases, features), float32, of the tensors of the goldens."""
    model, described = package.open_base(f"{base.format}/{base.variant}")
    rows = []
    for case in tensors.cases:
        feeds = {
            name: np.frombuffer(case[name], "<f4").reshape(edge.shape).astype(edge.dtype)
            for name, edge in zip(tensors.sizes, edges, strict=True)
        }
        answer = model.run(feeds).get(described["output"])
        if answer is None or answer.shape != (1, package.head.weights.shape[0]) or not np.isfinite(answer).all():
            raise InputError(
                f"{FOLDER}/{base.file}: gives no {package.head.weights.shape[0]} finite features of a golden; "
                "make the bundle again"
            )
        rows.append(answer.astype("<f4"))
    return np.concatenate(rows)


def _choose_answers(package: Package, features: Array, answers: Sequence[bytes]) -> str:
    """What scores go through to be the model's own output: a model of logits is taught with softmax, and answers without."""
    scores = compute_scores(features, package.head)
    wanted = np.stack([np.frombuffer(answer, "<f4") for answer in answers])
    ways = {name: abs(apply_activation(scores, name) - wanted).max() for name in (package.activation, "linear")}
    return min(ways, key=lambda name: float(ways[name]))


def _pack_samples(package: Package) -> bytes:
    """`replay.bin`, with the features as they are stored."""
    name = str(package.content["replay"])
    with (
        damage_as_input_error(package.folder / name),
        np.load(io.BytesIO(read_file(package.folder, package.content, name)), allow_pickle=False) as arrays,
    ):
        parts = [(arrays[f"{part}_features"], arrays[f"{part}_target"]) for part in ("replay", "guard")]
    if any(features.dtype != np.uint8 for features, _ in parts):
        raise InputError(f"{printable(package.folder / name)}: its features are no bytes; make the bundle again")
    return b"".join(np.ascontiguousarray(features).tobytes() + _floats(target) for features, target in parts)


def _floats(*arrays: Array) -> bytes:
    return b"".join(np.ascontiguousarray(array, "<f4").tobytes() for array in arrays)
