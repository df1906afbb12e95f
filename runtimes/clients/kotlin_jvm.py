"""Generated Kotlin clients on a JVM: compiled as for an app, over a stand-in for `org.tensorflow.lite.Interpreter`."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from edgeship.processes.environment import find_program
from edgeship.runtimes.clients.tools import HERE, KOTLIN, TFLITE_C, find_compiler, run_command, tflite_library

STAND_IN = HERE / "kotlin" / "stand_in"
COMPILER = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"
HEADERS = "include/jni.h"
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


def build(client: Path, work: Path) -> list[str]:
    """Compile a client and the stand-in, with warnings as errors; the command of its self-test."""
    classes, library = build_stand_in(work)
    compile_sources([client / "src"], classes, work / "client")
    return [*java_command(work / "client", classes, library, main_class(client)), "model.tflite", "goldens"]


def main_class(client: Path) -> str:
    """The class with the self-test's program."""
    match = PACKAGE.search((client / "src" / "Main.kt").read_text(encoding="utf-8"))
    assert match is not None  # noqa: S101  # every generated file has one
    return f"{match[1]}.MainKt"


def java_command(client: Path, classes: Path, library: Path, main: str) -> list[str]:
    """A program of compiled Kotlin on the stand-in."""
    path = os.pathsep.join(map(os.fspath, (client, classes, _jar("kotlin-stdlib"))))
    return [find_program("java") or "java", f"-Dedgeship.jni={library}", "-cp", path, main]


def build_stand_in(work: Path) -> tuple[Path, Path]:
    """The folder of its classes, and its native half. The header is that of C clients."""
    from edgeship.deploy.codegen.generate import TEMPLATES  # the list of runtimes, which has the lanes, stays light

    javac, classes, library = find_program("javac") or "javac", work / "stand_in", work / "libstandin.so"
    sources = [os.fspath(path) for path in sorted(STAND_IN.rglob("*.java"))]
    run_command([javac, "-Xlint:all", "-Werror", "-d", os.fspath(classes), *sources], "compiling the stand-in")
    home, folder = _java_home(javac), tflite_library().parent
    system = next(path.parent for path in (home / "include").glob("*/jni_md.h"))
    includes = [f"-I{place}" for place in (home / "include", system, TEMPLATES / "c")]
    link = [f"-L{folder}", f"-Wl,-rpath,{folder}", "-ltensorflowlite_c"]
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC"]
    source = os.fspath(STAND_IN / "interpreter.c")
    run_command(
        [find_compiler() or "cc", *strict, *includes, source, "-o", os.fspath(library), *link], "compiling the stand-in"
    )
    return classes, library


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
