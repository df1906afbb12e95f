"""`edgeship debug --profile`: the time of each operator by the runtime's own profiler, by Keras layer where that is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from edgeship.benchmarks.measure import host_noise
from edgeship.bundle import goldens
from edgeship.bundle.bundle import Bundle
from edgeship.bundle.figures.measurement import OperatorTime, OperatorTimes
from edgeship.bundle.manifest import ArtifactEntry
from edgeship.errors import InputError, ProcessError, unknown_name_error
from edgeship.formats.layer_names import LayerNames, scope
from edgeship.pipeline.conversion.source import ModelSource
from edgeship.pipeline.conversion.steps import ConversionSteps
from edgeship.pipeline.step_queue import StepQueue
from edgeship.runtimes import registry
from edgeship.runtimes.session import Session, open_session
from edgeship.settings import config
from edgeship.untrusted import limits, printable

PROFILED = ("tflite", "onnx")
# Profilers tell whole microseconds, and cut off what is below: XNNPACK says 0 of an operator that takes 0.9.
TICK_MS = 0.001
# Tried in turn until at most that share of the time of all operators can be cut off; beyond MOST_ERROR shares say nothing.
SAMPLES = (8, 64, 512, 4096)
RESOLVED, MOST_ERROR = 0.1, 0.5
MOST_BYTES = 64 << 20  # of all inputs


def profile(bundle: Bundle, queue: StepQueue, settings: config.Config, name: str | None) -> OperatorTimes:
    """Time per operator of an artifact, the first one that has a profiler where `name` is None, on a golden, on one thread.

    Raises InputError where the bundle has no such artifact, or its runtime no profiler.
    """
    item = _choose_artifact(bundle, name)
    runtime = registry.for_format(item.format)[0]
    layers = _layer_names(bundle, queue, settings)
    sample = goldens.read_goldens(bundle.root / "goldens", "inputs")
    busy = host_noise.QuietHostWaiter().wait()
    artifact = item.within(bundle.root)
    with queue.progress.step(f"{item.id} on {runtime.name}: time per operator"):
        try:
            with open_session(
                runtime.name, artifact.path, sample=sample, timeout=limits().replay_seconds, bridge=artifact.bridge
            ) as session:
                times, version = _profile_session(session), session.version
        except ProcessError as error:
            raise InputError(f"{printable(item.id)}: no time per operator: {error}") from error
    times = replace(times, operators=tuple(_with_layers(times.operators, layers)))
    return replace(_state_times(times, busy), artifact=item.id, runtime=runtime.name, version=version)


def _profile_session(session: Session) -> OperatorTimes:
    """Times of an inference of one sample, or of the fewest copies of it at once whose times the clock resolves."""
    times, sample = session.profile(), session.sample
    specs = (*session.inputs, *session.outputs)
    size = sum(array.nbytes for array in sample.values())
    for count in SAMPLES if all(spec.shape and spec.shape[0] is None for spec in specs) else ():
        if _clock_error(times) <= RESOLVED or count * size > MOST_BYTES:
            break
        session.sample = {name: np.repeat(array, count, axis=0) for name, array in sample.items()}
        try:
            times = replace(session.profile(), samples=count)
        except ProcessError:  # a network whose batch is fixed inside
            break
    return times


def _clock_error(times: OperatorTimes) -> float:
    """The largest share of all operators' time that the clock can have cut off: a tick of each."""
    ticks = TICK_MS * len(times.operators)
    return ticks / (ticks + _total(times)) if ticks else 0.0


def _total(times: OperatorTimes) -> float:
    """Ms of all operators: the sum of their means, which shares are of."""
    return sum(item.ms or 0.0 for item in times.operators)


def _state_times(times: OperatorTimes, busy: str) -> OperatorTimes:
    """What an inference's times say of one sample; None for what they do not: below the clock, or on a `busy` machine."""
    error, total = _clock_error(times), _total(times)

    def state(operator: OperatorTime) -> OperatorTime:
        ms, low, high = operator.ms or 0.0, operator.low_ms or 0.0, (operator.high_ms or 0.0) + TICK_MS
        known = ms >= TICK_MS
        operator = replace(operator, ms=None, low_ms=None, high_ms=None)
        if known and error <= MOST_ERROR:
            operator = replace(operator, share=ms / total)
        if busy:
            return operator
        if not known:
            return replace(operator, high_ms=high / times.samples)
        return replace(operator, ms=ms / times.samples, low_ms=low / times.samples, high_ms=high / times.samples)

    return replace(
        times,
        operators=tuple(map(state, times.operators)),
        total_ms=None if busy or total < TICK_MS else total / times.samples,
        busy=busy,
        clock_error=error,
    )


def _with_layers(operators: Sequence[OperatorTime], layers: Sequence[str]) -> Iterator[OperatorTime]:
    """The operators with their Keras layers: by their name, else those of what they work on.

    A model's output has a name of its own: what makes it is what the converter made of the layer before.
    """
    names = LayerNames(layers, [operator.name for operator in operators])
    found: dict[str, tuple[str, ...]] = {}
    for operator in operators:
        own = names.layers_of(operator.name) or (() if scope(operator.name) else found.get(operator.reads, ()))
        if operator.name:
            found[operator.name] = own
        yield replace(operator, layers=own)


def _choose_artifact(bundle: Bundle, name: str | None) -> ArtifactEntry:
    items = {item.id: item for item in bundle.manifest.artifacts}
    fitting = [key for key, item in items.items() if item.format in PROFILED]
    if name is not None and name not in items:
        raise unknown_name_error("artifact", name, items, str(bundle.root))
    if not fitting or (name is not None and name not in fitting):
        runtimes = ", ".join(registry.for_format(kind)[0].title for kind in PROFILED)
        raise InputError(
            f"{printable(name or bundle.root)}: its runtime tells no time per operator; {runtimes} do: "
            f"{', '.join(fitting) or 'none here'}"
        )
    return items[name or fitting[0]]


def _layer_names(bundle: Bundle, queue: StepQueue, settings: config.Config) -> tuple[str, ...]:
    """The Keras layers of the server model."""
    settings = replace(settings, data=replace(settings.data, calibration=None))
    steps = ConversionSteps(ModelSource.read(bundle.root / bundle.manifest.server.path, settings), settings)
    name = steps.describe()
    layers: tuple[str, ...] = queue.submit(steps.steps.values())[name].result().layers
    return layers
