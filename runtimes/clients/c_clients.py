"""Generated C clients: on TensorFlow Lite's and LiteRT's C libraries, and as an arm64 program under QEMU."""

from __future__ import annotations

import importlib.util
import os
import platform
from pathlib import Path

from edgeship.processes.environment import find_program
from edgeship.runtimes.clients.tools import LIBRARY, TFLITE_C_ARM64, find_compiler, run_command, tflite_library

STRICT = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic")
SOURCES = ("main", "selftest", "edgeship", "table", "contract")
PARTS = ("counting", "learning")  # folders that a client has where its bundle has what they need
ARM64_COMPILER = "aarch64-linux-gnu-gcc"
QEMU = ("qemu-aarch64", "qemu-aarch64-static")
LITERT_FILES = ("libLiteRt.so", "libLiteRt.dylib")


def find_problem() -> str | None:
    """What is missing on this machine."""
    return None if find_compiler() else "no C compiler (cc, gcc) on the path"


def build(client: Path, work: Path) -> list[str]:
    """Compile a client on TensorFlow Lite's C library; the command of its self-test."""
    link = ["-Wl,-rpath," + os.fspath(tflite_library().parent), "-ltensorflowlite_c"]
    return _compile(client, work, find_compiler() or "cc", "engine_tflite", tflite_library().parent, link)


def find_litert() -> Path | None:
    """LiteRT's C library, which its Python package holds; None where that is another version's."""
    spec = importlib.util.find_spec("ai_edge_litert")
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = [Path(folder) / name for folder in folders for name in LITERT_FILES]
    return next((file for file in files if file.is_file()), None)


def find_litert_problem() -> str | None:
    """What is missing on this machine for LiteRT's C API."""
    if problem := find_problem():
        return problem
    return None if find_litert() else f"ai-edge-litert is not here, or has no {LITERT_FILES[0]}"


def build_on_litert(client: Path, work: Path) -> list[str]:
    """Compile a client on LiteRT's C library; the command of its self-test."""
    folder = (find_litert() or Path()).parent
    link = ["-Wl,-rpath," + os.fspath(folder), "-lLiteRt"]
    return _compile(client, work, find_compiler() or "cc", "engine_litert", folder, link)


def find_arm64_problem() -> str | None:
    """What is missing on this machine to make and emulate programs for arm64."""
    if platform.machine() in ("aarch64", "arm64"):
        return "this machine is arm64 itself: client-c is that lane"
    missing = [names[0] for names in ((ARM64_COMPILER,), QEMU) if not any(map(find_program, names))]
    if missing:
        return f"{', '.join(missing)} not on the path (Debian: gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-user)"
    return None


def build_for_arm64(client: Path, work: Path) -> list[str]:
    """Compile a client for arm64; the command that runs its self-test under QEMU."""
    compiler, folder = find_program(ARM64_COMPILER) or ARM64_COMPILER, (TFLITE_C_ARM64.folder / LIBRARY).parent
    libc = run_command([compiler, "-print-file-name=libc.so.6"], "asking for arm64's C library").strip()
    program = _compile(client, work, compiler, "engine_tflite", folder, ["-ltensorflowlite_c"])
    emulator = next(path for name in QEMU if (path := find_program(name)))
    root = os.fspath(Path(os.path.normpath(libc)).parents[1])
    return [emulator, "-L", root, "-E", f"LD_LIBRARY_PATH={folder}", *program]


def _compile(client: Path, work: Path, compiler: str, engine: str, folder: Path, link: list[str]) -> list[str]:
    program = os.fspath(work / "selftest")
    sources = [os.fspath(client / f"{name}.c") for name in (*SOURCES, engine)]
    sources += [os.fspath(path) for part in PARTS for path in sorted((client / part).glob("*.c"))]
    run_command([compiler, *STRICT, *sources, "-o", program, f"-L{folder}", *link, "-lm"], "compiling the C client")
    return [program, "model.tflite", "goldens"]
