"""ARM boards by QEMU's user-mode emulation: the architecture's real wheels on a named core, on this machine's kernel.

Three folders make a board: QEMU and a small Debian tree, the wheels, and the core's own root, which shows the guest
what that core says of itself. Instructions are exact; time is not: it says nothing about the real board.
"""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeship.errors import MissingDependencyError, unknown_name_error
from edgeship.processes.environment import child_environment, find_program
from edgeship.runtimes import registry
from edgeship.runtimes.interpreters import find_python311, pip_command
from edgeship.runtimes.launchers.debian import Packages, host_architecture, packages_problem
from edgeship.runtimes.launchers.launcher import InstructionCounter, install_folder, install_place, run_command
from edgeship.runtimes.launchers.qemu_machines import MACHINES, Machine
from edgeship.runtimes.launchers.venv import PYTHON, WHY, join_names, parse_pins, pip_arguments
from edgeship.runtimes.worker_files import worker_files
from edgeship.storage import digest

# Dynamic QEMU: only that one takes plugins. Its other libraries belong to every Debian with build tools.
TOOLS = ("qemu-user", "libcapstone4", "liburing2")
GUEST = (
    "libc6", "libgcc-s1", "libstdc++6", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "zlib1g",
    "libexpat1", "libssl3", "libffi8", "libbz2-1.0", "liblzma5",
)  # fmt: skip
SOURCE = Path(__file__).parent / "count.c"
QUIET = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "PYTHONNOUSERSITE": "1", "OPENBLAS_NUM_THREADS": "1"}


class QemuLauncher(InstructionCounter):
    """Workers under qemu-aarch64 or qemu-arm."""

    emulates = True

    @property
    def machine(self) -> Machine:
        """The guest's architecture. Raises InputError where the profile names none that is known."""
        name = str(self.device.launch.get("machine", "aarch64"))
        if name not in MACHINES:
            raise unknown_name_error("machine", name, MACHINES, f"device {self.device.name}")
        return MACHINES[name]

    @property
    def packages(self) -> list[str]:
        """Debian's packages in the guest's tree."""
        return [*GUEST, *self.device.launch.get("packages", ())]

    @property
    def requirements(self) -> list[str]:
        """The wheels that the profile pins."""
        return list(self.device.launch["requirements"])

    @property
    def cpu(self) -> str:
        """QEMU's name of the core."""
        return str(self.device.launch["cpu"])

    @property
    def tree(self) -> Path:
        """`tools` (QEMU, for this machine), `guest` (the board's tree), `versions.json` (the packages that both are made of)."""
        return install_place("qemu", host_architecture(), self.machine.name, TOOLS, self.packages)

    @property
    def wheels(self) -> Path:
        """The guest's Python packages."""
        return install_place(self.machine.name, PYTHON, self.machine.wheels, *sorted(self.requirements))

    @property
    def core(self) -> Path:
        """What the guest sees as its root: links into the tree, and the core's /proc/cpuinfo."""
        return install_place("core", self.tree.name, os.cpu_count(), self._cpuinfo_text())

    @property
    def plugin(self) -> Path:
        """The compiled counter of instructions."""
        return install_place("count", host_architecture(), SOURCE.read_text(encoding="utf-8")) / "libcount.so"

    @property
    def places(self) -> tuple[Path, ...]:
        """All four."""
        return (self.tree, self.wheels, self.core, self.plugin.parent)

    def unavailable_reason(self) -> str | None:
        """Why it cannot be used."""
        if all(path.exists() for path in (self.tree, self.wheels, self.core, self.plugin)):
            return None
        return packages_problem() or "it is not installed"

    def version(self, runtime: str) -> str | None:
        """The pinned version."""
        return parse_pins(self.requirements, self.device.name).get(registry.find(runtime).distribution)

    def identity(self, runtime: str) -> list[str | None]:
        """The emulator, the core and all that is pinned."""
        file = self.tree / "versions.json"
        made_of = digest.of_path(file) if file.exists() else self.tree.name
        return [runtime, self.cpu, made_of, self.core.name, self.plugin.parent.name, *sorted(self.requirements)]

    def launch(self, runtime: str) -> registry.Launch:
        """A worker on the core."""
        self.require()
        guest = self.tree / "guest" / "usr" / "bin" / "python3.11"
        options = ["-U", "LD_LIBRARY_PATH", "-cpu", self.cpu, "-L", os.fspath(self.core)]
        if folders := [os.fspath(self.tree / "guest" / name) for name in self.machine.guest_libraries]:
            options[:2] = ["-E", f"LD_LIBRARY_PATH={os.pathsep.join(folders)}"]
        worker = worker_files()
        _compile_folder(worker)
        path = os.pathsep.join(map(os.fspath, (worker, self.wheels, self._debian_python())))
        command = (
            os.fspath(self.tree / "tools" / "usr" / "bin" / self.machine.qemu),
            *options,
            *(os.fspath(guest), "-P", "-m", "edgeship.runtimes.worker", "--runtime", runtime),
        )
        return registry.Launch(
            command, {**QUIET, "LD_LIBRARY_PATH": os.fspath(self._tool_libraries()), "PYTHONPATH": path}
        )

    def counting_launch(self, runtime: str, out: Path) -> registry.Launch:
        """A worker whose instructions are counted, at each mark a line in `out`."""
        plain = self.launch(runtime)
        plugin = f"{self.plugin},out={out}"
        return replace(plain, command=(plain.command[0], "-plugin", plugin, *plain.command[1:]))

    def install(self) -> Path:
        """Download, unpack, compile; what is there already is kept, so that an interrupted installation goes on."""
        parse_pins(self.requirements, self.device.name)
        install_folder(self.tree, self._unpack_tree)
        install_folder(self.wheels, self._download_wheels)
        install_folder(self.plugin.parent, self._build_plugin)
        return install_folder(self.core, self._make_root)

    def _tool_libraries(self) -> Path:
        return next((self.tree / "tools" / "usr" / "lib").glob("*-linux-gnu"))

    def _debian_python(self) -> Path:
        return self.tree / "guest" / "usr" / "lib" / "python3" / "dist-packages"

    def _unpack_tree(self, draft: Path) -> None:
        packages = Packages(self.machine.debian)
        made_of = packages.unpack(TOOLS, draft / "tools")
        programs = draft / "tools" / "usr" / "bin"
        for program in programs.iterdir():  # 31 other machines
            if program.name != self.machine.qemu:
                program.unlink()
        made_of += packages.unpack([f"{name}:{self.machine.debian}" for name in self.packages], draft / "guest")
        for name in ("doc", "man", "locale"):
            shutil.rmtree(draft / "guest" / "usr" / "share" / name, ignore_errors=True)
        for name in ("python3.11", "python3"):
            _compile_folder(draft / "guest" / "usr" / "lib" / name)
        (draft / "versions.json").write_text(json.dumps(sorted(made_of)), encoding="utf-8")

    def _download_wheels(self, draft: Path) -> None:
        command = pip_command(
            "--no-deps", "--only-binary", ":all:", "--target", os.path.abspath(draft), uv=bool(self.machine.uv)
        )
        where = ["--python-version", ".".join(map(str, PYTHON))]
        if Path(command[0]).stem == "uv":
            where += ["--python-platform", self.machine.uv]
        else:
            where += ["--implementation", "cp"]
            where += [part for tag in self.machine.wheels for part in ("--platform", tag)]
        pins = pip_arguments(self.requirements, draft)
        run_command([*command, *where, *pins], f"installing {join_names(self.requirements)} for {self.machine.name}")
        _compile_folder(draft)

    def _build_plugin(self, draft: Path) -> None:
        compiler = find_program("cc") or find_program("gcc")
        if compiler is None:
            raise MissingDependencyError(
                "counting instructions needs a C compiler, and neither cc nor gcc is on the path"
            )
        target = os.fspath(draft / "libcount.so")
        run_command(
            [compiler, "-O2", "-shared", "-fPIC", "-o", target, os.fspath(SOURCE)],
            "compiling the counter of instructions",
        )

    def _make_root(self, draft: Path) -> None:
        for item in (self.tree / "guest").iterdir():
            (draft / item.name).symlink_to(item)
        (draft / "proc").mkdir()
        (draft / "proc" / "cpuinfo").write_text(self._cpuinfo_text(), encoding="utf-8")

    def _cpuinfo_text(self) -> str:
        """As Linux on that core writes it, one block per CPU of this machine.

        QEMU 7.2 would show the guest this machine's own, on which the runtimes' detection of cores crashes.
        """
        core: Mapping[str, Any] = self.device.launch.get("identity", {})
        block = (
            "processor\t: {number}\nBogoMIPS\t: 100.00\n"
            f"Features\t: {core.get('features', 'fp asimd')}\n"
            f"CPU implementer\t: 0x41\nCPU architecture: {self.machine.number}\n"
            f"CPU variant\t: {core.get('variant', '0x0')}\nCPU part\t: {core.get('part', '0xd03')}\n"
            f"CPU revision\t: {core.get('revision', '3')}\n"
        )
        return "\n".join(block.format(number=number) for number in range(os.cpu_count() or 1))


def _compile_folder(folder: Path) -> None:
    """Byte-code of this Python, which the guest's understands: compiling under emulation costs seconds at each start."""
    if not folder.exists() or next(folder.rglob("__pycache__"), None):
        return
    python = find_python311(WHY)
    if python == sys.executable:
        compileall.compile_dir(folder, quiet=2)  # silent; to redirect the output would change that of other threads
    else:
        command = [python, "-I", "-m", "compileall", "-q", os.fspath(folder)]
        subprocess.run(command, capture_output=True, check=False, env=child_environment())
