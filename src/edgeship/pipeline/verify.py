"""`edgeship verify`: replay a bundle's goldens through every runtime that is present."""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from edgeship import untrusted
from edgeship.bundle import goldens
from edgeship.bundle.bundle import MANIFEST, Bundle
from edgeship.bundle.head_learning import FILE, FOLDER
from edgeship.bundle.manifest import GoldenRun, GoldenSet
from edgeship.data import Array, Batch
from edgeship.errors import CheckError, EdgeshipError, InputError
from edgeship.light_dataclass import dataclass
from edgeship.runtimes import bridging, registry
from edgeship.runtimes.session import open_session
from edgeship.types import Artifact, TensorSpec

UNBOUNDED = 1e9  # the share of a tolerance where there is no number for it
MAKE_GOLDENS = "; edgeship benchmark FILE --server MODEL --out BUNDLE writes them"  # earlier versions did not
NUMBERS = "biufc"  # kinds of numpy's dtypes that can be compared


@dataclass(frozen=True)
class Replay:
    """One artifact on one runtime: `worst` is the largest error over its tolerance, None where it did not run."""

    artifact: str
    runtime: str
    passed: bool
    worst: float | None
    reason: str = ""
    optional: bool = False


def replay_goldens(bundle: Bundle) -> list[Replay]:
    """Replay the goldens of every artifact; an artifact that no runtime could replay is not passed.

    An artifact that the bundle's budget lists as optional may be left out, and is marked so. Raises CheckError where there
    is nothing to replay.
    """
    root = untrusted.printable(bundle.root)
    if not bundle.manifest.artifacts:
        raise CheckError(f"{root}: holds no artifact, so nothing was replayed")
    inputs = golden_arrays(bundle, "inputs")
    golden_arrays(bundle, "outputs")  # the server model's, which pages and apps compare with
    recorded = bundle.manifest.goldens or GoldenSet()
    samples = max((len(array) for array in inputs.values() if array.ndim), default=0)
    if not samples or samples != recorded.samples:
        raise CheckError(f"{root}: its goldens hold {samples} samples, and its manifest says {recorded.samples}")
    with untrusted.damage_as_input_error(bundle.root / MANIFEST):
        artifacts, optional = (
            bundle.artifacts,
            list((bundle.manifest.config or {}).get("budget", {}).get("optional", ())),
        )
        left_out = {item.id for item in artifacts if any(fnmatch.fnmatch(item.id, pattern) for pattern in optional)}
    replays: list[Replay] = []
    for artifact in artifacts:
        golden = recorded.artifacts.get(artifact.id)
        fitting = [item for item in registry.for_format(artifact.format) if not item.refusal(artifact)]
        present = [runtime for runtime in fitting if not runtime.unavailable_reason()]
        if golden is None:
            reason = f"not replayed: the bundle has no goldens of it{MAKE_GOLDENS if artifact.bridge else ''}"
            replays.append(Replay(artifact.id, "", False, None, reason))
        elif not present or golden.runtime is None:
            reason = (
                registry.for_format(artifact.format)[0].unavailable_reason()
                or "it was not run when the bundle was made"
            )
            replays.append(Replay(artifact.id, "", False, None, f"not replayed: {reason}", artifact.id in left_out))
        else:
            answers = Answers(golden_arrays(bundle, artifact.id), golden)
            replays += [replay_artifact(artifact, runtime.name, inputs, answers) for runtime in present]
    return [*replays, *_replay_learning(bundle)]


def _replay_learning(bundle: Bundle) -> Iterator[Replay]:
    """The training step and the bases of a bundle that has them."""
    learning = bundle.manifest.learning
    if learning is None:
        return
    from edgeship.pipeline.learning_head import check

    try:
        with untrusted.damage_as_input_error(bundle.root / FOLDER):  # arrays of any names and shapes
            for item in check.replay_learning(bundle.root, learning):
                worst = item.share if item.share is None or item.share <= UNBOUNDED else UNBOUNDED
                yield Replay(item.artifact, item.runtime, not item.reason, worst, item.reason)
    except InputError as error:
        yield Replay(f"{FOLDER}/{FILE}", "", False, None, str(error))


def replay_problem(replays: Sequence[Replay]) -> str:
    """Why the replays are no match, or an empty text: all that need not be left out must match, and at least one must."""
    failures = [item.artifact for item in replays if not item.passed and not item.optional]
    if failures:
        return f"no match: {', '.join(dict.fromkeys(failures))}"
    return "" if any(item.passed for item in replays) else "nothing was replayed, so nothing is known to match"


def golden_arrays(bundle: Bundle, name: str) -> Batch:
    """Arrays of the goldens. Raises CheckError where there are none."""
    try:
        with untrusted.damage_as_input_error(bundle.root / "goldens" / f"{name.replace('/', '-')}.npz"):
            arrays = goldens.read_goldens(bundle.root / "goldens", name)
    except InputError as error:
        raise CheckError(f"nothing was replayed: {error}") from error
    if not arrays:
        raise CheckError(f"{untrusted.printable(bundle.root)}: its goldens '{name}' are empty, so nothing was replayed")
    if strange := [key for key, array in arrays.items() if array.dtype.kind not in NUMBERS]:
        problem = (
            f"its goldens '{name}' hold no numbers under '{untrusted.printable(strange[0])}', so nothing was replayed"
        )
        raise CheckError(f"{untrusted.printable(bundle.root)}: {problem}")
    return arrays


@dataclass(frozen=True)
class Answers:
    """What an artifact must give: its `own` outputs, and what the manifest says of them, which may be anything."""

    own: Batch
    golden: GoldenRun

    def tolerance(self, name: str, step: float = 0.0) -> float:
        """How far an output may be off; `step` between its values where the runtime gives integers.

        Raises CheckError for what is no tolerance: none, no number, or beyond all sense.
        """
        if name not in self.own:
            raise CheckError(f"output '{name}' is not among its goldens")
        value: Any = (self.golden.tolerance or {}).get(name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not 0 < value <= sys.float_info.max:
            value_text = untrusted.shorten_text(repr(value), untrusted.SHOWN)
            raise CheckError(f"output '{name}' has no tolerance: {value_text} is not a number above 0")
        most = goldens.largest_tolerance(self.own[name], step)
        if value > most * (1 + 1e-6):
            raise CheckError(f"output '{name}' has a tolerance of {value:.3g}, at most {most:.3g} says anything here")
        return float(value)

    def clear_samples(self, name: str) -> list[int]:
        """The samples whose answer must be the same; earlier bundles name none. Raises CheckError for others."""
        indices = (self.golden.clear or {}).get(name, [])
        count = len(self.own[name]) if self.own[name].ndim else 0
        whole = isinstance(indices, list) and all(isinstance(item, int) and 0 <= item < count for item in indices)
        if not whole or (indices and self.own[name].ndim < 2):
            raise CheckError(f"output '{name}': its list of clear answers names samples that are not there")
        return list(indices)


def replay_artifact(artifact: Artifact, runtime: str, inputs: Batch, answers: Answers) -> Replay:
    """Run `inputs` through an artifact and compare with the outputs that it must give, as far as they may be off.

    A model that takes longer than `untrusted.limits().replay_seconds` has failed.
    """
    limit = untrusted.limits().replay_seconds
    try:
        with untrusted.damage_as_input_error("its bridge"):  # of a stranger's file: tensors' names and axes
            output_names = {spec.name for spec in bridging.describe_tensors(artifact.outputs, artifact.bridge)}
            with open_session(runtime, artifact.path, timeout=limit, bridge=artifact.bridge) as session:
                outputs, specs = session.run(inputs), session.outputs
    except EdgeshipError as error:
        return Replay(artifact.id, runtime, False, None, str(error))
    if not output_names or not output_names == answers.own.keys() == outputs.keys():
        names = ", ".join(sorted(output_names ^ outputs.keys() | output_names ^ answers.own.keys()))
        reason = f"its outputs are not those of its goldens: {names or 'none'}"
        return Replay(artifact.id, runtime, False, None, reason)
    reasons, worst = [], 0.0
    for spec in specs:  # as the runtime has them: what the manifest says of scales is a claim
        try:
            with untrusted.damage_as_input_error(
                f"output '{spec.name}'"
            ):  # goldens may be text, and a step of quantization anything
                share, reason = _compare_output(spec, outputs[spec.name], answers)
        except InputError as error:
            share, reason = UNBOUNDED, str(error)
        worst = max(worst, share) if np.isfinite(share) else UNBOUNDED
        reasons += [reason] if reason else []
    return Replay(artifact.id, runtime, not reasons, worst, "; ".join(reasons))


def _compare_output(spec: TensorSpec, got: Array, answers: Answers) -> tuple[float, str]:
    """An output's error as a share of its tolerance, and why it is no match, or an empty text."""
    name, own = spec.name, answers.own[spec.name]
    if got.shape != own.shape:
        return UNBOUNDED, f"output '{name}' has shape {got.shape}, not {own.shape}"
    if got.dtype.kind not in NUMBERS:
        return UNBOUNDED, f"output '{name}' is of type {got.dtype}, which is no number"
    reasons, distance, share = [], goldens.largest_error(got, own), UNBOUNDED
    try:
        integers = spec.dtype.startswith(("int", "uint"))
        tolerance = answers.tolerance(name, spec.quantization.scale[0] if spec.quantization and integers else 0.0)
        share = distance / tolerance
        if not share <= 1:
            reasons.append(f"output '{name}' is off by {distance:.3g}, allowed are {tolerance:.3g}")
    except CheckError as error:
        reasons.append(str(error))
    try:
        clear = answers.clear_samples(name)
        if flips := int((got[clear].argmax(-1) != own[clear].argmax(-1)).sum()) if clear else 0:
            reasons.append(f"output '{name}' gives another answer for {flips} of {len(clear)} clear samples")
    except CheckError as error:
        reasons.append(str(error))
    return share, "; ".join(reasons)
