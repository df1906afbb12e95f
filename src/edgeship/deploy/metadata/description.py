"""What metadata say of a model, and how a file's tensors are described in the schema of TFLite Metadata 1.5.

The schema: https://github.com/google-ai-edge/mediapipe/blob/master/mediapipe/tasks/metadata/metadata_schema.fbs (the same
as TensorFlow Lite Support's). Numbers of fields and of enumerations below are its own.
"""

from __future__ import annotations

from typing import Literal

from edgeship.deploy.metadata.tables import Scalar, Table, pack
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import printable

IDENTIFIER = b"M001"
PARSER = "1.0.0"  # the oldest version of the schema that has all that is written here
FEATURES, IMAGE = (Scalar("Uint8", number) for number in (1, 2))  # ContentProperties
NORMALIZATION, THRESHOLDING = (Scalar("Uint8", number) for number in (1, 3))  # ProcessUnitOptions
COLOURS = {"rgb": 1, "grey": 2}  # ColorSpaceType
AXIS_LABELS = Scalar("Int8", 2)  # AssociatedFileType.TENSOR_AXIS_LABELS
CONTRACT_FILE = "contract.json"


@dataclass(frozen=True)
class Picture:
    """An input that is a picture of bytes: tensor = (byte - mean) / std, one number for all channels or one for each."""

    height: int
    width: int
    colour: Literal["rgb", "grey"]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class InputDescription:
    """An input by its name in the file, in the file's order."""

    name: str
    picture: Picture | None = None


@dataclass(frozen=True)
class OutputDescription:
    """An output by its name in the file, in the file's order: the names of its classes, and from which score on one counts.

    `shares`: its scores are from 0 to 1. Raises InputError for labels that a file with one a line cannot hold.
    """

    name: str
    labels: tuple[str, ...] = ()
    threshold: float | None = None
    shares: bool = False

    def __post_init__(self) -> None:
        for number, label in enumerate(self.labels):
            if not label.strip() or label.splitlines() != [label]:
                told = f"label {number} of output '{self.name}' is {printable(label)!r}"
                raise InputError(f"{told}: a .tflite holds its labels one a line; give each a name of one line")


@dataclass(frozen=True)
class ModelDescription:
    """What is written into a file. A temperature is not: the schema calibrates each score by itself, softmax(z / T) needs all."""

    name: str
    inputs: tuple[InputDescription, ...]
    outputs: tuple[OutputDescription, ...]

    @property
    def label_files(self) -> dict[str, str]:
        """By output with labels: the name of the file that holds them."""
        named = [item.name for item in self.outputs if item.labels]
        return {name: "labels.txt" if len(named) == 1 else f"labels-{place}.txt" for place, name in enumerate(named)}

    @property
    def files(self) -> dict[str, bytes]:
        """The files of labels by name; without an end of line after the last label, which some readers take for one more."""
        names = self.label_files
        return {names[item.name]: "\n".join(item.labels).encode() for item in self.outputs if item.labels}

    def pack(self, *, contract: bool) -> bytes:
        """The flatbuffer; `contract`: the file has one with it."""
        files = self.label_files
        inputs = tuple(map(_describe_input, self.inputs))
        outputs = tuple(_describe_output(item, files.get(item.name)) for item in self.outputs)
        subgraph = Table({2: inputs, 3: outputs})
        beside = (Table({0: CONTRACT_FILE, 1: "How an app feeds the model, step by step"}),) if contract else None
        return pack(Table({0: self.name, 3: (subgraph,), 6: beside, 7: PARSER}), IDENTIFIER)


def _describe_input(item: InputDescription) -> Table:
    picture = item.picture
    if picture is None:
        return Table({0: item.name, 3: Table({0: FEATURES, 1: Table({})})})
    size = Table({0: Scalar("Uint32", picture.width), 1: Scalar("Uint32", picture.height)})
    content = Table({0: IMAGE, 1: Table({0: Scalar("Int8", COLOURS[picture.colour]), 1: size})})
    normalization = Table({0: NORMALIZATION, 1: Table({0: picture.mean, 1: picture.std})})
    low, high = (
        tuple((byte - mean) / std for mean, std in zip(picture.mean, picture.std, strict=True)) for byte in (0, 255)
    )
    return Table({0: item.name, 3: content, 4: (normalization,), 5: Table({0: high, 1: low})})


def _describe_output(item: OutputDescription, labels: str | None) -> Table:
    threshold = None if item.threshold is None else Table({0: Scalar("Float32", item.threshold)})
    units = None if threshold is None else (Table({0: THRESHOLDING, 1: threshold}),)
    stats = Table({0: (1.0,), 1: (0.0,)}) if item.shares else None
    files = (Table({0: labels, 2: AXIS_LABELS}),) if labels else None
    content = Table({0: FEATURES, 1: Table({})})
    return Table({0: item.name, 3: content, 4: units, 5: stats, 6: files})
