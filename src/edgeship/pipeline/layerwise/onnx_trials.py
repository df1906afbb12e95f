"""Trial files of a float `.onnx` with some of its layers in other precisions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from edgeship.formats.formats import FILES, QUANTIZERS, find
from edgeship.light_dataclass import dataclass
from edgeship.optimize.quantize.onnx import layers as onnx_layers
from edgeship.optimize.quantize.onnx.layers import OnnxLayer
from edgeship.optimize.quantize.reports import QuantizationReport
from edgeship.pipeline.conversion.steps import ConversionSteps
from edgeship.pipeline.layerwise.layer_sensitivity import LayerwiseModel, read_layers, steps_of
from edgeship.pipeline.step_queue import StepRun
from edgeship.settings.variants import Variant
from edgeship.storage import cache
from edgeship.typed_json import convert


@dataclass(frozen=True)
class OnnxLayerwiseModel(LayerwiseModel):
    """A `LayerwiseModel` of a float `.onnx`: `keras_layers` are all of the Keras model's, by whose names layers are kept."""

    keras_layers: Sequence[str] = ()
    weight_bits: int | str = "auto"

    format: ClassVar[str] = "onnx"

    @classmethod
    def read(cls, run: StepRun, steps: ConversionSteps, variant: Variant) -> OnnxLayerwiseModel:
        """The float model behind a variant's `.onnx`, read by its layers, in a step that needs `steps_of` it."""
        exported, base, statistics = (run.inputs[name] for name in steps_of(steps, variant, "onnx"))
        keras_layers = list(exported.description.layers)
        prepared = statistics.path / "statistics.onnx"
        layers = read_layers(run, onnx_layers.read, OnnxLayer, statistics.digest, prepared, keras_layers)
        method, bits = variant.calibration_method, variant.weight_bits
        return cls(run, base.entry, statistics, method, layers, keras_layers, bits)

    @property
    def key(self) -> dict[str, Any]:
        """What a trial file depends on, beside its precisions."""
        return {**super().key, "weight_bits": self.weight_bits, "tools": cache.versions(*QUANTIZERS["onnx"])}

    def write(self, path: Path, io: str, **mixed: Sequence[Any]) -> QuantizationReport:
        """As of a `.tflite`; inputs and outputs are float whatever `io` says, and int16 is not to be had."""
        floats = mixed.get("float32", ())
        if "int8" in mixed:
            floats = [layer for layer in self.layers if layer not in mixed["int8"]]
        # Called by its name: ONNX Runtime's quantizer takes a second to import, which a result from the cache does not need.
        report = self.run.executors.quantize.call(
            find("onnx").quantizer,
            model=str(self.base.path / FILES["onnx"]),
            out_file=str(path),
            recipe="static_w8a8",
            statistics=str(self.statistics.path / "statistics.json"),
            calibration_method=self.calibration_method,
            float_layers=[place for layer in floats for place in layer.name.split(" + ")],
            layers=self.keras_layers,
            weight_bits=self.weight_bits,
        )
        return convert(QuantizationReport, report)
