"""Linux arm64 (a Raspberry Pi, a Graviton, a container on a Mac) under QEMU's user-mode emulation.

The base package is installed from its wheel and judges a bundle that was made on this machine. Times there are an
emulator's: that they were taken, and how, is looked at, never how long they are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.runtimes.launchers import debian
from tests.machines.trees import Tree, unpack_project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

# As Linux writes it on a Raspberry Pi 4; QEMU 7 would show this machine's, on which the runtimes' libraries crash.
CORE = """\
processor\t: {number}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""
TRIES = 4
SAMPLES = 64


def edgeship(*arguments: str, cwd: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgeship.cli", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def parcel(tmp_path) -> Path:
    """The wheel, a bundle of two TFLite artifacts and evaluation data, as one would copy them to a board."""
    folder = tmp_path / "parcel"
    folder.mkdir()
    unpack_project(tmp_path / "source")
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(tmp_path / "source"),
    ]
    subprocess.run(build, check=True, capture_output=True)
    edgeship("train", "motion", "--epochs", "1", "--out", "motion", cwd=tmp_path)
    choice = ["--to", "tflite", "--variant", "float32,int8", "--data", "motion/calibration.npz"]
    edgeship("convert", "motion/server.keras", "--out", "parcel/bundle", *choice, cwd=tmp_path)
    with np.load(tmp_path / "motion/evaluation.npz") as arrays:
        np.savez(folder / "evaluation.npz", **{name: arrays[name][:SAMPLES] for name in arrays.files})
    return folder


@pytest.fixture
def board(place, took, missing) -> Iterator[Tree]:
    if reason := debian.packages_problem():
        missing(reason)
    debian.Packages("arm64").unpack(["qemu-user-static"], place / "qemu")
    cores = "".join(CORE.format(number=number) for number in range(os.cpu_count() or 1))
    made = Tree(place / "tree", emulator=place / "qemu/usr/bin/qemu-aarch64-static", cpuinfo=cores)
    try:
        took("the tree", made.bootstrap("bookworm", ("python3", "python3-pip", "python3-venv", "ca-certificates")))
        yield made
    finally:
        made.remove()


def test_the_base_package_judges_a_bundle(board, parcel, took):
    (board.folder / "root" / "parcel").mkdir()
    subprocess.run(["cp", "--recursive", f"{parcel}/.", str(board.folder / "root/parcel")], check=True)
    machine = board.run(
        "uname -m; python3 -c 'import subprocess; print(subprocess.run(\"uname\").returncode)'"
    ).expect()
    assert machine.output.split() == ["aarch64", "Linux", "0"]  # a child process starts in the guest too
    installed = board.run("python3 -m venv venv; venv/bin/pip install --quiet parcel/edgeship-*.whl").expect()
    took("pip install", installed.minutes)

    def command(*arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        done = board.run(f"cd parcel; PATH=$HOME/venv/bin:$PATH; edgeship {' '.join(arguments)}").expect(*codes)
        took(f"edgeship {arguments[0]}", done.minutes)
        return done.output

    assert "window: ?x128x6 int8" in command("inspect", "bundle/tflite/int8.tflite")
    command("verify", "bundle", "--json", "verified.json")
    replays = json.loads((board.folder / "root/parcel/verified.json").read_text())["replays"]
    passed = {(replay["artifact"], replay["runtime"]) for replay in replays if replay["passed"]}
    assert passed == {("tflite/float32", "litert"), ("tflite/int8", "litert")}
    bundle = board.folder / "root/parcel/bundle"
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    benchmark = ("benchmark", "bundle", "--data", "evaluation.npz", "--profile", "rapid", "--json", "results.json")

    def measure(codes: tuple[int, ...]) -> dict[str, dict[str, Any]]:
        """The details of each artifact. A busy machine withholds times, and each further run takes what is missing.

        Where they never come nothing is shown, and the test fails.
        """
        for _ in range(TRIES):
            output = command(*benchmark, codes=codes)
            results = json.loads((board.folder / "root/parcel/results.json").read_text())
            found = {item["artifact"]: item for item in results["measurements"] if item["runtime"] == "litert"}
            assert set(found) == {"tflite/float32", "tflite/int8"}
            if all(item["details"]["latency"] for item in found.values()):
                break
        for item in found.values():
            assert item["details"]["latency"]["engine"] == "loop"  # LoadGen has no wheel for this machine
        assert results["gate"]["verdict"] in output
        return found

    # The server model needs TensorFlow here as anywhere: without it all but accuracy is measured, which is no PASS.
    for item in measure(codes=(1,)).values():
        taken = {metric["name"]: metric for metric in item["metrics"]}
        assert taken["latency_p50_ms"]["value"] > 0 and taken["peak_memory_bytes"]["value"] > 0
        assert taken["accuracy"]["value"] is None
        assert "pip install 'edgeship[tensorflow]'" in taken["accuracy"]["reason"]
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before
    extra = board.run('venv/bin/pip install --quiet "$(echo parcel/edgeship-*.whl)[tensorflow]"').expect()
    took("pip install [tensorflow]", extra.minutes)
    # On so few samples a verdict may be INCONCLUSIVE; how long times are decides nothing, as they are the emulator's.
    for item in measure(codes=(0, 1)).values():
        assert item["details"]["accuracy"]["n"] == SAMPLES
