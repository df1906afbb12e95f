"""What is known of an artifact on a device beside this machine: bit-exactness, instructions, estimates, and the parity matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from edgeship.bundle.metric import Count, Number
from edgeship.light_dataclass import dataclass
from edgeship.types import Kind


@dataclass(frozen=True)
class SampleSubset:
    """How many samples were run, of how many, and the seconds that the device gives for them."""

    n: Count
    of: Count
    stratified: bool = False
    seconds: Number | None = None


@dataclass(frozen=True)
class BitExactness:
    """The raw outputs of a device beside this machine's: `differ` of `values` are not the same to the bit.

    `max_steps` is the largest difference of quantized outputs in units of the last place, `steps` how many values have which.
    `agreement` and `max_abs_error` are of the outputs as real numbers. Nothing was compared where `values` is None: `reason`
    says why, `explanation` what that means.
    """

    values: Count | None = None
    differ: Count = 0
    exact: bool = False
    max_steps: Count | None = None
    steps: Mapping[str, Count] = field(default_factory=dict)
    max_abs_error: Number | None = None
    agreement: Number | None = None
    reason: str = ""
    explanation: str = ""
    against: str = ""


@dataclass(frozen=True)
class InstructionCount:
    """Instructions of one inference, by class, and their ratio to those of `against`.

    `counts` are the totals of single runs, `spread` their range; `kernels`: which kind does most of the multiplying.
    """

    total: int
    classes: Mapping[str, int] = field(default_factory=dict)
    kernels: str = ""
    spread: int = 0
    counts: tuple[int, ...] = ()
    against: str = ""
    ratio: Number | None = None


@dataclass(frozen=True)
class NpuEstimate:
    """What the compiler of an NPU says of an artifact; nothing was run. Only a `reason` where it does not compile.

    `npu_op_share`: operators on the NPU, of all after the compiler's own rewriting. `flash_bytes`: weights and code.
    """

    reason: str = ""
    npu_ops: Count = 0
    cpu_ops: Count = 0
    npu_op_share: Number | None = None
    cycles: Number | None = None
    sram_bytes: Number | None = None
    flash_bytes: Number | None = None
    macs: Number | None = None
    inferences_per_second: Number | None = None
    clock_hz: Number | None = None


class CellState(StrEnum):
    """What a cell of the parity matrix may be, from best to worst; ESTIMATED and what follows it were not compared."""

    EXACT = "exact"
    STEPS = "steps"
    CLOSE = "close"
    DIFFERS = "differs"
    ESTIMATED = "estimated"
    REFUSED = "refused"
    ABSENT = "absent"
    FAILED = "failed"


NOT_COMPARED = (CellState.REFUSED, CellState.ABSENT, CellState.FAILED)


@dataclass(frozen=True)
class Cell:
    """An artifact on a device in the parity matrix: its state in a word, the text that is shown, and why."""

    state: CellState
    text: str
    reason: str
    kind: Kind | None = None
    runtime: str = ""
    explanation: str = ""
    samples: Count | None = None
    of: Count | None = None
    instructions: InstructionCount | None = None
    compiler: NpuEstimate | None = None


@dataclass(frozen=True)
class ParityMatrix:
    """The cells of the devices that have some: `cells[artifact][device]`."""

    devices: tuple[str, ...] = ()
    kinds: Mapping[str, Kind | None] = field(default_factory=dict)
    artifacts: tuple[str, ...] = ()
    cells: Mapping[str, Mapping[str, Cell]] = field(default_factory=dict)
