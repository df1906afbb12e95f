"""Trial files of a search: written, judged as the gate would judge the artifact, and remembered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import IntEnum
from pathlib import Path

from edgeship import types
from edgeship.benchmarks.gate.advice import is_within_limit
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.noise_floor import FLOAT, PeerNoise
from edgeship.bundle.verdict import Check
from edgeship.errors import EdgeshipError, ProcessError
from edgeship.formats.formats import FILES
from edgeship.light_dataclass import dataclass
from edgeship.optimize.quantize.mixed_precision_search import HighPrecisionLayers
from edgeship.optimize.quantize.reports import QuantizationReport
from edgeship.pipeline.layerwise import candidate
from edgeship.pipeline.layerwise.layer_sensitivity import LayerwiseModel
from edgeship.settings.variants import Variant
from edgeship.storage import digest
from edgeship.types import Artifact, Verdict


class Standing(IntEnum):
    """What a trial file is worth to the gate, from least to most; UNDECIDED: nothing fails, with too few samples for a PASS."""

    FAILS = 0
    UNDECIDED = 1
    PASSES = 2
    HAS_ROOM = 3


@dataclass(frozen=True)
class Trial:
    """An int8 file with inputs and outputs of type `io` and the layers `kept` in a higher `precision`."""

    io: str
    kept: HighPrecisionLayers
    precision: str = "float32"


@dataclass(frozen=True)
class JudgedTrial:
    """What a trial file is worth, why it is not worth more, and how many samples would decide (infinite: no number would).

    `noise`: the SQNR in dB of each output.
    """

    standing: Standing
    reason: str = ""
    samples_needed: float = 0.0
    noise: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class OtherFormat:
    """What the same variant needed in another format: Keras layers in higher precision, and the noise that is left."""

    artifact: str
    layers: tuple[str, ...]
    noise: Mapping[str, float]


def keras_layers(names: Sequence[str]) -> set[str]:
    """The Keras layers behind the names of a file's layers, which join what was fused."""
    return {part for name in names for part in name.split(" + ")}


@dataclass
class Trials:
    """The trial files of one model, in the folder `scratch`, and what `every` sample, or a `few`, say of them."""

    layerwise: LayerwiseModel
    variant: Variant
    budget: Budget
    every: candidate.CandidateJudge
    few: candidate.CandidateJudge
    others: Sequence[OtherFormat] = ()
    scratch: Path = Path()
    known: dict[tuple[Trial, bool], JudgedTrial] = field(default_factory=dict)
    crashed: bool = False  # a runtime went down, which another time may not be so
    reports: dict[Trial, QuantizationReport] = field(default_factory=dict)

    def write(self, trial: Trial) -> Path:
        """The file, written where it is not there yet. Raises EdgeshipError where it cannot be made, or no runtime loads it."""
        suffix = Path(FILES[self.layerwise.format]).suffix
        path = self.scratch / f"{digest.of_json([trial.io, trial.precision, list(trial.kept)])[:16]}{suffix}"
        if trial not in self.reports:
            layers = [self.layerwise.layers[index] for index in trial.kept]
            self.reports[trial] = self.layerwise.write(path, trial.io, **{trial.precision: layers})
        return path

    def report(self, trial: Trial) -> QuantizationReport:
        """What quantizing it told; raises as `write`."""
        self.write(trial)
        return self.reports[trial]

    def names(self, kept: HighPrecisionLayers) -> tuple[str, ...]:
        """The names of these layers."""
        return tuple(self.layerwise.layers[index].name for index in kept)

    def judge(self, trial: Trial, *, all_samples: bool = True) -> JudgedTrial:
        """What a file is worth on all samples; by a look at a few, whether it may be worth anything at all."""
        if (trial, all_samples) not in self.known:
            self.known[trial, all_samples] = self._judge_anew(trial, all_samples)
        return self.known[trial, all_samples]

    def _judge_anew(self, trial: Trial, all_samples: bool) -> JudgedTrial:
        judge, file_format = self.every if all_samples else self.few, self.layerwise.format
        try:
            details = judge.judge(self.write(trial), file_format)
        except EdgeshipError as error:  # a file that no runtime can load, or that crashes one
            self.crashed |= isinstance(error, ProcessError) and error.died
            return JudgedTrial(Standing.FAILS, str(error))
        # What was trained further is another model than the server's: the floors of plain quantization do not hold for it.
        before = (types.Step("optimize", ""),) if self.variant.recipes else ()
        artifact = Artifact(Path("trial"), file_format, self.variant.name, (), (), before)
        checks = candidate.gate(artifact, "auto", details, self.budget, self._peers(trial.kept))
        bad = [check for check in checks if check.verdict is not Verdict.PASS]
        failed = [check for check in bad if _rules_out(check, all_samples=all_samples)]
        narrow = candidate.find_narrow_passes(details, checks, self.budget.for_artifact(artifact.id))
        reason = "; ".join([*(f"{check.check}: {check.reason}" for check in bad), *narrow])
        standing = Standing.HAS_ROOM
        for found, at_most in ((narrow, Standing.PASSES), (bad, Standing.UNDECIDED), (failed, Standing.FAILS)):
            standing = min(standing, at_most) if found else standing
        needed = max((check.samples_needed or math.inf for check in bad), default=0.0)
        noise = {name: item.sqnr_db for name, item in (details.parity or {}).items() if item.sqnr_db is not None}
        return JudgedTrial(standing, reason, needed, noise)

    def _peers(self, kept: HighPrecisionLayers) -> dict[str, PeerNoise]:
        """The noise of the other formats' files that keep no layer which this one does not (see `noise_floor`)."""
        mine, peers = keras_layers(self.names(kept)), dict[str, PeerNoise]()
        for other in self.others:
            for name, sqnr_db in other.noise.items() if {*other.layers} <= mine else ():
                if sqnr_db < FLOAT and (name not in peers or sqnr_db > peers[name].sqnr_db):
                    peers[name] = PeerNoise(other.artifact, sqnr_db)
        return peers


def _rules_out(check: Check, *, all_samples: bool) -> bool:
    """Whether a check that is no PASS rules a file out: for good, or (a look at few samples) on any others as well."""
    if all_samples:
        return check.verdict is Verdict.FAIL or not is_within_limit(check)
    near = check.unit == "dB" and (check.value or 0) >= (check.limit or 0) - candidate.RESERVE_DB
    return check.verdict is Verdict.FAIL and not near
