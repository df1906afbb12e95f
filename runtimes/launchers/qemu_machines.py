"""The architectures that boards are emulated for: which QEMU runs them, and what Debian and the package index call them."""

from __future__ import annotations

from edgeship.light_dataclass import dataclass


@dataclass(frozen=True)
class Machine:
    """`wheels` are platform tags that glibc of Debian 12 can load, newest first; `uv` is uv's name, empty where it has none.

    `number` is that of Arm's architecture in /proc/cpuinfo; `guest_libraries` are folders of the guest's tree that its dynamic
    linker would not look into.
    """

    name: str
    qemu: str
    debian: str
    wheels: tuple[str, ...]
    number: int
    uv: str = ""
    guest_libraries: tuple[str, ...] = ()


GLIBC = ("36", "34", "31", "28", "27", "26", "24", "17")
MACHINES = {
    machine.name: machine
    for machine in (
        Machine(
            "aarch64",
            "qemu-aarch64",
            "arm64",
            (*(f"manylinux_2_{minor}_aarch64" for minor in GLIBC), "manylinux2014_aarch64"),
            8,
            f"aarch64-manylinux_2_{GLIBC[0]}",
        ),
        Machine(
            "armv7l",
            "qemu-arm",
            "armhf",
            (*(f"manylinux_2_{minor}_armv7l" for minor in GLIBC), "manylinux2014_armv7l"),
            7,
            # Debian chooses between several BLAS by links that a package's scripts make; nothing runs scripts here.
            guest_libraries=("usr/lib/arm-linux-gnueabihf/blas", "usr/lib/arm-linux-gnueabihf/lapack"),
        ),
    )
}
