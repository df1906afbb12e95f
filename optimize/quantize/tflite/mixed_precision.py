"""Recipes that give some operators of a `.tflite` another precision than the rest, in litert-quantizer's own terms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# Precision -> operators, by the scopes that `layers.read` tells. "float32" and "int16" (activations; weights stay int8)
# stand beside int8 for all others; "int8" stands alone: all others then stay float, the model's ends too.
Mixed = Mapping[str, Sequence[str]]


def build_recipe(base: Sequence[Mapping[str, Any]], mixed: Mixed, io: str) -> list[dict[str, Any]]:
    """The recipe `base` with those operators in those precisions; the model's outputs keep the type `io`."""
    from litert_quantizer import algorithm_manager, qtyping, recipe_manager

    everything = qtyping.TFLOperationName.ALL_SUPPORTED
    nothing = algorithm_manager.AlgorithmName.NO_QUANTIZE
    manager = recipe_manager.RecipeManager()
    if "int8" not in mixed:
        manager.load_quantization_recipe(list(base))
    for precision, scopes in mixed.items():
        for pattern in _scope_patterns(scopes):
            if precision == "float32":
                manager.add_quantization_config(pattern, everything, algorithm_key=nothing)
            else:
                manager.add_static_config(pattern, everything, {"int8": 8, "int16": 16}[precision], 8)
            # The model's output is addressed by the name of the operator that makes it, and must not follow it.
            if io == "float32" or precision == "int8":
                manager.add_quantization_config(pattern, qtyping.TFLOperationName.OUTPUT, algorithm_key=nothing)
            else:
                manager.add_static_config(pattern, qtyping.TFLOperationName.OUTPUT, 8, 8)
    return list(manager.get_quantization_recipe())


def keep_float(mixed: Mixed | None, outputs: Sequence[str]) -> Mixed | None:
    """`mixed` with the operators that make the tensors `outputs` float as well, unless "int8", which stands alone, has them."""
    if not outputs or (mixed and "int8" in mixed):
        return mixed
    others = {key: scopes for key, scopes in (mixed or {}).items() if key != "float32"}
    return {**others, "float32": [*(mixed or {}).get("float32", ()), *(f"{name};" for name in outputs)]}


def _scope_patterns(scopes: Iterable[str]) -> Iterable[str]:
    """One regular expression for them all: the quantizer tries each expression on each operator."""
    expression = "|".join(map(re.escape, scopes))
    return [f"^(?:{expression})$"] if expression else []


def is_integer(mixed: Mixed | None, scope: str) -> bool:
    """Whether an operator computes in integers."""
    if mixed is None:
        return True
    return scope in mixed["int8"] if "int8" in mixed else scope not in mixed.get("float32", ())
