"""How a generated client is compiled and run on this machine. What a lane needs is told before anything is compiled."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeship.errors import MissingDependencyError, ProcessError, brief_message
from edgeship.processes.environment import child_environment, find_program
from edgeship.runtimes.clients import kotlin_jvm
from edgeship.runtimes.clients.tools import TFLITE_C, TYPESCRIPT, Tool, find_compiler, run_command, tflite_library

SECONDS = 600  # that a self-test may take
OLDEST_NODE = 20
STRICT_C = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic")


@dataclass(frozen=True)
class Lane:
    """A lane of one language: the `tools` that edgeship installs for it, and what the machine itself must have.

    `find_problem` says what of that is missing; `build(client, work)` compiles a generated client with files in `work` and
    returns the command of its self-test, which runs in the client's folder.
    """

    name: str
    language: str
    title: str
    tools: tuple[Tool, ...]
    find_problem: Callable[[], str | None]
    build: Callable[[Path, Path], list[str]]

    def unavailable_reason(self) -> str | None:
        """Why it cannot be used."""
        if problem := self.find_problem():
            return problem
        return None if all(tool.folder.exists() for tool in self.tools) else "its tools are not installed"

    def install(self) -> Path:
        """Install its tools and return the folder of the last."""
        if problem := self.find_problem():
            raise MissingDependencyError(f"{self.name}: {problem}")
        return [tool.install() for tool in self.tools][-1]

    def run_selftest(self, client: Path, work: Path, device: str) -> dict[str, Any]:
        """The result of a client's self-test as JSON. Raises ProcessError where it does not compile, or crashes."""
        if problem := self.find_problem():
            raise MissingDependencyError(f"{self.name}: {problem}")
        for tool in self.tools:
            tool.require(self.name)
        command = [*self.build(client, work), device]
        try:
            done = subprocess.run(
                command, cwd=client, capture_output=True, check=False, env=child_environment(), timeout=SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise ProcessError(f"{self.name}: the self-test took longer than {SECONDS} s") from error
        try:
            result: dict[str, Any] = json.loads(done.stdout)
        except ValueError as error:
            lines = done.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
            raise ProcessError(
                f"{self.name}: exit code {done.returncode}, without a result; it says: {brief_message(lines[-1])}"
            ) from error
        return result


def _missing_program(*names: str) -> str | None:
    missing = [name for name in names if not find_program(name)]
    return f"{', '.join(missing)} not on the path" if missing else None


def _node_problem() -> str | None:
    node = find_program("node")
    if node is None:
        return f"node not on the path (Node {OLDEST_NODE} or later is needed)"
    found = re.match(r"v(\d+)", run_command([node, "--version"], "asking node"))
    return None if found and int(found[1]) >= OLDEST_NODE else f"Node {OLDEST_NODE} or later is needed"


def _build_c(client: Path, work: Path) -> list[str]:
    sources = [
        os.fspath(client / f"{name}.c")
        for name in ("main", "selftest", "edgeship", "table", "contract", "engine_tflite")
    ]
    folder = tflite_library().parent
    link = [f"-L{folder}", f"-Wl,-rpath,{folder}", "-ltensorflowlite_c", "-lm"]
    program = os.fspath(work / "selftest")
    command = [find_compiler() or "cc", *STRICT_C, *sources, "-o", program, *link]
    run_command(command, "compiling the C client")
    return [program, "model.tflite", "goldens"]


def _build_typescript(client: Path, work: Path) -> list[str]:
    modules = TYPESCRIPT.folder / "node_modules"
    if not (client / "node_modules").exists():
        (client / "node_modules").symlink_to(modules)
    node = find_program("node") or "node"
    compiler = [
        os.fspath(modules / "typescript" / "bin" / "tsc"),
        "-p",
        os.fspath(client),
        "--outDir",
        os.fspath(work / "build"),
    ]
    run_command([node, *compiler], "compiling the TypeScript client")
    if not (work / "node_modules").exists():
        (work / "node_modules").symlink_to(modules)
    return [node, os.fspath(work / "build" / "nodeSelftest.js"), os.fspath(tflite_library()), "model.tflite", "goldens"]


def _build_python(client: Path, work: Path) -> list[str]:
    return [sys.executable, "-B", "-m", "edgeship_client.selftest"]


LANES: Mapping[str, Lane] = {
    lane.name: lane
    for lane in (
        Lane(
            "client-c",
            "c",
            "generated C client on TensorFlow Lite's C library",
            (TFLITE_C,),
            lambda: None if find_compiler() else "no C compiler (cc, gcc) on the path",
            _build_c,
        ),
        Lane(
            "client-kotlin-jvm",
            "kotlin",
            "generated Kotlin client on a JVM, on TensorFlow Lite's C library",
            kotlin_jvm.TOOLS,
            kotlin_jvm.find_problem,
            kotlin_jvm.build,
        ),
        Lane("client-python", "python", "generated Python client on LiteRT", (), lambda: None, _build_python),
        Lane(
            "client-ts",
            "typescript",
            "generated TypeScript client under Node, on TensorFlow Lite's C library",
            (TFLITE_C, TYPESCRIPT),
            _node_problem,
            _build_typescript,
        ),
    )
}
