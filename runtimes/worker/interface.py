"""What `open_backend()` of a runtime's file (`edgeship.runtimes.engines`) provides."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from edgeship.processes.wire import Arrays

# A TensorSpec as JSON: {"name", "shape", "dtype", "quantization": {"scale", "zero_point", "axis"} or None}.
Spec = dict[str, Any]


class Model(Protocol):
    """A loaded model: inputs and outputs under the artifact's own names and dtypes."""

    inputs: list[Spec]
    outputs: list[Spec]
    engine: dict[str, Any]

    def run(self, feeds: Arrays) -> Arrays:
        """One inference of exactly the batch given."""
        ...


def prepare_inference(model: Model, feeds: Arrays) -> Callable[[], object]:
    """One inference as a call without arguments; of interpreters only the inference itself, without copies in and out."""
    prepare = getattr(model, "prepare_inference", None)
    if prepare is None:
        return lambda: model.run(feeds)
    call: Callable[[], object] = prepare(feeds)
    return call


def profile_operators(model: Model, feeds: Arrays) -> dict[str, Any]:
    """What `Model.profile(feeds)` gives, of models that have it. Raises RuntimeError for those that do not."""
    profile = getattr(model, "profile", None)
    if profile is None:
        raise RuntimeError("this runtime has no profiler that is known here")
    answer: dict[str, Any] = profile(feeds)
    return answer


def open_clients(model: Model, count: int) -> list[Model]:
    """So many clients of a server's model, each with a connection of its own. Raises RuntimeError for other models."""
    open_client = getattr(model, "open_client", None)
    if open_client is None:
        raise RuntimeError("only a server is asked by several clients at once")
    return [open_client() for _ in range(count)]


class Backend(Protocol):
    """A runtime, imported: memory can be read between that and `load`."""

    VERSION: str

    def load(self, path: str, threads: int, options: dict[str, Any]) -> Model:
        """Open the model and make it ready to run."""
        ...


def tensor_spec(name: str, shape: list[int | None], dtype: str, quantization: dict[str, Any] | None = None) -> Spec:
    """The JSON of `edgeship.types.TensorSpec`, which a worker elsewhere does not have."""
    return {"name": name, "shape": shape, "dtype": dtype, "quantization": quantization}
