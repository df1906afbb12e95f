"""Variants: what is made of a model, and in which formats it has a meaning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal

from msgspec import Meta

from edgeship.errors import InputError, unknown_name_error
from edgeship.formats import formats as known_formats
from edgeship.formats.formats import FORMATS
from edgeship.light_dataclass import dataclass
from edgeship.recipes.quantization import (
    AUTO_BITS,
    CALIBRATION_METHODS,
    MIN_MAX,
    RECIPES,
    VARIANTS,
    QuantizeRecipe,
    for_variant,
    needs_data,
    recipe_support,
)
from edgeship.recipes.training import Recipes
from edgeship.toml_tables import Table
from edgeship.untrusted import printable

# What a variant with `mobile` is where nothing else is said: what all readers of a .tflite on phones and in pages take.
MOBILE: Mapping[str, Any] = {"formats": ("tflite",), "io": "float32", "static_batch": True}

# What LiteRT.js can run in a browser: a batch fixed for ever, float at the edges.
FOR_LITERT_JS = """\
[variants.float32-web]
formats = ["tflite"]
static_batch = true

[variants.int8-web]
quantize = "static_w8a8"
formats = ["tflite"]
io = "float32"
static_batch = true
"""


@dataclass(frozen=True)
class Variant(Table):
    """A variant, and what it applies to the model.

    `distill`, `prune`, `cluster` and `qat` are kept as TOML has them; `recipes` reads them.
    """

    name: str
    quantize: Annotated[
        str,
        Meta(
            title=f"one of {', '.join(RECIPES)}",
            description="static_w8a8: full integer; auto: the same, but for the few layers that the gate needs more precise.",
            examples=["static_w8a8"],
        ),
    ] = "float32"
    formats: Annotated[
        tuple[str, ...],
        Meta(
            title=f"a list of {', '.join(FORMATS)}",
            description="A pair without meaning is refused: TF.js has no int8 inference.",
            examples=[["tflite", "onnx"]],
        ),
    ] = FORMATS
    io: Annotated[
        str,
        Meta(
            title="auto, int8 or float32",
            description="Edges of a full-integer .tflite; auto: int8, but float inputs where int8 loses features.",
            examples=["float32"],
        ),
    ] = "auto"
    calibration_method: Annotated[
        str,
        Meta(
            title=f"one of {', '.join(CALIBRATION_METHODS)}",
            description="How the ranges of activations follow from the calibration data.",
            examples=["percentile"],
        ),
    ] = MIN_MAX
    weight_bits: Annotated[
        Literal[7, 8, "auto"],
        Meta(
            title='7, 8 or "auto"',
            description="Of weights in an int8 .onnx; with 8 some overflow on x86 without VNNI; auto: as many as cannot.",
            examples=[8],
        ),
    ] = "auto"
    static_batch: Annotated[
        bool | Annotated[int, Meta(ge=0)],
        Meta(
            title="true, false or a whole number of samples",
            description="A batch fixed for ever (.tflite, .onnx): true is 1; 64 is for pages that run many samples.",
            examples=[True],
        ),
    ] = False
    mobile: Annotated[
        bool | Literal["rgb"],
        Meta(
            title='true, false or "rgb"',
            description="A .tflite for apps: batch 1, float edges, labels and scaling written inside; rgb: with three "
            "channels for a grey model, as MediaPipe asks.",
            examples=["rgb"],
        ),
    ] = False
    flex: Annotated[
        bool,
        Meta(
            description="A .tflite may hold TensorFlow's own ops, which need the Flex delegate of an app: nothing here runs it.",
            examples=[True],
        ),
    ] = False
    sparse_encoding: Annotated[
        bool,
        Meta(description="Kernels of a float32 .tflite are stored without their zeros.", examples=[True]),
    ] = False
    distill: Annotated[
        Any,
        Meta(
            title="a share or a table",
            description='Teach a model of that share of the width; or { student = "client.keras" }.',
            examples=[0.5],
        ),
    ] = None
    prune: Annotated[
        Any,
        Meta(
            title="a share or a table",
            description='Share of zeros; or { sparsity = 0.5, pattern = "2:4", layers = ["conv*"] }.',
            examples=[0.7],
        ),
    ] = None
    cluster: Annotated[
        Any,
        Meta(
            title="a whole number or a table",
            description="At most so many different values in a kernel.",
            examples=[16],
        ),
    ] = None
    qat: Annotated[
        Any,
        Meta(title="true, false or a table", description="Quantization-aware training for int8.", examples=[True]),
    ] = None

    @property
    def recipes(self) -> Recipes:
        """What its float model is trained further with."""
        return Recipes.read({name: getattr(self, name) for name in ("distill", "prune", "cluster", "qat")}, self.name)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.name or any(not (char.isalnum() or char in "._-") for char in self.name):
            raise InputError(f"variant name '{printable(self.name)}': letters, digits, '.', '_' and '-' only")
        QuantizeRecipe(self.quantize, self.io, self.calibration_method)
        if self.weight_bits != AUTO_BITS and not needs_data(self.quantize):
            raise InputError(f"weight_bits is for int8 (static_w8a8, auto): variant '{self.name}' has {self.quantize}")
        if self.mobile and {name: getattr(self, name) for name in MOBILE} != MOBILE:
            raise InputError(
                f"variant '{self.name}' is mobile, which is a .tflite with batch 1 and float edges: leave out {', '.join(MOBILE)}"
            )
        if self.sparse_encoding and self.quantize != "float32":
            raise InputError(f"sparse_encoding is for float32 .tflite files: variant '{self.name}' has {self.quantize}")
        if self.recipes and self.name in VARIANTS:
            raise InputError(
                f"variant '{self.name}' is the plain one: call what is trained further otherwise, as pruned-int8"
            )
        for name in self.formats:
            if name not in FORMATS:
                raise unknown_name_error("format", name, FORMATS, f"variant '{self.name}'")


def default_variants(formats: Sequence[str], has_data: bool) -> tuple[Variant, ...]:
    """float32 everywhere; with representative data int8 where a format can run it; 8-bit weights for TF.js."""
    names = ["float32", *(["int8"] if has_data else [])]
    variants = [
        built_in_variant(name, [item for item in formats if not recipe_refusal(for_variant(name).name, item)])
        for name in names
    ]
    for item in formats:
        variants += [built_in_variant(name, [item]) for name in known_formats.find(item).default_variants]
    return tuple(variant for variant in variants if variant.formats)


def built_in_variant(name: str, formats: Sequence[str], further_names: Iterable[str] = ()) -> Variant:
    """The built-in variant of that name. Raises InputError listing those and the `further_names` of a configuration."""
    if name not in VARIANTS:
        raise unknown_name_error("variant", name, {*VARIANTS, *further_names})
    preset = preset_keys(name)
    return Variant.read({**preset, "formats": preset.get("formats", formats)}, f"variant '{name}'", name=name)


def preset_keys(name: str, table: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """The keys of a variant's table that say nothing new: those that its built-in name stands for, or that `mobile` brings."""
    keys: dict[str, Any] = {"quantize": for_variant(name).name} if name in VARIANTS else {}
    keys |= {"mobile": True} if name == "mobile" else {}
    return {**(MOBILE if {**keys, **table}.get("mobile") else {}), **keys}


def unsupported_reason(variant: Variant, format_name: str) -> str | None:
    """Why a variant has no meaning in a format; None where it has one."""
    form = known_formats.find(format_name)
    if variant.sparse_encoding and not form.sparse_encoding:
        return f"sparse_encoding is TFLite's: {format_name} has no such storage"
    if variant.static_batch > 1 and form.static_batch_refusal:
        return f"static_batch = {variant.static_batch} {form.static_batch_refusal}"
    return recipe_refusal(variant.quantize, format_name)


def recipe_refusal(recipe: str, format_name: str) -> str | None:
    """Why a recipe has no meaning in a format; None where it has one."""
    try:
        recipe_support(recipe, format_name)
    except InputError as error:
        return str(error)
    return None
