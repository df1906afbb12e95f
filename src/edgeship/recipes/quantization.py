"""Quantization recipes: their names say the scheme, one table says what each means in which format.

A pair that has no meaning is refused with the reason, never approximated. Standard library only: the command line
reads this table to check what a user asked for before anything heavy is imported.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeship.errors import InputError, unknown


@dataclass(frozen=True)
class RecipeSupport:
    """What a recipe does in a format: `how` in words, or the reason of its `refusal`; `data`: it needs calibration data."""

    how: str = ""
    refusal: str = ""
    data: bool = False


# recipe -> format -> meaning. w = weights, a = activations, 8 = 8-bit integers.
_TABLE: dict[str, dict[str, RecipeSupport]] = {
    "float32": {
        "tflite": RecipeSupport("as converted"),
        "onnx": RecipeSupport("as converted"),
        "tfjs": RecipeSupport("as converted"),
    },
    "float16": {
        "tflite": RecipeSupport("weights stored as float16, computed in float32"),
        "onnx": RecipeSupport("weights and activations in float16, inputs and outputs float32"),
        "tfjs": RecipeSupport("weights stored as float16, computed in float32"),
    },
    "static_w8a8": {
        "tflite": RecipeSupport("int8 weights per channel, int8 activations per tensor, calibrated", data=True),
        "onnx": RecipeSupport(
            "QDQ: int8 weights per channel, int8 activations per tensor, calibrated; float I/O", data=True
        ),
        "tfjs": RecipeSupport(refusal="TF.js has no int8 inference, only weight storage: ask for weight_only_w8"),
    },
    "auto": {
        "tflite": RecipeSupport("static_w8a8 with the layers that the gate asks for in float32 or int16", data=True),
        "onnx": RecipeSupport(
            "static_w8a8 with the layers that the .tflite needs in higher precision in float32", data=True
        ),
        "tfjs": RecipeSupport(refusal="TF.js has no int8 inference, only weight storage: ask for weight_only_w8"),
    },
    "dynamic_w8": {
        "tflite": RecipeSupport("int8 weights per channel, activations quantized at run time"),
        "onnx": RecipeSupport("8-bit weights per channel, activations quantized at run time"),
        "tfjs": RecipeSupport(refusal="TF.js has no integer kernels, only weight storage: ask for weight_only_w8"),
    },
    "weight_only_w8": {
        "tflite": RecipeSupport("int8 weights per channel, computed in float32"),
        "onnx": RecipeSupport(
            refusal="ONNX Runtime unpacks 8-bit weights to float when it loads them: ask for dynamic_w8 or static_w8a8"
        ),
        "tfjs": RecipeSupport("weights stored as uint8, computed in float32"),
    },
}

# What a variant's name stands for where no recipe is written out.
_VARIANTS = {
    "float32": "float32",
    "float16": "float16",
    "int8": "static_w8a8",
    "auto": "auto",
    "dynamic_w8": "dynamic_w8",
    "weight_only_w8": "weight_only_w8",
}

RECIPES = tuple(_TABLE)
VARIANTS = tuple(_VARIANTS)

# How many samples calibrate a model. A few hundred representative ones are what LiteRT's guide to post-training
# quantization asks for; the extremes of a layer hardly move after that, while the time grows with every sample.
DEFAULT_SAMPLES = 500

# How the ranges of activations follow from representative data, in every format that has static_w8a8. min-max spans all that
# was seen; the others leave out what is rare, which pays where few outliers stretch a range.
MIN_MAX = "min-max"
CALIBRATION_METHODS = (MIN_MAX, "moving-average", "percentile", "entropy", "mse")

# The element types that a full-integer artifact can have at its ends.
IO_TYPES = ("int8", "float32")


@dataclass(frozen=True)
class QuantizeRecipe:
    """A named recipe; `io` is the type of a full-integer TFLite file's float inputs and outputs.

    `calibration_method` is one of CALIBRATION_METHODS, for recipes that need data. Raises InputError for a name, type or
    key that is not a known one, listing those.
    """

    name: str
    io: str = "int8"
    calibration_method: str = MIN_MAX

    def __post_init__(self) -> None:
        if self.name not in _TABLE:
            raise unknown("quantization recipe", self.name, RECIPES)
        if self.io not in IO_TYPES:
            raise unknown("I/O type", self.io, IO_TYPES, f"recipe {self.name}")
        if self.calibration_method not in CALIBRATION_METHODS:
            raise unknown("calibration method", self.calibration_method, CALIBRATION_METHODS, f"recipe {self.name}")
        if self.calibration_method != MIN_MAX and not needs_data(self.name):
            raise InputError(
                f"calibration method '{self.calibration_method}': {self.name} has no ranges to calibrate, only static_w8a8 has"
            )


def for_variant(variant: str) -> QuantizeRecipe:
    """The recipe that a built-in variant's name stands for."""
    if variant not in _VARIANTS:
        raise unknown("variant", variant, VARIANTS)
    return QuantizeRecipe(_VARIANTS[variant])


def recipe_support(recipe: str | QuantizeRecipe, fmt: str) -> RecipeSupport:
    """What a recipe means in a format. Raises InputError with the reason where it has no meaning there."""
    name = recipe.name if isinstance(recipe, QuantizeRecipe) else QuantizeRecipe(recipe).name
    formats = _TABLE[name]
    if fmt not in formats:
        raise unknown("format", fmt, formats)
    support = formats[fmt]
    if support.refusal:
        raise InputError(f"recipe '{name}' is not possible for {fmt}: {support.refusal}")
    return support


def needs_data(recipe: str | QuantizeRecipe) -> bool:
    """Whether a recipe needs calibration data, in any format."""
    name = recipe.name if isinstance(recipe, QuantizeRecipe) else QuantizeRecipe(recipe).name
    return any(support.data for support in _TABLE[name].values())
