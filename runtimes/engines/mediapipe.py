"""MediaPipe Tasks, which apps hand a picture: it reads the metadata in a `.tflite`, scales the bytes and names the classes.

A witness that shares nothing with edgeship but the file: data are brought back to bytes by the scaling that the file tells.
"""

from __future__ import annotations

import importlib.metadata
import struct
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeship.runtimes.runtime import own_runtime
from edgeship.runtimes.worker.interface import Spec, tensor_spec

if TYPE_CHECKING:
    from edgeship.processes.wire import Arrays
    from edgeship.types import Artifact

# What its package imports for drawing results alone; 350 MB of packages that its environment does without.
FOR_DRAWING = ("cv2", "matplotlib", "matplotlib.pyplot")
# It sends usage statistics to its maker (its privacy notice): to a proxy that nothing listens at.
NOWHERE = "http://127.0.0.1:9"
DTYPES = {0: "float32", 3: "uint8"}  # TensorType of the TFLite schema, those that it takes
NORMALIZATION, THRESHOLDING = 1, 3  # ProcessUnitOptions
LABELS = 2  # AssociatedFileType.TENSOR_AXIS_LABELS
EXACT = 1e-3  # how far a byte that float32 brought back may be from a whole number
NO_THRESHOLD = -3e38  # no score is below it


def find_refusal(artifact: Artifact) -> str | None:
    """Why its ImageClassifier does not take an artifact."""
    mobile = "make a variant with mobile = true for it"
    inputs = artifact.inputs
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        return "MediaPipe's ImageClassifier takes one picture, and these inputs are something else"
    (image,) = inputs
    if wrong := [item for item in (*inputs, *artifact.outputs) if item.dtype not in DTYPES.values()]:
        return f"MediaPipe takes float32 and uint8, and '{wrong[0].name}' is {wrong[0].dtype}: {mobile}"
    if image.shape[3] != 3 or None in image.shape[1:]:
        what = (
            "three channels and one size"
            if image.shape[3] != 1
            else 'three channels: make a variant with mobile = "rgb"'
        )
        shape = "x".join("?" if size is None else str(size) for size in image.shape)
        return f"'{image.name}' is {shape}, and MediaPipe takes pictures of {what}"
    if any(len(item.shape) != 2 or item.shape[1] is None for item in artifact.outputs):
        return "MediaPipe's ImageClassifier gives one score a class, and these outputs are something else"
    return _metadata_refusal(artifact, mobile)


def _metadata_refusal(artifact: Artifact, mobile: str) -> str | None:
    """What is wrong with the metadata of a file that edgeship made; a stranger's is opened to see."""
    if not artifact.steps:
        return None
    written = [step.recipe.get("pictures", {}) for step in artifact.steps if step.name == "metadata"]
    if not written:
        return f"MediaPipe reads from metadata in the file how a picture is scaled, and it has none: {mobile}"
    picture = written[-1].get(artifact.inputs[0].name)
    if picture is None:
        return "MediaPipe must know how bytes are scaled, and metadata do not say it: state it under [input.NAME]"
    if len(picture["std"]) > 1:
        return "MediaPipe takes one mean and std for all channels: put those of each channel into the model"
    return None


def open_backend() -> MediaPipeBackend:
    """Import it."""
    return MediaPipeBackend()


class MediaPipeBackend:
    """The package."""

    def __init__(self) -> None:
        for name in FOR_DRAWING:
            sys.modules.setdefault(name, types.ModuleType(name))
        vars(sys.modules["matplotlib"]).setdefault("pyplot", sys.modules["matplotlib.pyplot"])
        importlib.import_module("mediapipe")
        self.VERSION = importlib.metadata.version("mediapipe")

    def load(self, path: str, threads: int, options: dict[str, Any]) -> PictureClassifier:
        """Open a `.tflite` as ImageClassifier; how many threads it takes is its own choice."""
        return PictureClassifier(path)


class PictureClassifier:
    """A model that is given bytes and answers names and scores."""

    def __init__(self, path: str) -> None:
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision

        file = _File(path)
        self.inputs, self.outputs, self.engine = [file.picture], file.scores, {"threads": None}
        self._mean, self._std, self._labels, self._api = file.mean, file.std, file.labels, mediapipe
        options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_buffer=file.with_all_scores()))
        self._classifier = vision.ImageClassifier.create_from_options(options)

    def run(self, feeds: Arrays) -> Arrays:
        """One inference of one picture."""
        return self._read_scores(self._classifier.classify(self._picture(feeds)))

    def prepare_inference(self, feeds: Arrays) -> Callable[[], object]:
        """The inference itself, of a picture that is there."""
        picture = self._picture(feeds)
        return lambda: self._classifier.classify(picture)

    def _picture(self, feeds: Arrays) -> Any:
        import numpy as np

        values = feeds[self.inputs[0]["name"]][0]
        levels = values * self._std + self._mean
        pixels = np.round(levels)
        if np.abs(levels - pixels).max() > EXACT or pixels.min() < 0 or pixels.max() > 255:
            raise RuntimeError("MediaPipe takes bytes, and these data are none with the scaling that the file tells")
        return self._api.Image(image_format=self._api.ImageFormat.SRGB, data=pixels.astype(np.uint8))

    def _read_scores(self, result: Any) -> Arrays:
        """The scores in the order of the classes. Raises RuntimeError where one has another name than the file gives it."""
        import numpy as np

        outputs = {}
        for output, labels, found in zip(self.outputs, self._labels, result.classifications, strict=True):
            scores = np.full(output["shape"], np.nan, np.float32)
            for item in found.categories:
                if labels and item.category_name != labels[item.index]:
                    raise RuntimeError(
                        f"MediaPipe calls class {item.index} {item.category_name!r}, not {labels[item.index]!r}"
                    )
                scores[0, item.index] = item.score
            outputs[output["name"]] = scores
        return outputs


class _File:
    """What stands in a `.tflite`, as MediaPipe's own modules read it."""

    def __init__(self, path: str) -> None:
        from mediapipe.tasks.metadata import schema_py_generated as schema

        self._path = path
        self._content = Path(path).read_bytes()
        self._model = schema.Model.GetRootAsModel(self._content, 0)
        graph = self._model.Subgraphs(0)
        image = graph.Tensors(graph.Inputs(0))
        outputs = [graph.Tensors(graph.Outputs(number)) for number in range(graph.OutputsLength())]
        names, metadata = self._signature_names(), self._read_metadata()
        self.picture = self._spec(image, names, DTYPES.get(image.Type(), "float32"))
        self.scores = [self._spec(item, names, "float32") for item in outputs]  # it dequantizes them itself
        self.mean, self.std = self._scaling(metadata)
        self.labels = [self._read_labels(metadata, number) for number in range(len(outputs))]
        self._metadata, self._count = metadata, len(outputs)

    def _signature_names(self) -> dict[str, str]:
        """The names of the signature by those of tensors; none where there is no signature."""
        if not self._model.SignatureDefsLength():
            return {}
        signature, graph = self._model.SignatureDefs(0), self._model.Subgraphs(0)
        maps = [signature.Inputs(number) for number in range(signature.InputsLength())]
        maps += [signature.Outputs(number) for number in range(signature.OutputsLength())]
        return {graph.Tensors(item.TensorIndex()).Name().decode(): item.Name().decode() for item in maps}

    @staticmethod
    def _spec(tensor: Any, names: dict[str, str], dtype: str) -> Spec:
        name = tensor.Name().decode()
        return tensor_spec(names.get(name, name), [int(size) for size in tensor.ShapeAsNumpy()], dtype)

    def _read_metadata(self) -> Any:
        """The graph's metadata; None where there are none."""
        from mediapipe.tasks.metadata import metadata_schema_py_generated as schema

        for number in range(self._model.MetadataLength()):
            entry = self._model.Metadata(number)
            if entry.Name() == b"TFLITE_METADATA":
                buffer = self._model.Buffers(entry.Buffer())
                content = buffer.DataAsNumpy().tobytes()
                self._start = buffer._tab.Vector(buffer._tab.Offset(4))  # where it lies in the file
                return schema.ModelMetadata.GetRootAsModelMetadata(content, 0).SubgraphMetadata(0)
        return None

    def with_all_scores(self) -> bytes:
        """The file without thresholds of scores: MediaPipe 1.2 leaves out what lies below them, whatever its options say."""
        content = bytearray(self._content)
        outputs = (
            [self._metadata.OutputTensorMetadata(number) for number in range(self._count)] if self._metadata else []
        )
        for unit in (
            output.ProcessUnits(number) for output in outputs for number in range(output.ProcessUnitsLength())
        ):
            options = unit.Options()
            if unit.OptionsType() == THRESHOLDING and (field := options.Offset(4)):
                struct.pack_into("<f", content, self._start + options.Pos + field, NO_THRESHOLD)
        return bytes(content)

    @staticmethod
    def _scaling(metadata: Any) -> tuple[float, float]:
        from mediapipe.tasks.metadata import metadata_schema_py_generated as schema

        image: Any = metadata.InputTensorMetadata(0) if metadata else None
        for number in range(image.ProcessUnitsLength() if image else 0):
            unit = image.ProcessUnits(number)
            if unit.OptionsType() == NORMALIZATION:
                options = schema.NormalizationOptions()
                options.Init(unit.Options().Bytes, unit.Options().Pos)
                return options.Mean(0), options.Std(0)
        return 0.0, 1.0

    def _read_labels(self, metadata: Any, output: int) -> list[str]:
        tensor: Any = metadata.OutputTensorMetadata(output) if metadata else None
        for number in range(tensor.AssociatedFilesLength() if tensor else 0):
            entry = tensor.AssociatedFiles(number)
            if entry.Type() == LABELS:
                import zipfile

                with zipfile.ZipFile(self._path) as archive:
                    return archive.read(entry.Name().decode()).decode().split("\n")
        return []


RUNTIMES = (
    own_runtime(
        "mediapipe",
        "tflite",
        "MediaPipe Tasks, ImageClassifier, kept from the network",
        find_refusal=find_refusal,
        env=dict.fromkeys(("https_proxy", "http_proxy", "all_proxy"), NOWHERE),
    ),
)
