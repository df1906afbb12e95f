"""Environments of their own, for extras that are not in the locked one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[1]


def make_environment(folder: Path, extras: tuple[str, ...], missing: Callable[[str], NoReturn]) -> Path:
    """The interpreter of an environment in `folder` with what the extras ask for, and this checkout."""
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    if not Path(uv).exists():
        missing("uv is not installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    interpreter = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    names = [word for extra in extras for word in ("--extra", extra)]
    install: list[str | Path] = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        interpreter,
        "-r",
        "pyproject.toml",
        *names,
    ]
    subprocess.run(install, check=True, cwd=ROOT)
    (next(folder.rglob("site-packages")) / "checkout.pth").write_text(f"{ROOT / 'src'}\n")
    return interpreter
