"""What is computed of devices' outputs and counts: subsets, likeness, cells, explanations, instructions."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeship.benchmarks.compare import bit_exactness, parity_matrix
from edgeship.benchmarks.measure import failure_reasons, instructions, sampling
from edgeship.benchmarks.report import parity_matrix_table
from edgeship.bundle.figures.device_figures import BitExactness, CellState, InstructionCount, NpuEstimate, SampleSubset
from edgeship.bundle.figures.measurement import Measurement, MeasurementDetails
from edgeship.bundle.manifest import Manifest
from edgeship.devices.profiles import find_device
from edgeship.errors import CheckError, ProcessError
from edgeship.runtimes.launchers import find_launcher, qemu
from edgeship.runtimes.worker.instruction_marks import BEGIN, EMPTY_BEGIN, EMPTY_END, END
from edgeship.types import Kind


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 12))
def test_a_subset_keeps_the_shares_of_the_classes(total, count, classes):
    labels = np.random.default_rng(total).integers(classes, size=total)
    chosen = sampling.choose_samples({"y": labels}, total, count)
    assert len(chosen) == min(count, total)
    assert len(np.unique(chosen)) == len(chosen)
    assert (np.diff(chosen) > 0).all()
    assert (chosen == sampling.choose_samples({"y": labels[:, None]}, total, count)).all()
    for value in range(classes):
        share = (labels == value).mean() * len(chosen)
        assert abs((labels[chosen] == value).sum() - share) < 1


def test_a_subset_without_classes_is_spread():
    assert sampling.choose_samples({}, 100, 3).tolist() == [0, 50, 99] or sampling.choose_samples(
        {}, 100, 3
    ).tolist() == [0, 49, 99]
    assert sampling.choose_samples({"y": np.linspace(0, 1, 100)}, 100, 2).tolist() == [0, 99]


@given(st.integers(1, 90), st.integers(1, 30), st.integers(1, 40), st.data())
def test_rows_come_in_whole_batches_in_their_order(total, source, size, data):
    chosen = np.array(sorted(data.draw(st.sets(st.integers(0, total - 1), min_size=1))))
    stream = ({"x": np.arange(start, min(start + source, total))} for start in range(0, total, source))
    parts = [batch["x"] for batch in sampling.select_rows(stream, chosen, size)]
    assert np.concatenate(parts).tolist() == chosen.tolist()
    assert {len(part) for part in parts[:-1]} <= {size}


@pytest.mark.parametrize(
    ("seconds", "per_sample", "count"), [(None, 9.0, 1000), (30, 0.01, 1000), (30, 0.1, 200), (30, 5.0, 8), (1, 9.0, 8)]
)
def test_what_is_affordable(seconds, per_sample, count):
    assert sampling.affordable_samples(1000, seconds, per_sample) == count
    assert sampling.affordable_samples(5, seconds, per_sample) == 5


def compare(here, there, scale=1.0):
    real = {name: array.astype(np.float32) * scale for name, array in here.items()}
    other = {name: array.astype(np.float32) * scale for name, array in there.items()}
    return bit_exactness.compare_bit_exactness(here, there, (real, other))


def test_differences_are_counted_in_steps():
    ours = np.zeros((4, 5), np.int8)
    theirs = ours.copy()
    theirs[0, :3], theirs[1, 0] = 1, -3
    found = compare({"y": ours}, {"y": theirs}, 0.5)
    assert (found.values, found.differ, found.exact, found.max_steps) == (20, 4, False, 3)
    assert found.steps == {"1": 3, "3": 1}
    assert found.max_abs_error == 1.5


def test_extreme_integers_do_not_overflow():
    found = compare({"y": np.full((1, 2), -128, np.int8)}, {"y": np.full((1, 2), 127, np.int8)})
    assert found.max_steps == 255


def test_floats_have_no_steps_and_nan_is_told():
    ours = np.zeros((2, 3), np.float32)
    found = compare({"y": ours}, {"y": ours + np.float32(1e-6)})
    assert found.max_steps is None
    assert found.differ == 6
    assert compare({"y": ours}, {"y": ours * np.nan}).reason.startswith("6 of 6 values")
    assert not compare({"y": ours}, {"y": ours * np.nan}).exact


def test_other_outputs_cannot_be_compared():
    with pytest.raises(CheckError, match="the device gives outputs z, this machine y"):
        compare({"y": np.zeros((1, 1))}, {"z": np.zeros((1, 1))})


COMPARED = BitExactness(agreement=1.0, max_steps=1, differ=5, values=1000, max_abs_error=0.5)


def details(**changes):
    return MeasurementDetails(bit_exactness=replace(COMPARED, **changes), samples=SampleSubset(10, 10))


@pytest.mark.parametrize(
    ("changes", "state", "text"),
    [
        ({"exact": True}, "exact", "bit-exact"),
        ({}, "steps", "1 LSB in 0.005, all same"),
        ({"max_steps": 9, "agreement": 0.999}, "differs", "9 LSB in 0.005, 99.90% same"),
        ({"max_steps": None, "max_abs_error": 2e-7}, "close", "±2.0e-07, all same"),
        ({"max_steps": None, "agreement": None}, "close", "±5.0e-01"),
        ({"reason": "3 of 6 values of the artifact are NaN"}, "differs", "NaN"),
        ({"values": None, "reason": "it crashed"}, "failed", "fails"),
    ],
)
def test_cells(changes, state, text):
    cell = parity_matrix.cell_of(details(**changes))
    assert (cell.state, cell.text) == (state, text)


def test_estimates_and_arenas_stand_in_their_cells():
    estimate = NpuEstimate(npu_ops=39, cpu_ops=13, npu_op_share=0.75, cycles=94090)
    assert parity_matrix.cell_of(MeasurementDetails(compiler=estimate)).text == "75% on NPU, 94.1 k cycles"
    without = MeasurementDetails(compiler=replace(estimate, npu_ops=0))
    assert parity_matrix.cell_of(without).text == "0 % on NPU"
    arena = replace(details(exact=True), engine={"arena_total_bytes": 2048})
    assert parity_matrix.cell_of(arena).text == "bit-exact, arena 2.0 KiB"


def test_the_matrix_shows_every_device_with_its_kind_and_reasons():
    failed = parity_matrix.not_run_cell(CellState.FAILED, "no kernel", "ship another")
    counted = replace(details(), instructions=InstructionCount(1200, ratio=0.5, kernels="dot"))
    measurements = tuple(
        Measurement("tflite/int8", "litert", device, (), MeasurementDetails(cell=cell))
        for device, cell in (
            ("old", replace(failed, kind=Kind.MEASURED)),
            ("board", replace(parity_matrix.cell_of(counted), kind=Kind.EMULATED)),
            ("host", None),
        )
    )
    matrix = parity_matrix.build_parity_matrix(Manifest({}, (), measurements))
    assert matrix.devices == ("old", "board")
    assert matrix.kinds == {"old": "measured", "board": "emulated"}
    from rich.console import Console, Group

    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(Group(*parity_matrix_table.render(matrix, 120)))
    text = console.export_text()
    for part in ("fails (1)", "(1) ship another (no kernel)", "[emulated]", "1,200", "0.500", "1 LSB in 0.005"):
        assert part in text


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("Didn't find op for builtin opcode 'FULLY_CONNECTED' version '12'.", "FULLY_CONNECTED in version 12"),
        ("Hybrid models are not supported on TFLite Micro.", "ship full int8"),
        ("Unsupported model IR version: 11, max supported IR version: 9", "up to IR version 9"),
        ("Input type: FLOAT32 with filter type: INT8 not supported.", "ship full int8"),
        ("<built-in method CreateWrapperFromFile> returned a result with an exception set", "numpy==1.26.4"),
        ("something new", ""),
    ],
)  # fmt: skip
def test_known_failures_are_explained_and_others_are_not_guessed_at(message, told):
    explained = failure_reasons.explain_failure(message, find_device("field-tflite-2.14"))
    assert told in explained
    assert bool(told) == bool(explained)


def test_reasons_are_one_line_without_the_log():
    told = "ValueError in the litert process: bad\nfile (log: /tmp/edgeship-litert-x.log)"
    assert failure_reasons.shorten_message(told) == "ValueError in the litert process: bad file"
    small, host = find_launcher(find_device("host-512mb")), find_launcher(find_device("host"))
    assert failure_reasons.describe_failure("std::bad_alloc", small) == "does not fit into 512 MB: std::bad_alloc"
    assert failure_reasons.describe_failure("std::bad_alloc", host) == "std::bad_alloc"


NAMES = ("total", "memory", "simd", "fused", "fused_half", "widening", "dot", "matrix")


def marks(counts, overhead=100):
    """Lines of the plugin: an empty pair, then pairs around inferences of so many instructions (half of them SIMD)."""
    state, lines = 0, []
    for begin, end, count in [(EMPTY_BEGIN, EMPTY_END, 0), *((BEGIN, END, count) for count in counts)]:
        for number, more in ((begin, 7), (end, overhead + count)):
            state += more
            line = {"mark": number, **dict.fromkeys(NAMES, 0), "total": state, "simd": state // 2, "dot": state // 4}
            lines.append(line)
    return lines


def test_counts_are_medians_without_the_first_and_without_the_marks():
    found = instructions.summarize_marks(marks([9000, 4000, 4000, 4400]))
    assert found.total == 4000
    assert found.counts == (4000, 4000, 4400)
    assert found.spread == 400
    assert found.kernels == "8-bit dot product"
    assert abs(found.classes["simd"] - 2000) <= 2
    assert found.classes["scalar"] == found.total - found.classes["simd"] - found.classes["memory"]


def test_counts_without_classes_name_no_kernels():
    lines = [{"mark": line["mark"], "total": line["total"]} for line in marks([9000, 4000, 4000, 4400])]
    found = instructions.summarize_marks(lines)
    assert (found.total, found.classes, found.kernels) == (4000, {}, "")


def test_counts_of_nothing_are_no_counts():
    with pytest.raises(ProcessError, match="has counted no inference"):
        instructions.summarize_marks(marks([9000]))
    with pytest.raises(ProcessError):
        instructions.summarize_marks([])


def test_the_plugin_compiles_without_a_warning(tmp_path, missing: Callable[[str], NoReturn]):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        missing("no C compiler is installed")
    target = str(tmp_path / "count.so")
    flags = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-O1", "-o", target]
    done = subprocess.run([compiler, *flags, str(qemu.SOURCE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
