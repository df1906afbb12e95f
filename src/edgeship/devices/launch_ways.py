"""The ways to start the workers of a device: what a profile must and may say of each, and which class does it."""

from __future__ import annotations

from collections.abc import Mapping

from edgeship.light_dataclass import dataclass


@dataclass(frozen=True)
class LaunchWay:
    """A value of `how` in a profile's `[launch]`.

    `launcher` is the class, as module:name below `edgeship.runtimes.launchers`; `required_keys` and `optional_keys` are the
    profile's further keys. Where `strict` is off, the launcher looks at them itself.
    """

    launcher: str
    required_keys: frozenset[str] = frozenset()
    optional_keys: frozenset[str] = frozenset()
    strict: bool = True


WAYS: Mapping[str, LaunchWay] = {
    "direct": LaunchWay("local:LocalLauncher", optional_keys=frozenset({"memory", "cores"})),
    "environment": LaunchWay("venv:VenvLauncher", frozenset({"requirements"})),
    "qemu": LaunchWay(
        "qemu:QemuLauncher", frozenset({"cpu", "requirements"}), frozenset({"machine", "packages", "identity"})
    ),
    "vela": LaunchWay("vela:VelaCompiler", frozenset({"accelerator", "system", "memory", "requirements"})),
    "adb": LaunchWay("adb:AdbLauncher"),
    "ssh": LaunchWay("ssh:SshLauncher", frozenset({"host"}), frozenset({"python", "folder"})),
    "server": LaunchWay("servers.server:ServerLauncher", strict=False),
    "browser": LaunchWay("browser:BrowserLauncher", strict=False),
}
