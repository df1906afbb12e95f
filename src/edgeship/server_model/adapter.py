"""One shape for every server model: named tensors in, named tensors out, whatever Keras or TensorFlow calls them inside."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.server_model import tensor_names, text_operators
from edgeship.types import TensorSpec

# Presented as float32 at the border: no device runtime takes them, and the reference is float32 (measuring.md 1).
WIDE_OR_HALF = ("float16", "bfloat16", "float64")
TENSORS = ("float32", "int8", "uint8", "int16", "int32", "int64", "bool")


@dataclass(frozen=True)
class Slot:
    """One input as the model itself knows it: its wanted name, shape (None = dynamic) and dtype name."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True)
class Adapter:
    """A loaded model: `call` takes its inputs as a list of tensors in the order of `slots`, gives any structure of tensors.

    `names(structure)` gives one wanted name per leaf of what `call` returned; `model` is what must be kept alive and
    tracked when saving; `layers` are its layers' names; `weights` its weight arrays (anything with a shape).
    """

    loader: str
    model: Any
    slots: tuple[Slot, ...]
    call: Callable[[Sequence[Any]], Any]
    names: Callable[[Any], list[str]]
    layers: tuple[str, ...]
    weights: tuple[Any, ...]
    notes: tuple[str, ...] = ()


def input_specs(adapter: Adapter) -> tuple[tuple[TensorSpec, ...], list[str]]:
    """The inputs under canonical names and dtypes, and notes on what is called otherwise. Raises InputError on text inputs."""
    slots = adapter.slots
    if not slots:
        raise InputError("the model has no inputs; there is nothing to feed it with on a device")
    names, notes = tensor_names.make_canonical(slot.name for slot in slots)
    specs = []
    for slot, name in zip(slots, names, strict=True):
        dtype = "float32" if slot.dtype in WIDE_OR_HALF else slot.dtype
        if dtype not in TENSORS:
            raise InputError(
                f"input '{slot.name}' is of type {slot.dtype}, which no device format takes; export the part of the model "
                f"that begins after text or other host-side preprocessing{_name_text_operators(adapter)}"
            )
        if dtype != slot.dtype:
            notes.append(f"input '{name}' is {slot.dtype} in the model and float32 in every format")
        specs.append(TensorSpec(name, slot.shape, dtype))
    return tuple(specs), notes


def _name_text_operators(adapter: Adapter) -> str:
    """Which operators work on text, for a message; empty where the model cannot be traced as it is."""
    import tensorflow as tf

    specs = [tf.TensorSpec(slot.shape, slot.dtype) for slot in adapter.slots]
    try:
        function = tf.function(lambda *tensors: adapter.call(tensors), autograph=False).get_concrete_function(*specs)
    except Exception:  # a model's own code can fail in any way while it is traced
        return ""
    ends = [tensor.name for tensor in function.outputs]
    nodes = text_operators.text_nodes(text_operators.reachable_nodes(function.graph.as_graph_def(), ends))
    told = text_operators.describe_text_operators(nodes, adapter.layers)
    return f" (on text work {told})" if told else ""


class Outputs:
    """Names the outputs at the first call and keeps to them: flattening, casting to float32, leaving text out."""

    def __init__(self, adapter: Adapter, inputs: Sequence[TensorSpec]) -> None:
        self._adapter, self._input_names = adapter, [spec.name for spec in inputs]
        self._slots = adapter.slots
        self.names: list[str] = []
        self.notes: list[str] = []

    def __call__(self, tensors: Sequence[Any]) -> dict[str, Any]:
        """Run the model on tensors in canonical order and dtype: `{canonical output name: tensor}`."""
        import tensorflow as tf

        feeds = [tf.cast(tensor, slot.dtype) for tensor, slot in zip(tensors, self._slots, strict=True)]
        structure = self._adapter.call(feeds)
        flat = [leaf for _, leaf in tensor_names.flatten_structure(structure)]
        raw_names = self._adapter.names(structure)
        named_tensors: list[tuple[str, Any]] = []
        notes: list[str] = []
        for name, leaf in zip(raw_names, flat, strict=True):
            if isinstance(leaf, (tf.RaggedTensor, tf.SparseTensor)):
                raise InputError(
                    f"output '{name}' is a {type(leaf).__name__}, which no device format expresses; make it dense"
                )
            tensor = tf.convert_to_tensor(leaf)
            if tensor.dtype == tf.string:
                notes.append(f"output '{name}' is text and left out")
                continue
            named_tensors.append(
                (name, tf.cast(tensor, tf.float32) if tensor.dtype.name in WIDE_OR_HALF else tf.identity(tensor))
            )
        if not named_tensors:
            raise InputError("the model has no numeric output; there is nothing to convert")
        names, rename_notes = tensor_names.make_canonical(
            (name for name, _ in named_tensors), self._input_names, "_output"
        )
        self.names, self.notes = names, [*notes, *rename_notes]
        return {name: tensor for name, (_, tensor) in zip(names, named_tensors, strict=True)}


def first_samples(name: str, output: np.ndarray[Any, Any], samples: int) -> np.ndarray[Any, Any]:
    """So many samples of an output. Raises InputError where it has none along its first axis."""
    if not output.ndim:
        raise InputError(f"output '{name}' is one value for a whole batch; give the model one for each sample")
    return output[:samples]


def count_parameters(weights: Sequence[Any]) -> int:
    """How many numbers the weights hold."""
    return sum(int(np.prod([int(size) for size in weight.shape])) for weight in weights)


# Keras wraps what a layer raises in what surrounds it, in `from_config` and in `call`; the cause stands last.
_WRAPPED = "Exception encountered: "
_CALLED = re.compile(
    r"Exception encountered when calling (?!.*Exception encountered when calling )"
    r"(?:layer )?(.+?)\.\n\n(.*?)\n\n(?:Arguments|Call arguments) received by",
    re.DOTALL,
)
_MADE_OF = re.compile(r"deserializing class '(\w+)' using config=\{'name': '([^']+)'")


def root_cause(error: Exception) -> str:
    """What a layer itself raised, of an error of Keras, with the layer; the whole message where it is not of that kind."""
    text = str(error)
    if call := _CALLED.search(text):
        place, cause = call.groups()
        return f"{place}: {cause.rpartition('Error encountered:')[2].strip()}"
    cause, layers = text.rpartition(_WRAPPED)[2], _MADE_OF.findall(text)
    return f"layer '{layers[-1][1]}' ({layers[-1][0]}): {cause}" if layers and cause != text else cause
