"""Names that hold in every format: unique identifiers, made from whatever a model calls its inputs and outputs.

TensorFlow turns a signature's inputs into Python arguments, ONNX wants names unique over a graph's inputs and outputs,
and apps use them as keys: so a canonical name is letters, digits and underscores, and occurs once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def make_canonical(
    raw_names: Iterable[str], used_names: Iterable[str] = (), suffix: str = ""
) -> tuple[list[str], list[str]]:
    """Valid and unique names for the wanted ones, in order, and a note for every name that had to change.

    `used_names` are names used already (an output must not be called like an input); a clash with one of them is solved by
    appending `suffix`, any other by a counter.
    """
    used_names, names, notes = set(used_names), list[str](), list[str]()
    for name in raw_names:
        valid = re.sub(r"[^0-9A-Za-z_]+", "_", re.sub(r":0$", "", name)).strip("_") or "tensor"
        valid = f"t_{valid}" if valid[0].isdigit() else valid
        free = f"{valid}{suffix}" if valid in used_names and suffix else valid
        count = 1
        while free in used_names or free in names:
            free, count = f"{valid}{suffix}_{count}", count + 1
        if free != name:
            notes.append(f"'{name}' is called '{free}' in every format")
        names.append(free)
    return names, notes


def flatten_structure(structure: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    """The tensors of a nested structure with the path to each; dicts in sorted order as Keras flattens them, None left out."""
    if structure is None:
        return []
    if isinstance(structure, Mapping):
        keys = list(structure) if type(structure).__name__ == "OrderedDict" else sorted(structure, key=str)
        return [leaf for key in keys for leaf in flatten_structure(structure[key], (*path, str(key)))]
    if hasattr(structure, "_fields"):
        return [leaf for key in structure._fields for leaf in flatten_structure(getattr(structure, key), (*path, key))]
    if isinstance(structure, Sequence) and not isinstance(structure, str):
        return [leaf for index, item in enumerate(structure) for leaf in flatten_structure(item, (*path, index))]
    return [(path, structure)]


def rebuild_structure(structure: Any, values: Iterable[Any]) -> Any:
    """The same structure with its tensors replaced, in the order of `flatten_structure`, by `values`."""
    stream = iter(values)

    def build_part(part: Any) -> Any:
        if part is None:
            return None
        if isinstance(part, Mapping):
            keys = list(part) if type(part).__name__ == "OrderedDict" else sorted(part, key=str)
            by_key = {key: build_part(part[key]) for key in keys}
            return {key: by_key[key] for key in part}
        if hasattr(part, "_fields"):
            return type(part)(*(build_part(getattr(part, key)) for key in part._fields))
        if isinstance(part, Sequence) and not isinstance(part, str):
            return (
                [build_part(item) for item in part]
                if isinstance(part, list)
                else tuple(build_part(item) for item in part)
            )
        return next(stream)

    return build_part(structure)


def from_path(path: tuple[str | int, ...], fallback: str) -> str:
    """The name that a place in a structure suggests: its keys joined; the fallback where it has no key."""
    return "_".join(map(str, path)) if any(isinstance(step, str) for step in path) else fallback
