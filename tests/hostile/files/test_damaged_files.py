"""Damaged artifacts and data: one sentence, exit code 2; no traceback, no crash, no hang, no flood of memory.

What may crash or fill the memory is read in a process of its own.
"""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship import untrusted
from edgeship.errors import EdgeshipError
from edgeship.runtimes.session import open_session
from tests.hostile.files.command import check_refused, edgeship
from tests.hostile.files.damage import damage
from tests.hostile.files.small_files import write_one_operator, write_tflite

ROOT = Path(__file__).parents[3]


MEMORY = 1500  # megabytes that reading small files takes at most, all libraries among them


def read(kind, base, count, first=0):
    """How reading that many damaged copies ended."""
    command = [sys.executable, "-m", "tests.hostile.files.read_damaged", kind, str(base), str(first), str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120 + count, check=False)
    assert done.returncode == 0, f"died of {done.returncode} at copy {done.stderr.splitlines()[-1:]}"
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def bases(tiny_models, tmp_path_factory):
    """A whole file of each kind: those of small networks, a text of a sparse one, and data."""
    folder = tmp_path_factory.mktemp("bases")
    rng = np.random.default_rng(0)
    np.savez(folder / "plain.npz", x=rng.random((40, 8, 8, 1), np.float32), y=rng.integers(0, 5, 40))
    np.savez_compressed(folder / "packed.npz", x=rng.random((40, 8), np.float32), y_a=rng.integers(0, 5, (40, 2)))
    return {
        "int8.tflite": tiny_models / "cnn-int8.tflite",
        "loop.tflite": tiny_models / "power.tflite",
        "cnn.onnx": tiny_models / "cnn.onnx",
        "pair.onnx": tiny_models / "pair.onnx",
        "cnn.tfjs-json": tiny_models / "cnn-tfjs",
        "cnn.tfjs-shard": tiny_models / "cnn-tfjs",
        "plain.npz": folder / "plain.npz",
        "packed.npz": folder / "packed.npz",
    }


BASES = {
    "int8.tflite": 150, "loop.tflite": 150, "cnn.onnx": 150, "pair.onnx": 150, "cnn.tfjs-json": 200, "cnn.tfjs-shard": 50,
    "plain.npz": 150, "packed.npz": 150,
}  # fmt: skip


@pytest.mark.parametrize(("name", "count"), BASES.items())
def test_damaged_files_are_refused_in_a_sentence(name, count, bases):
    ends = read(name.partition(".")[2], bases[name], count)
    assert not ends["tracebacks"] and not ends["hangs"] and not ends["unclear"], ends
    assert ends["read"] + ends["refused"] == count
    assert ends["megabytes"] < MEMORY
    if not name.endswith("shard"):  # other numbers in it are numbers, too
        assert ends["refused"] > count // 10


@pytest.mark.more
@pytest.mark.parametrize("name", BASES)
def test_ten_thousand_damaged_files(name, bases):
    ends = read(name.partition(".")[2], bases[name], 5000, first=1000)
    assert not ends["tracebacks"] and not ends["hangs"] and not ends["unclear"], ends
    assert ends["megabytes"] < MEMORY


@pytest.mark.parametrize("name", ["m.tflite", "m.onnx", "model.json", "m.npz"])
def test_what_is_no_regular_file(name, tmp_path):
    """Neither the pipe that nobody writes to nor the device without an end is read."""
    code = (
        "import sys\nfrom edgeship import cli\nif sys.argv[2].endswith('npz'):\n    from edgeship import data, errors\n"
    )
    code += "    try:\n        data.RepresentativeDataset(sys.argv[2])\n    except errors.EdgeshipError as error:\n"
    code += "        cli.exit_with_error(str(error), error.exit_code)\ncli.main()"
    for number, make in enumerate((os.mkfifo, lambda path: path.symlink_to("/dev/zero"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        make(folder / name)
        done = subprocess.run(
            [sys.executable, "-c", code, "inspect", str(folder / name)], capture_output=True, text=True, timeout=30,
            check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4000 << 20, 4000 << 20)),
        )  # fmt: skip
        check_refused(done, name)


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_reading_a_model_ends(kind, tmp_path, monkeypatch):
    """Whatever it is that takes so long: here the child that reads it never answers."""
    path = tmp_path / f"m.{kind}"
    write_one_operator(path, "Relu", ["x"]) if kind == "onnx" else write_tflite(path, lambda model: None)
    soon: Any = 0.01  # the child needs less than the smallest limit that a user can set
    monkeypatch.setattr(untrusted, "limits", lambda: dataclasses.replace(untrusted.Limits(), read_seconds=soon))
    check_refused(edgeship("inspect", path), f"m.{kind}: {kind} cannot be read", "took longer than", "read_seconds")


@pytest.mark.parametrize("name", ["int8.tflite", "cnn.onnx"])
def test_a_runtime_that_opens_a_damaged_file_fails_in_a_sentence(name, bases, tmp_path):
    runtime = {"tflite": "litert", "onnx": "onnxruntime"}[name.partition(".")[2]]
    content, messages = bases[name].read_bytes(), []
    for seed in range(12):
        path = tmp_path / f"{seed}.{name}"
        path.write_bytes(damage(content, seed + 100))
        try:
            with open_session(runtime, path, timeout=30) as session:
                session.run(session.sample)
        except EdgeshipError as error:
            messages.append(str(error))
    assert messages and not [text for text in messages if "Traceback" in text]
