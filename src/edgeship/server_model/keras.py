"""Loading Keras files: Keras 3 for what Keras 3 wrote, tf_keras for what Keras 1 and 2 wrote, the other one where that fails."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgeship.errors import InputError, MissingDependencyError, brief_message
from edgeship.processes.working_folder import make_importable
from edgeship.server_model import known_classes, model_files, operators, safety, tensor_names
from edgeship.server_model.adapter import Adapter, Slot, root_cause
from edgeship.server_model.model_files import ModelFile

# How Keras says that its own safe mode refuses a file.
UNSAFE = re.compile(r"safe_mode|[Dd]isallowed|Not allowed|unsafe_deserialization|not a KerasSaveable|escapes the asset")
UNKNOWN = (
    r"Could not locate class '([^']+)'",
    r"Could not locate function '([^']+)'",
    r"Unknown (?:layer|object|activation function|initializer|regularizer|constraint): '?([\w>.]+)'?",
)


def load_custom_objects(modules: str | None) -> dict[str, Any]:
    """The classes and functions of `package.module[,package.module]`, installed ones or in the working folder."""
    objects: dict[str, Any] = {}
    for name in (modules or "").replace(",", " ").split():
        path = name.removesuffix(".py").replace("/", ".")
        try:
            with make_importable(path):
                module = importlib.import_module(path)
        except Exception as error:  # a user's module can fail in any way
            raise InputError(
                f"--custom-objects {name}: cannot be imported from {os.getcwd()} ({type(error).__name__}: {error})"
            ) from error
        objects |= {
            key: value
            for key, value in vars(module).items()
            if not key.startswith("_")
            and (inspect.isclass(value) or inspect.isfunction(value))
            and _is_users_own(path.partition(".")[0], value)
        }
    return objects


def _is_users_own(package: str, value: Any) -> bool:
    """Whether the user meant it: not what his module imports from libraries, which a file could then name, too."""
    origin = str(getattr(value, "__module__", ""))
    top = origin.partition(".")[0]
    if top == package or known_classes.OPERATIONS.fullmatch(origin):
        return top not in sys.stdlib_module_names
    return top not in safety.FOREIGN


def load(file: ModelFile, custom_objects: str | None, allow_unsafe: bool) -> Adapter:
    """The model in that file, ready to be called. Raises InputError naming what is missing or refused."""
    objects = load_custom_objects(custom_objects)
    engines = ("tf_keras", "keras") if file.legacy else ("keras", "tf_keras")
    failures: list[Exception] = []
    with tempfile.TemporaryDirectory(prefix="edgeship-model-") as folder:
        path, notes = model_files.make_loadable(file, Path(folder))
        for engine in engines:
            try:
                keras = _import_engine(engine)
                if not allow_unsafe:
                    permitted_names = frozenset(objects) | frozenset(keras.saving.get_custom_objects())
                    safety.check(file.path, _read_by_keras(file), permitted_names, operators.refused_layer)
                model = _load_model(keras, path, objects, allow_unsafe)
                break
            except Exception as error:  # a foreign file can fail in any way inside Keras
                if not allow_unsafe and UNSAFE.search(str(error)):  # the other Keras may not be as careful
                    raise InputError(
                        f"{file.path}: {engine} refuses it as unsafe ({_short_message(error)}). {safety.ALLOW}"
                    ) from error
                failures.append(error)
        else:
            raise _explain_failure(file, failures[0], engines[0])
    writer_text = f"written by Keras {file.writer}" if file.writer else "written by an old Keras"
    if failures:
        notes.append(f"{writer_text}; {engines[0]} cannot load it ({_short_message(failures[0])}), so {engine} does")
    elif engine == "tf_keras":
        notes.append(f"{writer_text}: loaded with tf_keras, whose layers compute as that version did")
    return make_adapter(model, engine, notes)


def _read_by_keras(file: ModelFile) -> dict[str, Any]:
    """The configuration without what loading a `.keras` file skips: how the model as a whole was trained."""
    return {key: value for key, value in file.config.items() if key != "compile_config" or file.kind != "keras"}


def _import_engine(engine: str) -> Any:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        return importlib.import_module(engine)
    except ImportError as error:
        raise MissingDependencyError(
            f"loading this model needs {engine}, which is not installed: pip install 'edgeship[tensorflow]'"
        ) from error


def _load_model(keras: Any, path: Path, objects: dict[str, Any], allow_unsafe: bool) -> Any:
    # Names that Keras makes up while loading count from here, so that they do not depend on what was loaded before.
    keras.backend.clear_session()
    options = {"safe_mode": not allow_unsafe}
    model = keras.models.load_model(os.fspath(path), custom_objects=objects, compile=False, **options)
    if not isinstance(model, keras.Model):
        raise InputError(f"{path.name} holds a {type(model).__name__}, not a model")
    return model


def _short_message(error: Exception) -> str:
    return f"{type(error).__name__}: {brief_message(root_cause(error))}"


def _explain_failure(file: ModelFile, error: Exception, engine: str) -> Exception:
    """The error for a file that no Keras loads: the custom object's name where that is the cause."""
    if isinstance(error, (InputError, MissingDependencyError)):
        return error
    for pattern in UNKNOWN:
        if match := re.search(pattern, str(error)):
            name = match.group(1)
            return InputError(
                f"{file.path}: '{name}' is not part of Keras; name the module that defines it: "
                "--custom-objects package.module"
            )
    if file.config.get("class_name") and not isinstance(error, (TypeError, ValueError)):
        return InputError(f"{file.path}: cannot be loaded by {engine} ({_short_message(error)})")
    return InputError(f"{file.path}: {engine} cannot load it: {_short_message(error)}")


def make_adapter(model: Any, engine: str, notes: Sequence[str] = ()) -> Adapter:
    """A loaded Keras model as an `Adapter`. Raises InputError where it was never built, so that its inputs are unknown."""
    structure = _functional_inputs(model)
    names = _output_namer(model, structure is not None)
    _make_scopes_valid(model)
    layers = tuple(dict.fromkeys(layer.name for layer in _flatten_layers(model)))
    weights = tuple(model.weights)
    if structure is None:
        slots, call = _subclassed_inputs(model, engine)
    else:
        tensors = tensor_names.flatten_structure(structure)
        slots = tuple(
            Slot(tensor_names.from_path(path, tensor.name), tuple(tensor.shape), _dtype_name(tensor.dtype))
            for path, tensor in tensors
        )

        def call(feeds: Sequence[Any]) -> Any:
            return model(tensor_names.rebuild_structure(structure, feeds), training=False)

    return Adapter(engine, model, slots, call, names, layers, weights, tuple(notes))


def _dtype_name(dtype: Any) -> str:
    return str(getattr(dtype, "name", dtype))


def _functional_inputs(model: Any) -> Any:
    """The structure of input tensors of a functional or built Sequential model; None for a subclassed one."""
    for holder in (model, getattr(model, "_functional", None)):
        for attribute in ("_inputs_struct", "_nested_inputs"):
            structure = getattr(holder, attribute, None)
            if structure is not None and tensor_names.flatten_structure(structure):
                return structure
    if type(model).__name__ == "Sequential" and not getattr(model, "inputs", None):
        raise InputError(
            "the Sequential model was saved before it knew its input shape; add an Input layer first "
            "(or call it once on data) and save it again"
        )
    return None


def _flatten_layers(model: Any) -> list[Any]:
    return list(model._flatten_layers(include_self=False))


def _subclassed_inputs(model: Any, engine: str) -> tuple[tuple[Slot, ...], Any]:
    """The inputs of a subclassed model, from the shapes that it was built with."""
    shapes = getattr(model, "_build_shapes_dict", None)
    if not shapes and getattr(model, "_build_input_shape", None) is not None:
        shapes = {"input_shape": model._build_input_shape}
    if not shapes:
        raise InputError(
            f"the subclassed model '{type(model).__name__}' was saved before it was called, so its input shape is unknown; "
            "call it once on data and save it again"
        )
    parameters = [name for name in inspect.signature(model.call).parameters if name not in ("self", "training", "mask")]
    dtype = getattr(model, "input_dtype", None) or getattr(model, "compute_dtype", None) or "float32"
    arguments = {key.removesuffix("_shape"): _shape_structure(shape) for key, shape in shapes.items()}
    signature = inspect.signature(model.call).parameters
    mandatory = [
        name
        for name in parameters
        if signature[name].default is inspect.Parameter.empty and signature[name].kind.value < 2
    ]
    if len(mandatory) > max(1, len(arguments)):
        raise InputError(
            f"the subclassed model '{type(model).__name__}' takes several arguments ({', '.join(mandatory)}), but its file "
            "records the shape of the first only; take one dict or list of inputs instead, or save a SavedModel with a signature"
        )
    single = len(arguments) == 1
    if single:
        arguments = {parameters[0] if parameters else "inputs": next(iter(arguments.values()))}
    slots = []
    for argument, structure in arguments.items():
        shape_leaves = tensor_names.flatten_structure(structure)
        for index, (path, shape) in enumerate(shape_leaves):
            name = tensor_names.from_path(path, argument if len(shape_leaves) == 1 else f"{argument}_{index}")
            slots.append(Slot(name, shape.sizes, _dtype_name(dtype)))
    expects = getattr(getattr(model, "_call_spec", None), "expects_training_arg", True)
    options = {"training": False} if engine == "keras" or expects else {}

    def call(feeds: Sequence[Any]) -> Any:
        stream = iter(feeds)
        structures = {
            name: tensor_names.rebuild_structure(
                structure, [next(stream) for _ in tensor_names.flatten_structure(structure)]
            )
            for name, structure in arguments.items()
        }
        return model(next(iter(structures.values())), **options) if single else model(**structures, **options)

    return tuple(slots), call


class _Shape:
    """A shape as one leaf of a structure (as a tuple it would be taken for a structure itself)."""

    def __init__(self, sizes: Sequence[int | None]) -> None:
        self.sizes = (None, *sizes[1:])


def _shape_structure(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape_structure(item) for key, item in value.items()}
    if all(item is None or isinstance(item, int) for item in value):
        return _Shape(tuple(value))
    return [_shape_structure(item) for item in value]


def _make_scopes_valid(model: Any) -> None:
    """Layer names become scopes of the graph, where TensorFlow takes fewer characters than other Keras backends do."""
    for layer in [model, *_flatten_layers(model)]:
        valid = re.sub(r"[^A-Za-z0-9_./>-]", "_", layer.name)
        if valid != layer.name:
            layer.name = valid
    for weight in model.weights:
        variable = getattr(weight, "value", weight)
        name = getattr(variable, "_handle_name", "").removesuffix(":0")
        if name and not re.fullmatch(r"[A-Za-z0-9.][A-Za-z0-9_./>-]*", name):
            variable._handle_name = "v_" + re.sub(r"[^A-Za-z0-9_./>-]", "_", name) + ":0"


def _output_namer(model: Any, functional: bool) -> Callable[[Any], list[str]]:
    """Names for the outputs: keys of a dict, else the functional model's own names, else output_0, output_1, ..."""
    holder = getattr(model, "_functional", None) or model
    own = list(getattr(holder, "output_names", None) or []) if functional else []

    def names(structure: Any) -> list[str]:
        output_leaves = tensor_names.flatten_structure(structure)
        fallback = own if len(own) == len(output_leaves) else [f"output_{index}" for index in range(len(output_leaves))]
        return [tensor_names.from_path(path, fallback[index]) for index, (path, _) in enumerate(output_leaves)]

    return names
