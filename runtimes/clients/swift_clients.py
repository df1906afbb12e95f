"""Generated Swift clients on Linux: on TensorFlow Lite's C library, and on LiteRT's by a stand-in for its Swift package."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.processes.environment import find_program
from edgeship.runtimes.clients import c_clients
from edgeship.runtimes.clients.tools import HERE, run_command, tflite_library

if TYPE_CHECKING:
    from edgeship.deploy.codegen.client import Client

STRICT = "-warnings-as-errors"
SOURCES = HERE / "swift"
STAND_IN = "LiteRT"
HEADERS = {"TensorFlowLiteC": ("tflite_c_api.h", "tensorflowlite_c"), "CLiteRT": ("litert_c_api.h", "LiteRt")}


def find_problem() -> str | None:
    """What is missing on this machine."""
    return None if find_program("swiftc") else "swiftc not on the path (Swift 6; Debian 13: swiftlang)"


def find_litert_problem() -> str | None:
    """What is missing on this machine for LiteRT."""
    return find_problem() or c_clients.find_litert_problem()


def find_litert_misfit(client: Client) -> str:
    """Why LiteRT's Swift package does not run the client's model; empty where it does."""
    return (
        "LiteRT's Swift package takes fixed shapes only: a variant with static_batch or mobile = true"
        if client.dynamic
        else ""
    )


def build(client: Path, work: Path) -> list[str]:
    """Compile a client on TensorFlow Lite's C library; the command of its self-test."""
    return _build(client, work, "TensorFlowLiteC", tflite_library())


def build_on_litert(client: Path, work: Path) -> list[str]:
    """The same on LiteRT."""
    return _build(client, work, "CLiteRT", c_clients.find_litert() or Path())


def _build(client: Path, work: Path, module: str, library: Path) -> list[str]:
    write_module(module, work)
    for command in compile_commands(client, work, library.parent, litert=module == "CLiteRT"):
        run_command([find_program("swiftc") or "swiftc", *command], "compiling the Swift client")
    return [os.fspath(work / "selftest"), "model.tflite", "goldens"]


def write_module(module: str, work: Path) -> None:
    """The C library as a module for Swift, in `work`. The header is that of C clients."""
    from edgeship.deploy.codegen.generate import TEMPLATES  # the list of runtimes, which has the lanes, stays light

    header, library = HEADERS[module]
    shutil.copyfile(TEMPLATES / "c" / header, work / header)
    text = f'module {module} {{ header "{header}" link "{library}" export * }}\n'
    (work / "module.modulemap").write_text(text, encoding="utf-8")
    shutil.copyfile(SOURCES / f"{STAND_IN}.swift", work / f"{STAND_IN}.swift")


def compile_commands(client: Path, work: Path, libraries: Path, *, litert: bool) -> list[list[str]]:
    """What swiftc is called with to make `work`/selftest: first the stand-in for LiteRT's package, where it is of that."""
    modules = ["-O", STRICT, "-I", os.fspath(work)]
    stand_in = [
        *modules,
        *("-emit-library", "-static", "-emit-module", "-module-name", STAND_IN, "-parse-as-library"),
        *("-emit-module-path", os.fspath(work / f"{STAND_IN}.swiftmodule"), os.fspath(work / f"{STAND_IN}.swift")),
        *("-o", os.fspath(work / f"lib{STAND_IN}Swift.a")),
    ]
    sources = sorted((client / "Sources" / "Client").rglob("*.swift"))
    files = [os.fspath(file) for file in (*sources, client / "Sources" / "SelfTest" / "main.swift")]
    link = ["-L", os.fspath(libraries), "-Xlinker", "-rpath", "-Xlinker", os.fspath(libraries)]
    link += ["-L", os.fspath(work), f"-l{STAND_IN}Swift"] if litert else []
    program = [*modules, *files, "-o", os.fspath(work / "selftest"), *link]
    return [stand_in, program] if litert else [program]
