"""What a stranger's Keras configuration would run if it were loaded, found before either Keras sees the file.

One walk over the whole configuration, of `.keras` and `.h5` alike, by structure: wherever a class or a function is named,
it is one of Keras's own (`known_classes`) or one that the user's `--custom-objects` bring. Keras 3 and tf_keras would both
import modules, call what they export and read files that a configuration names, with their safe mode on.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterator, Set
from functools import cache
from typing import Any

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.server_model import known_classes
from edgeship.untrusted import SHOWN, printable

ALLOW = "If you trust the file, allow it with --allow-unsafe"
# Whose names are no custom classes of the user: it is not his module that is missing.
FOREIGN = sys.stdlib_module_names | {"keras", "tf_keras", "tensorflow", "numpy", "builtins"}
# Where a function is kept as text or bytes beside its kind (Lambda, cell wrappers): field, field_type, field_module.
_CARRIERS = ("function_type", "output_shape_type", "mask_type", "dropout_fn_type", "residual_fn_type")
_FILES = ("vocabulary", "vocabulary_file", "initial_vocabulary")
_WATCHED = frozenset((*_CARRIERS, *_FILES))


@dataclass(frozen=True)
class Finding:
    """What is named in a configuration and may not be: `reason` is the sentence's end, `unknown` a custom class's name."""

    reason: str
    unknown: str = ""


def check(path: object, config: Any, permitted_names: Set[str], refused_ops: Callable[[Any], str]) -> None:
    """Raises InputError for the first thing in the configuration that loading would run without permission.

    `permitted_names` are the names of the user's own classes and functions (with `package>name`, as they are registered);
    `refused_ops(node_def)` the name of an operator in an old layer's NodeDef that is not allowed, or ''.
    """
    for finding in inspect_config(config, permitted_names, refused_ops):
        if finding.unknown:
            raise InputError(
                f"{printable(path)}: '{_short_name(finding.unknown)}' is not part of Keras; name the module that defines it: "
                "--custom-objects package.module"
            )
        raise InputError(f"{printable(path)}: {finding.reason}")


def inspect_config(config: Any, permitted_names: Set[str], refused_ops: Callable[[Any], str]) -> Iterator[Finding]:
    """Everything in the configuration that is neither Keras's own nor permitted, outermost first."""
    pending: list[tuple[Any, str]] = [(config, "")]
    while pending:
        item, layer = pending.pop()
        if isinstance(item, (list, tuple)):
            pending.extend((part, layer) for part in reversed(item))
            continue
        if not isinstance(item, dict):
            continue
        if "class_name" in item:
            layer = _layer_name(item) or layer
            yield from _check_reference(item, layer, permitted_names, refused_ops)
        if not _WATCHED.isdisjoint(item):
            yield from _check_fields(item, layer)
        pending.extend((part, layer) for part in reversed(item.values()))


def _short_name(name: object) -> str:
    return printable(str(name).rsplit(">", 1)[-1])[:SHOWN]


def _layer_name(item: dict[str, Any]) -> str:
    inner = item.get("config")
    name = inner.get("name") if isinstance(inner, dict) else None
    return _short_name(name if isinstance(name, str) else item.get("name") or "")


def _code_finding(layer: str, what: str) -> Finding:
    return Finding(f"layer '{layer}' {what} that loading would execute on this machine. {ALLOW}")


def _check_fields(item: dict[str, Any], layer: str) -> Iterator[Finding]:
    """Fields that carry code or name a file, whatever layer they belong to."""
    for carrier in _CARRIERS:
        if item.get(carrier) == "lambda":
            yield _lambda_finding(layer)
    for key in _FILES:
        if isinstance(item.get(key), str):
            place = printable(item[key])[:SHOWN]
            yield Finding(f"layer '{layer}' reads the vocabulary file {place!r} of this machine. {ALLOW}")


def _lambda_finding(layer: str) -> Finding:
    return Finding(
        f"layer '{layer or 'lambda'}' carries Python code (a Lambda) that loading would execute on this machine. {ALLOW}; "
        "better, rebuild it with keras.ops or a registered layer"
    )


def _check_reference(
    item: dict[str, Any], layer: str, permitted_names: Set[str], refused_ops: Callable[[Any], str]
) -> Iterator[Finding]:
    name, module = item["class_name"], item.get("module")
    registered_name = item.get("registered_name", name)
    if not isinstance(name, str) or not all(
        value is None or isinstance(value, str) for value in (module, registered_name)
    ):
        yield Finding("a class in its configuration is not named by a text; is the file damaged?")
    elif _is_value(item, name):
        return
    elif name == "__typespec__":
        yield from _check_type_spec(item, module, layer)
    elif name == "function":
        yield from _check_function(item, layer, permitted_names)
    elif name in ("Lambda", "__lambda__"):
        if name == "__lambda__" or not _is_permitted_lambda(item.get("config"), permitted_names):
            yield _lambda_finding(layer)
    elif name in known_classes.CODE:
        yield _code_finding(layer or name, f"({name}) {known_classes.CODE[name]}")
    elif not item.keys() & {"config", "module", "registered_name"}:
        return  # a value of some layer's own: nothing is built from it but one of Keras's parts, without arguments
    else:
        yield from _check_class(name, module, registered_name, layer, "module" in item, permitted_names)
        yield from _check_operators(name, item.get("config"), layer, refused_ops)


def _is_value(item: dict[str, Any], name: str) -> bool:
    """Whether it is written as a value. With a module or a registered name tf_keras would look for a class there instead."""
    plain = not item.keys() & {"module", "registered_name"}
    return plain and (name in known_classes.VALUES or (name == "TypeSpec" and isinstance(item.get("type_spec"), str)))


def _check_class(
    name: str, module: str | None, registered_name: str | None, layer: str, new: bool, permitted_names: Set[str]
) -> Iterator[Finding]:
    """A class by name: files of today are looked up by `registered_name` and then `module`, those of before by `name` alone."""
    if new and registered_name in permitted_names:
        return
    kind = _module_kind(module)
    if kind == "operation" and known_classes.OPERATION.fullmatch(name) and registered_name in (None, name):
        return
    known_names = known_classes.CLASSES if new else known_classes.CLASSES | permitted_names
    # One name: tf_keras takes the registered one where the module has no other, and the checks of operators look at `name`.
    if kind == "own" and name in known_names and registered_name in (None, name):
        return
    if kind == "initializer" and name in known_classes.PARTS and registered_name in (None, name):
        return
    of_user = ">" in (registered_name or "") or (module == "builtins" and not hasattr(builtins, name))
    if (module or "").split(".")[0] in FOREIGN and not of_user:
        yield Finding(
            f"layer '{layer}' names {_place_text(module, name)}, which is not among Keras's layers and parts that are known "
            f"to be harmless. {ALLOW}"
        )
    else:
        yield Finding("", unknown=registered_name or name)


@cache
def _module_kind(module: str | None) -> str:
    """What a module of that name holds: Keras's 'own' things, its operations, TensorFlow's initializers, or ''."""
    if module is None or known_classes.MODULE.fullmatch(module):
        return "own"
    if known_classes.OPERATIONS.fullmatch(module):
        return "operation"
    return "initializer" if known_classes.INITIALIZERS.fullmatch(module) else ""


def _place_text(module: object, name: object) -> str:
    return repr(printable(f"{module}.{name}" if module else name)[:SHOWN])


def _is_permitted_lambda(config: Any, permitted_names: Set[str]) -> bool:
    """Whether a Lambda calls only functions that the user's modules bring; those that are dicts are walked themselves."""
    if not isinstance(config, dict):
        return False

    def is_harmless(value: Any) -> bool:
        if isinstance(value, str):
            return value in permitted_names
        return isinstance(value, dict) and value.get("class_name") == "function"

    def is_shape(value: Any) -> bool:
        return value is None or isinstance(value, int) or (isinstance(value, list) and all(map(is_shape, value)))

    kinds = all(config.get(carrier) in (None, "function", "raw") for carrier in _CARRIERS)
    others = all(is_harmless(value) or is_shape(value) for value in (config.get("output_shape"), config.get("mask")))
    return kinds and others and is_harmless(config.get("function"))


def _check_function(item: dict[str, Any], layer: str, permitted_names: Set[str]) -> Iterator[Finding]:
    """A function by name: Keras's own activations, losses and metrics, or the user's."""
    name, module, registered_name = item.get("config"), item.get("module"), item.get("registered_name")
    if not isinstance(name, str):
        yield _code_finding(layer or "function", "names a function by something that is no text,")
        return
    known_names = known_classes.FUNCTIONS | permitted_names
    own = module == "builtins" or _module_kind(module) == "own"
    if registered_name in (None, "function", name) or registered_name in known_names:
        if name in permitted_names or (own and name in known_names):
            return
        custom = module in (None, "builtins") or str(module).split(".")[0] not in FOREIGN
        if custom and not hasattr(builtins, name):
            yield Finding("", unknown=name)
            return
    yield Finding(
        f"layer '{layer}' names the function {_place_text(module, name)}, which loading would take from there. {ALLOW}"
    )


def _check_type_spec(item: dict[str, Any], module: str | None, layer: str) -> Iterator[Finding]:
    name = item.get("spec_name")
    is_known = isinstance(name, str) and name in known_classes.SPECS and item.get("registered_name") is None
    if not is_known or not known_classes.SPEC_MODULE.fullmatch(module or ""):
        yield Finding(f"layer '{layer}' names the type {_place_text(module, name)}, which loading would call. {ALLOW}")


def _check_operators(name: str, config: Any, layer: str, refused_ops: Callable[[Any], str]) -> Iterator[Finding]:
    """What layers that stand for one of TensorFlow's functions call: it must compute and nothing else."""
    config = config if isinstance(config, dict) else {}
    callee = ""
    if name in ("TFOpLambda", "SlicingOpLambda"):
        callee = "" if _is_computation(config.get("function")) else f"tf.{config.get('function')}"
    elif name == "TensorFlowOpLayer":
        callee = refused_ops(config.get("node_def"))
    elif name == "ClassMethod":
        pair = [str(config.get(key)) for key in ("cls_symbol", "method_name")]
        is_known = pair[0] in known_classes.TENSOR_CLASSES and pair[1] in known_classes.TENSOR_METHODS
        callee = "" if is_known else ".".join(pair)
    elif name in ("InstanceMethod", "InstanceProperty"):
        attribute = str(config.get("attr_name"))
        callee = "" if attribute in known_classes.TENSOR_METHODS else attribute
    if callee:
        yield Finding(
            f"layer '{layer}' ({name}) calls {_place_text('', callee)}, which is not known to be harmless: it may touch files "
            f"or the network. {ALLOW}"
        )


def _is_computation(symbol: Any) -> bool:
    match = known_classes.SYMBOL.fullmatch(symbol) if isinstance(symbol, str) else None
    if match is None:
        return False
    if match["keras"]:
        return match["keras"] in known_classes.FUNCTIONS
    return match["name"] is None or match["name"] in known_classes.SYMBOLS
