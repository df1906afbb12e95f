"""Writes runtimes/launchers/wheels.txt: the digests of every wheel that a built-in device profile pins (`make lock`)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edgeship.devices.profiles import find_device, profile_names
from edgeship.runtimes.launchers.venv import LOCKED

HEAD = "# Written by scripts/maintain/lock_devices.py: what the device profiles pin, with the digests of all their files.\n"


def main() -> None:
    """Ask the package index once for each requirement; versions of one package stand side by side, so each alone."""
    pinned = sorted({item for name in profile_names() for item in find_device(name).launch.get("requirements", ())})
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    command += ["--generate-hashes", "--no-deps", "--python-version", "3.11", "-"]
    parts = [subprocess.run(command, input=item, capture_output=True, text=True, check=True).stdout for item in pinned]
    LOCKED.write_text(HEAD + "".join(parts), encoding="utf-8")
    print(f"{LOCKED}: {len(pinned)} requirements")


if __name__ == "__main__":
    main()
