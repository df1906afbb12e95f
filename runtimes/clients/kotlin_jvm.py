"""Generated Kotlin clients on a JVM: compiled as for an app, over stand-ins for the classes of TensorFlow Lite and LiteRT."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.processes.environment import find_program
from edgeship.runtimes.clients import c_clients
from edgeship.runtimes.clients.tools import HERE, KOTLIN, TFLITE_C, find_compiler, run_command, tflite_library

if TYPE_CHECKING:
    from edgeship.deploy.codegen.client import Client

STAND_IN = HERE / "kotlin" / "stand_in"
COMPILER = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"
HEADERS = "include/jni.h"
TAKEN_BY_LITERT = ("float32", "int32", "int8")
ON_LITERT = "-Dedgeship.engine=CompiledModel"
PACKAGE = re.compile(r"^package ([\w.]+)$", re.MULTILINE)


def find_problem() -> str | None:
    """What is missing on this machine."""
    if not find_compiler():
        return "no C compiler (cc, gcc) on the path"
    javac = find_program("javac")
    if javac is None or not (_java_home(javac) / HEADERS).is_file():
        return "no JDK with jni.h on the path (javac)"
    return None


@cache
def _java_home(javac: str) -> Path:
    return Path(os.path.realpath(javac)).parents[1]


def find_litert_misfit(client: Client) -> str:
    """Why LiteRT's Kotlin does not run the client's model; empty where it does."""
    if client.dynamic:
        return "LiteRT's CompiledModel takes fixed shapes only: a variant with static_batch or mobile = true"
    dtypes = [item.edge.dtype for item in client.inputs] + [item.edge.dtype for item in client.outputs]
    other = next((dtype for dtype in dtypes if dtype not in TAKEN_BY_LITERT), None)
    return f"LiteRT's CompiledModel takes {', '.join(TAKEN_BY_LITERT)} and no {other}" if other else ""


def find_litert_problem() -> str | None:
    """What is missing on this machine for LiteRT's CompiledModel."""
    return find_problem() or c_clients.find_litert_problem()


def build(client: Path, work: Path) -> list[str]:
    """Compile a client and the stand-ins, with warnings as errors; the command of its self-test."""
    classes, libraries = build_stand_in(work)
    compile_sources([client / "src"], classes, work / "client")
    return [*java_command(work / "client", classes, libraries, main_class(client)), "model.tflite", "goldens"]


def build_on_litert(client: Path, work: Path) -> list[str]:
    """The same on LiteRT's CompiledModel."""
    java, *rest = build(client, work)
    return [java, ON_LITERT, *rest]


def main_class(client: Path) -> str:
    """The class with the self-test's program."""
    match = PACKAGE.search((client / "src" / "Main.kt").read_text(encoding="utf-8"))
    assert match is not None  # noqa: S101  # every generated file has one
    return f"{match[1]}.MainKt"


def java_command(client: Path, classes: Path, libraries: Mapping[str, Path], main: str) -> list[str]:
    """A program of compiled Kotlin on the stand-ins."""
    path = os.pathsep.join(map(os.fspath, (client, classes, _jar("kotlin-stdlib"))))
    native = [f"-D{name}={library}" for name, library in libraries.items()]
    return [find_program("java") or "java", *native, "-cp", path, main]


def build_stand_in(work: Path) -> tuple[Path, Mapping[str, Path]]:
    """The folder of the stand-ins' classes, and their native halves that can be made. The headers are those of C clients."""
    from edgeship.deploy.codegen.generate import TEMPLATES  # the list of runtimes, which has the lanes, stays light

    javac, classes = find_program("javac") or "javac", work / "stand_in"
    sources = [os.fspath(path) for path in sorted(STAND_IN.rglob("*.java"))]
    run_command([javac, "-Xlint:all", "-Werror", "-d", os.fspath(classes), *sources], "compiling the stand-in")
    home = _java_home(javac)
    system = next(path.parent for path in (home / "include").glob("*/jni_md.h"))
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC"]
    strict += [f"-I{place}" for place in (home / "include", system, TEMPLATES / "c")]
    halves = {"edgeship.jni": ("interpreter", tflite_library(), "tensorflowlite_c")}
    if litert := c_clients.find_litert():
        halves["edgeship.jni.litert"] = ("compiled_model", litert, "LiteRt")
    libraries = {}
    for name, (source, runtime, link) in halves.items():
        libraries[name] = work / f"lib{source}.so"
        linked = [f"-L{runtime.parent}", f"-Wl,-rpath,{runtime.parent}", f"-l{link}"]
        files = [os.fspath(STAND_IN / f"{source}.c"), "-o", os.fspath(libraries[name])]
        run_command([find_compiler() or "cc", *strict, *files, *linked], "compiling the stand-in")
    return classes, libraries


def compile_sources(sources: Sequence[Path], classes: Path, out: Path) -> None:
    """Compile Kotlin files and folders against the stand-in's classes, with warnings as errors."""
    jars = ("kotlin-compiler", "kotlin-stdlib", "kotlin-script-runtime", "kotlin-reflect", "annotations-13.0")
    path = os.pathsep.join(os.fspath(_jar(name)) for name in (*jars, "kotlinx-coroutines-core-jvm"))
    options = ["-no-reflect", "-Werror", "-cp", os.fspath(classes), "-d", os.fspath(out)]
    home = ["-kotlin-home", os.fspath(_jar("kotlin-compiler").parents[1])]
    command = [find_program("java") or "java", "-cp", path, COMPILER, *home, *options, *map(os.fspath, sources)]
    run_command(command, "compiling the Kotlin client")


def _jar(name: str) -> Path:
    return KOTLIN.folder / "node_modules" / "kotlin-compiler" / "lib" / f"{name}.jar"


TOOLS = (TFLITE_C, KOTLIN)
