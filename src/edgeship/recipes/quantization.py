"""Quantization recipes: their names say the scheme, each format's file (`edgeship.formats.known`) what it means there.

A pair that has no meaning is refused with the reason, never approximated. Standard library only: the command line
reads these to check what a user asked for before anything heavy is imported.
"""

from __future__ import annotations

from edgeship.errors import InputError, unknown_name_error
from edgeship.formats import formats
from edgeship.formats.format import RecipeSupport as RecipeSupport  # noqa: PLC0414  # quantizers take it from here
from edgeship.light_dataclass import dataclass

RECIPES = ("float32", "float16", "static_w8a8", "auto", "dynamic_w8", "weight_only_w8", "dynamic_w4", "weight_only_w4")

# What a variant's name stands for where no recipe is written out.
_VARIANTS = {
    "float32": "float32",
    "float16": "float16",
    "int8": "static_w8a8",
    "mobile": "static_w8a8",
    "auto": "auto",
    "dynamic_w8": "dynamic_w8",
    "weight_only_w8": "weight_only_w8",
    "dynamic_w4": "dynamic_w4",
    "weight_only_w4": "weight_only_w4",
}

VARIANTS = tuple(_VARIANTS)

# How many samples calibrate a model. A few hundred representative ones are what LiteRT's guide to post-training
# quantization asks for; the extremes of a layer hardly move after that, while the time grows with every sample.
DEFAULT_SAMPLES = 500

# How the ranges of activations follow from representative data, in every format that has static_w8a8. min-max spans all that
# was seen; the others leave out what is rare, which pays where few outliers stretch a range.
MIN_MAX = "min-max"
CALIBRATION_METHODS = (MIN_MAX, "moving-average", "percentile", "entropy", "mse")

# Of int8 weights in an .onnx: 8 may overflow on x86 processors without VNNI, "auto" takes as many as cannot.
AUTO_BITS = "auto"

# Numbers in a kernel or table that 4 bits are worth it for: a smaller one, most often the last layer, gains under 2 KiB and costs
# most. With the 32 numbers behind a price in 4 bits, houses of four seeds were priced 136, 987, 698 and -62 worse (mean absolute
# error, of 13,000), without 88, -28, 183 and 218.
LEAST_IN_FOUR_BITS = 1024

# The element types that a full-integer artifact can have at its ends; auto: int8, float32 at inputs that it is too coarse for.
IO_TYPES = ("auto", "int8", "float32")


@dataclass(frozen=True)
class QuantizeRecipe:
    """A named recipe; `io` is the type of a full-integer TFLite file's float inputs and outputs.

    `calibration_method` is one of CALIBRATION_METHODS, for recipes that need data. Raises InputError for a name, type or
    key that is not a known one, listing those.
    """

    name: str
    io: str = "auto"
    calibration_method: str = MIN_MAX

    def __post_init__(self) -> None:
        if self.name not in RECIPES:
            raise unknown_name_error("quantization recipe", self.name, RECIPES)
        if self.io not in IO_TYPES:
            raise unknown_name_error("I/O type", self.io, IO_TYPES, f"recipe {self.name}")
        if self.calibration_method not in CALIBRATION_METHODS:
            raise unknown_name_error(
                "calibration method", self.calibration_method, CALIBRATION_METHODS, f"recipe {self.name}"
            )
        if self.calibration_method != MIN_MAX and not needs_data(self.name):
            raise InputError(
                f"calibration method '{self.calibration_method}': {self.name} has no ranges to calibrate, only static_w8a8 has"
            )


def for_variant(variant: str) -> QuantizeRecipe:
    """The recipe that a built-in variant's name stands for."""
    if variant not in _VARIANTS:
        raise unknown_name_error("variant", variant, VARIANTS)
    return QuantizeRecipe(_VARIANTS[variant])


def recipe_support(recipe: str | QuantizeRecipe, fmt: str) -> RecipeSupport:
    """What a recipe means in a format. Raises InputError with the reason where it has no meaning there."""
    name = recipe.name if isinstance(recipe, QuantizeRecipe) else QuantizeRecipe(recipe).name
    support = formats.find(fmt).recipes.get(name, RecipeSupport(refusal="the format has no such recipe"))
    if support.refusal:
        raise InputError(f"recipe '{name}' is not possible for {fmt}: {support.refusal}")
    return support


def needs_data(recipe: str | QuantizeRecipe) -> bool:
    """Whether a recipe needs calibration data, in any format."""
    name = recipe.name if isinstance(recipe, QuantizeRecipe) else QuantizeRecipe(recipe).name
    return any(item.recipes[name].data for item in formats.ALL.values() if name in item.recipes)
