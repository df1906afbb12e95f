"""How a generated client is compiled and run on this machine. What a lane needs is told before anything is compiled."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeship.errors import MissingDependencyError, ProcessError, brief_message
from edgeship.light_dataclass import dataclass
from edgeship.processes.environment import child_environment
from edgeship.runtimes.clients import c_clients, kotlin_jvm, swift_clients, typescript_clients
from edgeship.runtimes.clients.tools import LITERT_JS, TFLITE_C, TFLITE_C_ARM64, TYPESCRIPT, Tool

if TYPE_CHECKING:
    from edgeship.deploy.codegen.client import Client

SECONDS = 600  # that a self-test may take


@dataclass(frozen=True)
class Lane:
    """A lane of one language: the `tools` that edgeship installs for it, and what the machine itself must have.

    `find_problem` says what of that is missing; `build(client, work)` compiles a generated client with files in `work` and
    returns the command of its self-test, which runs in the client's folder. It runs models of `format`, but for those of which
    `find_misfit` says why not; `device` is what results call this machine.
    """

    name: str
    language: str
    title: str
    tools: tuple[Tool, ...]
    find_problem: Callable[[], str | None]
    build: Callable[[Path, Path], list[str]]
    find_misfit: Callable[[Client], str] = lambda client: ""
    format: str = "tflite"
    device: str = "this machine"

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

    def run_selftest(self, client: Path, work: Path, device: str | None = None) -> dict[str, Any]:
        """The result of a client's self-test as JSON. Raises ProcessError where it does not compile, or crashes."""
        if problem := self.find_problem():
            raise MissingDependencyError(f"{self.name}: {problem}")
        for tool in self.tools:
            tool.require(self.name)
        command = [*self.build(client, work), device or self.device]
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
            c_clients.find_problem,
            c_clients.build,
        ),
        Lane(
            "client-c-arm64",
            "c",
            "generated C client for arm64, emulated, on TensorFlow Lite's C library",
            (TFLITE_C_ARM64,),
            c_clients.find_arm64_problem,
            c_clients.build_for_arm64,
            device="arm64 emulated by QEMU",
        ),
        Lane(
            "client-c-litert",
            "c",
            "generated C client on LiteRT's C library",
            (),
            c_clients.find_litert_problem,
            c_clients.build_on_litert,
        ),
        Lane(
            "client-kotlin-jvm",
            "kotlin",
            "generated Kotlin client on a JVM, on TensorFlow Lite's C library",
            kotlin_jvm.TOOLS,
            kotlin_jvm.find_problem,
            kotlin_jvm.build,
        ),
        Lane(
            "client-kotlin-litert",
            "kotlin",
            "generated Kotlin client on a JVM, on LiteRT's C library",
            kotlin_jvm.TOOLS,
            kotlin_jvm.find_litert_problem,
            kotlin_jvm.build_on_litert,
            find_misfit=kotlin_jvm.find_litert_misfit,
        ),
        Lane("client-python", "python", "generated Python client on LiteRT", (), lambda: None, _build_python),
        Lane(
            "client-swift",
            "swift",
            "generated Swift client on TensorFlow Lite's C library",
            (TFLITE_C,),
            swift_clients.find_problem,
            swift_clients.build,
        ),
        Lane(
            "client-swift-litert",
            "swift",
            "generated Swift client on LiteRT's C library",
            (),
            swift_clients.find_litert_problem,
            swift_clients.build_on_litert,
            find_misfit=swift_clients.find_litert_misfit,
        ),
        Lane(
            "client-ts",
            "typescript",
            "generated TypeScript client under Node, on TensorFlow Lite's C library",
            (TFLITE_C, TYPESCRIPT),
            typescript_clients.find_problem,
            typescript_clients.build,
        ),
        Lane(
            "client-ts-litert",
            "typescript",
            "generated TypeScript client under Node, on LiteRT.js",
            (LITERT_JS, TYPESCRIPT),
            typescript_clients.find_problem,
            typescript_clients.build_on_litert_js,
            find_misfit=typescript_clients.find_litert_js_misfit,
        ),
        Lane(
            "client-ts-tfjs",
            "typescript",
            "generated TypeScript client under Node, on TF.js",
            (TYPESCRIPT,),
            typescript_clients.find_tfjs_problem,
            typescript_clients.build_on_tfjs,
            format="tfjs",
        ),
    )
}
