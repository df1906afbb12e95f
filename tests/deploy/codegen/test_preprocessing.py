"""Every language brings sixty pictures to the same bytes as the reference."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgeship.runtimes.clients.lanes import LANES
from edgeship.runtimes.clients.tools import TYPESCRIPT
from tests.deploy.codegen.conftest import DRIVERS, run
from tests.deploy.codegen.made_up.pictures import Picture

CORES = {
    "c": "edgeship.c",
    "kotlin": "src/Core.kt",
    "python": "edgeship_client/core.py",
    "swift": "Sources/Client/Core.swift",
    "typescript": "src/core.ts",
}
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")


def assert_same(tensors: bytes, pictures: list[Picture]) -> None:
    """All pictures that differ are told at once."""
    wrong, at = [], 0
    for number, picture in enumerate(pictures):
        wanted = picture.wanted.tobytes()
        if tensors[at : at + len(wanted)] != wanted:
            wrong.append((number, picture.item.steps, picture.pixels.shape, picture.orientation))
        at += len(wanted)
    assert not wrong and at == len(tensors)


def test_the_pictures_cover_what_the_contract_allows(pictures):
    assert {picture.orientation for picture in pictures} == set(range(1, 9))
    assert {picture.pixels.shape[2] for picture in pictures} == {1, 3, 4}
    assert (1, 1) in {picture.pixels.shape[:2] for picture in pictures}
    assert len({step for picture in pictures for step in map(type, picture.item.steps)}) == 7


# Fused multiply-adds, as an app's compiler may make them, and what undefined behaviour would show.
@pytest.mark.parametrize(
    "flags",
    [("-O2",), ("-O3", "-march=native", "-ffp-contract=fast"), ("-O1", "-g", "-fsanitize=address,undefined")],
    ids=["plain", "fused", "sanitized"],
)
def test_c(flags, clients, pictures, pictures_file, tmp_path, missing):
    if not (compiler := shutil.which("gcc") or shutil.which("cc")):
        missing("a C compiler is not installed")
    program, folder = tmp_path / "cases", clients / "c"
    run(
        compiler,
        *STRICT,
        *flags,
        f"-I{folder}",
        folder / "edgeship.c",
        folder / "table.c",
        DRIVERS / "cases.c",
        "-o",
        program,
        "-lm",
    )
    done = subprocess.run([program, pictures_file], capture_output=True, check=False)
    assert not done.returncode, done.stderr
    assert_same(done.stdout, pictures)


def test_python(clients, pictures, pictures_file):
    command = [sys.executable, DRIVERS / "cases.py", clients / "python", pictures_file]
    done = subprocess.run(command, capture_output=True, check=False)
    assert not done.returncode, done.stderr
    assert_same(done.stdout, pictures)


def test_typescript(clients, pictures, pictures_file, tmp_path, missing):
    if reason := LANES["client-ts"].unavailable_reason():
        missing(f"client-ts: {reason} (make clients)")
    tsc = TYPESCRIPT.folder / "node_modules" / "typescript" / "bin" / "tsc"
    source = clients / "typescript" / "src" / "core.ts"
    run(
        "node",
        tsc,
        "--strict",
        "--target",
        "es2022",
        "--module",
        "commonjs",
        "--outDir",
        tmp_path,
        "--types",
        "",
        source,
    )
    command = ["node", DRIVERS / "cases.mjs", tmp_path / "core.js", pictures_file]
    done = subprocess.run(command, capture_output=True, check=False)
    assert not done.returncode, done.stderr
    assert_same(done.stdout, pictures)


@pytest.mark.parametrize("language", CORES)
def test_the_core_is_small(language, clients):
    assert len(Path(clients / language / CORES[language]).read_text().splitlines()) < 400
