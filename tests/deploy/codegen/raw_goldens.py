"""A contract with raw goldens for the bundle of `colour_model`, stated by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.bundle import bundle as bundles
from edgeship.bundle import goldens
from edgeship.data import Array
from edgeship.deploy.contract.contract import (
    FILE,
    FOLDER,
    ArtifactInput,
    ArtifactOutput,
    Contract,
    ContractArtifact,
    ContractOutput,
    EdgeQuantization,
    GoldenCase,
    RawGoldens,
    RawSize,
    contract_json,
)
from edgeship.deploy.contract.inputs import ContractInput, RawForm, TensorForm
from edgeship.deploy.contract.preprocess import dequantize_values, preprocess_input, quantize_values
from edgeship.deploy.contract.steps import Affine, FlattenAlpha, Orient, Resize
from edgeship.storage import digest
from tests.deploy.codegen.colour_model import SIZE

LABELS = ("red", "green", "blue", 'gelb "ü" $x? \\n')
TOLERANCE, CLEAR = 0.05, 0.2
ITEM = ContractInput(
    "image",
    "image",
    RawForm("uint8", "HWC", "rgb", alpha=True, orientation="exif"),
    (Orient(), FlattenAlpha(0), Resize(*SIZE, "cover", "area", 0), Affine((1.0,), (0.0,))),
    TensorForm((1, *SIZE, 3), "float32"),
)


@dataclass(frozen=True)
class _Model:
    """An artifact in LiteRT, one sample at a time."""

    interpreter: Any

    def edge(self, side: str) -> dict[str, Any]:
        detail: dict[str, Any] = getattr(self.interpreter, f"get_{side}_details")()[0]
        scale, zero_point = detail["quantization"]
        form = EdgeQuantization(float(scale), int(zero_point)) if scale else None
        shape = (None, *map(int, detail["shape"][1:]))
        return {
            "tensor": detail["name"],
            "index": 0,
            "shape": shape,
            "dtype": detail["dtype"].__name__,
            "quantization": form,
        }

    def answer(self, tensor: Array) -> Array:
        given, taken = self.edge("input"), self.edge("output")
        values = quantize_values(tensor, given["quantization"], given["dtype"]) if given["quantization"] else tensor
        self.interpreter.set_tensor(self.interpreter.get_input_details()[0]["index"], values)
        self.interpreter.invoke()
        result: Array = self.interpreter.get_tensor(self.interpreter.get_output_details()[0]["index"])
        return dequantize_values(result, taken["quantization"]) if taken["quantization"] else result


def add_contract(root: Path) -> None:
    """Write contract.json and goldens/raw into a bundle."""
    from ai_edge_litert.interpreter import Interpreter

    samples = goldens.read_goldens(root / "goldens", "inputs")["image"].astype(np.uint8)
    models = {
        f"tflite/{path.stem}": _Model(Interpreter(str(path))) for path in sorted((root / "tflite").glob("*.tflite"))
    }
    for model in models.values():
        model.interpreter.allocate_tensors()
    cases = [_write_case(root / FOLDER, models, *case) for case in _draw_cases(samples)]
    artifacts = [_describe_artifact(root, name, model) for name, model in models.items()]
    output = ContractOutput("probs", (1, len(LABELS)), "softmax", LABELS)
    manifest = json.loads((root / bundles.MANIFEST).read_text())
    contract = Contract(
        "colour-squares",
        manifest["server_model"]["digest"],
        (ITEM,),
        (output,),
        tuple(artifacts),
        RawGoldens(len(cases), cases=tuple(cases)),
    )
    (root / FILE).write_bytes(contract_json(contract))
    bundles.seal_content(root, manifest)


def _draw_cases(samples: Array) -> list[tuple[str, Array, int]]:
    """Each sample, and some of another size, orientation or with opacity: name, pixels, orientation."""
    larger = samples[0].repeat(3, 0).repeat(2, 1)
    larger = np.pad(larger, ((0, 1), (0, 3), (0, 0)), mode="edge")
    opacity = np.random.default_rng(0).integers(0, 256, (*SIZE, 1), dtype=np.uint8)
    return [
        *((str(number), sample, 1) for number, sample in enumerate(samples)),
        ("larger", larger, 1),
        ("smaller", samples[1][:19:2, ::2], 1),
        ("turned", samples[2], 6),
        ("mirrored", samples[3], 5),
        ("opaque", np.concatenate([samples[4], opacity], 2), 1),
    ]


def _write_case(folder: Path, models: dict[str, _Model], name: str, pixels: Array, orientation: int) -> GoldenCase:
    folder.mkdir(parents=True, exist_ok=True)
    tensor = preprocess_input(ITEM, pixels, orientation)
    pixels.tofile(folder / f"{name}.image.raw")
    tensor.tofile(folder / f"{name}.image.tensor")
    answers = {artifact: model.answer(tensor) for artifact, model in models.items()}
    for artifact, answer in answers.items():
        answer.tofile(folder / f"{name}.probs.{artifact.replace('/', '-')}")
    label = int(answers["tflite/float32"].argmax())
    clear = [artifact for artifact, answer in answers.items() if np.ptp(np.sort(answer[0])[-2:]) > CLEAR]
    height, width, channels = pixels.shape
    size = RawSize(height, width, channels, orientation)
    same = [artifact for artifact in clear if answers[artifact].argmax() == label]
    return GoldenCase(name, {"image": size}, LABELS[label], tuple(same))


def _describe_artifact(root: Path, name: str, model: _Model) -> ContractArtifact:
    path = f"{name}.tflite"
    return ContractArtifact(
        name,
        path,
        digest.of_path(root / path),
        "serving_default",
        (ArtifactInput("image", **model.edge("input")),),
        (ArtifactOutput("probs", **model.edge("output"), tolerance=TOLERANCE),),
    )
