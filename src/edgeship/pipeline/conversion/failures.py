"""What becomes of an artifact that cannot be made, or not run when it is made: why, in which layers, and what to try."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from edgeship.benchmarks.measure import failure_reasons
from edgeship.bundle.verdict import FailedArtifact
from edgeship.errors import EdgeshipError, InputError, MissingDependencyError, brief_message
from edgeship.formats import formats
from edgeship.formats.formats import FILES
from edgeship.formats.layer_names import LayerNames, scope
from edgeship.pipeline.step_queue import CachedStep, Outcome, State, Step
from edgeship.recipes.quantization import needs_data
from edgeship.settings.variants import Variant, recipe_refusal

LONGEST = 1000  # characters of a reason
# Further recipes by how much they leave of int8: the first that the format has are worth a try.
OTHER_RECIPES = ("auto", "dynamic_w8", "weight_only_w8", "float16")
EXPORT, CONVERT, CHECK, RUN, TRAIN, DESCRIBE = "export", "convert", "check", "run", "optimize", "metadata"


def is_of_variant(error: BaseException | None) -> bool:
    """Whether an error says something of one artifact; others are the machine's, the user's wish to stop, or a bug."""
    return isinstance(error, EdgeshipError) and not isinstance(error, MissingDependencyError)


def is_misconfigured(error: BaseException | None, step: str) -> bool:
    """Whether an error says that a training, or what a file says of itself, was asked for wrongly.

    That is the configuration's mistake, and no artifact's failure.
    """
    return isinstance(error, InputError) and step in (TRAIN, DESCRIBE)


def find_step(error: BaseException, outcomes: Mapping[str, Outcome], steps: Mapping[str, Step]) -> str:
    """What was being done when an error came up: a kind of step such as `convert` or `quantize`."""
    failed = [name for name, item in outcomes.items() if item.state is State.FAILED and item.error is error]
    step = steps.get(failed[0]) if failed else None
    return step.kind.partition("-")[0] if isinstance(step, CachedStep) else CHECK


def join_errors(errors: Mapping[str, EdgeshipError]) -> EdgeshipError:
    """One error for artifacts (by id) of which none can be had: what each says, once, as the first one's kind."""
    texts = dict.fromkeys(_name_artifact(name, error) for name, error in errors.items())
    layers = dict.fromkeys(layer for error in errors.values() for layer in error.layers)
    first = next(iter(errors.values()))
    return first if len(texts) == 1 and str(first) in texts else type(first)("\n".join(texts)).about(layers)


def _name_artifact(name: str, error: EdgeshipError) -> str:
    """What an error says, with the artifact where it does not follow from that; input errors name what was given."""
    text = str(error)
    return text if isinstance(error, InputError) or text.startswith(name) else f"{name}: {text}"


def describe_failure(
    error: EdgeshipError,
    variant: Variant,
    file_format: str,
    step: str,
    others: Sequence[str] = (),
    layers: Sequence[str] = (),
) -> FailedArtifact:
    """The record of an artifact that could not be had.

    `others` are the formats that were asked for beside its own, `layers` the Keras model's.
    """
    artifact = f"{file_format}/{variant.name}"
    text = brief_message(failure_reasons.shorten_message(str(error)), LONGEST)
    # A file in the cache is nobody's but ours, and the artifact's name stands beside the reason.
    reason = re.sub(rf"^(?:{re.escape(artifact)}|\S*{re.escape(FILES[file_format])}): ", "", text)
    at = error.layers or _layers_of_names(reason, layers)
    return FailedArtifact(artifact, step, reason, at, _advise(variant, file_format, step, others))


def _layers_of_names(text: str, layers: Sequence[str]) -> tuple[str, ...]:
    """The layers of the operators and tensors that a message names."""
    names = [name for name in re.findall(r"[\w.:;-]+(?:/[\w.:;-]+)+", text) if scope(name)]
    known = LayerNames(layers, names)
    return tuple(dict.fromkeys(layer for name in names for layer in known.layers_of(name)))


def _advise(variant: Variant, file_format: str, step: str, others: Sequence[str]) -> str:
    """What to try instead."""
    ways = []
    if step in (EXPORT, CONVERT) and others:
        ways.append(f"--to {','.join(others)}")
    if step not in (EXPORT, CONVERT) and variant.quantize != "float32":
        auto, not_int8 = variant.quantize == "auto", step == CHECK and variant.quantize == "static_w8a8"
        tried = variant.io == "float32" or (auto and variant.io == "auto") or not_int8
        if needs_data(variant.quantize) and formats.find(file_format).integer_io and not tried:
            ways.append('io = "float32"')
        # A file with too little int8 in it has no more of it with further layers in float.
        without = {variant.quantize, *(("auto",) if not_int8 else ())}
        recipes = [name for name in OTHER_RECIPES if name not in without and not recipe_refusal(name, file_format)]
        ways.append(f"another recipe ({', '.join(recipes)})")
    ways.append(f'optional = ["{file_format}/{variant.name}"] in [budget] to ship without it')
    return f"try {', or '.join(ways)}"
