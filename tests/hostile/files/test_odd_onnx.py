"""An `.onnx` that names other files, or operators that onnx itself fails on, is refused in a sentence."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from edgeship import cli
from edgeship.convert.receipts import receipt
from edgeship.errors import EdgeshipError
from tests.hostile.files.command import call_as_command, check_refused
from tests.hostile.files.small_files import write_one_operator, write_onnx


@pytest.mark.parametrize(
    ("location", "more", "words"),
    [
        ("/etc/hostname", {}, "does not stay inside"),
        ("../secret.bin", {}, "does not stay inside"),
        ("link.bin", {}, "goes through a link"),
        ("pipe.bin", {}, "a pipe"),
        ("missing.bin", {}, "no such file"),
        ("beside.bin", {"length": 1 << 40}, "than they have"),
        ("beside.bin", {"length": "much"}, "m.onnx"),
        ("beside.bin", {"offset": -8}, "m.onnx"),
    ],
)
def test_external_data_of_an_onnx_model(location, more, words, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for place in (folder / "beside.bin", tmp_path / "secret.bin"):
        place.write_bytes(np.ones(4, np.float32).tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    os.mkfifo(folder / "pipe.bin")
    assert received(write_onnx(folder / "whole.onnx")).returncode == 0
    check_refused(received(write_onnx(folder / "m.onnx", location, **more)), words)


def received(path):
    """What reading a receipt in this process ends with, as the command line would."""

    def call():
        try:
            receipt.read(path)
        except EdgeshipError as error:
            cli.exit_with_error(str(error), error.exit_code)

    return call_as_command(call)


@pytest.mark.parametrize("equation", ["ij, jk -> ik", "...i,i->..."])
def test_equations_of_an_onnx_model(equation, tmp_path):
    done = received(write_one_operator(tmp_path / "m.onnx", "Einsum", ["x"] * 2, equation=equation))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes", "words"),
    [
        ("Einsum", "x", {"equation": "...."}, "no equation"),
        ("Einsum", "x", {"equation": "%s%n"}, "no equation"),
        ("Split", "x", {"num_outputs": 2**31}, "a Split into 2,147,483,648 has 1 outputs"),
        ("LayerNormalization", "xii", {"axis": 2**63 - 1}, "onnx cannot be read"),
        ("GatherND", "xi", {"batch_dims": -99}, "onnx cannot be read"),
    ],
)
def test_operators_that_onnx_itself_crashes_or_hangs_on(operator, inputs, attributes, words, tmp_path):
    """In a process of its own: one that is still alive at the end has not crashed."""
    path = write_one_operator(tmp_path / "m.onnx", operator, list(inputs), **attributes)
    command = [sys.executable, "-m", "edgeship.cli", "inspect", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode or words != "onnx cannot be read":  # other versions of onnx may not crash
        check_refused(done, "m.onnx: ", words)
