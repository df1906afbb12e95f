"""The machine: which tools, runtimes and devices are here, and how the others are installed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeship.api.results import DeviceStatus, RuntimeStatus
from edgeship.notices import print_notice, set_visibility

if TYPE_CHECKING:
    from edgeship.devices.profiles import Device
    from edgeship.pipeline.doctor import Tool
    from edgeship.runtimes.launchers.selfcheck import Finding
    from edgeship.runtimes.registry import Runtime


def diagnose() -> list[Tool]:
    """The tools that edgeship can use, with their versions, and what installs a missing one."""
    from edgeship.pipeline import doctor

    return doctor.diagnose()


def list_runtimes() -> list[RuntimeStatus]:
    """The runtimes that execute artifacts, and in the end `server`, which `edgeship serve` runs."""
    from edgeship.runtimes.registry import RUNTIMES

    return [*(_runtime_status(runtime) for runtime in RUNTIMES.values()), _server_status()]


def install_runtime(name: str, *, progress: bool = False) -> None:
    """Install a runtime with its pinned versions into the user's data folder, whole or not at all.

    `browser` stands for all runtimes that run in a page, `server` is what `edgeship serve` runs. Raises InputError for an
    unknown one, MissingDependencyError for one that belongs into edgeship's own environment.
    """
    from edgeship.errors import MissingDependencyError
    from edgeship.runtimes.registry import find
    from edgeship.serving.rest.environment import SERVER

    if name == SERVER:
        _install_server(progress)
        return
    runtime = find("tfjs-web" if name == "browser" else name)
    with set_visibility(progress):
        if not runtime.unavailable_reason():
            print_notice(f"{name} {runtime.version()} is installed")
            return
        if runtime.prepare is None:
            raise MissingDependencyError(f"{name} belongs into edgeship's own environment; {runtime.install}")
        print_notice(f"installing {name} ...")
        folder = runtime.prepare()
        print_notice(f"{name} {runtime.version()} is installed in {folder}")


def _install_server(progress: bool) -> None:
    from edgeship.serving.rest.environment import ENVIRONMENT

    with set_visibility(progress):
        if ENVIRONMENT.unavailable_reason():
            print_notice("installing server (KServe, about 300 MB) ...")
            ENVIRONMENT.install()
        print_notice(f"server (KServe {ENVIRONMENT.version()}) is installed in {ENVIRONMENT.folder}")


def list_devices() -> list[DeviceStatus]:
    """The devices that artifacts can be run on: this machine, older runtimes, emulated boards, compilers."""
    from edgeship.devices.profiles import find_device, profile_names

    return [_device_status(find_device(name)) for name in profile_names()]


def install_devices(names: Sequence[str], *, progress: bool = False) -> None:
    """Set devices up (by name, or a profile's `.toml`) in the user's cache folder, each whole or not at all.

    Raises InputError for an unknown one.
    """
    from edgeship.devices.profiles import find_device
    from edgeship.runtimes.launchers import find_launcher

    with set_visibility(progress):
        for launcher in [find_launcher(find_device(name)) for name in names]:
            name = launcher.device.name
            if not launcher.unavailable_reason():
                print_notice(f"{name} is installed")
                continue
            print_notice(f"installing {name} ...")
            start = time.perf_counter()
            folder = launcher.install()
            print_notice(f"{name} is installed in {folder} ({time.perf_counter() - start:.1f} s)")


def check_devices(names: Sequence[str] = ()) -> list[Finding]:
    """Run known models on devices (default: all that are installed) and compare with their known outputs.

    Raises MissingDependencyError for one that is named and not installed.
    """
    from edgeship.devices import profiles
    from edgeship.runtimes.launchers import WAYS, find_launcher
    from edgeship.runtimes.launchers.selfcheck import examine_runtime, known_model

    devices = [profiles.find_device(name) for name in names or profiles.profile_names()]
    launchers = [find_launcher(device) for device in devices if device.how in WAYS]
    if not names:
        launchers = [launcher for launcher in launchers if not launcher.unavailable_reason()]
    for launcher in launchers:
        launcher.require()
    return [
        examine_runtime(launcher, runtime)
        for launcher in launchers
        for runtime in launcher.device.runtimes or ("litert",)
        if known_model(runtime)
    ]


def _runtime_status(runtime: Runtime) -> RuntimeStatus:
    reason = runtime.unavailable_reason()
    version, install = (None, runtime.install) if reason else (runtime.version(), "")
    return RuntimeStatus(runtime.name, runtime.title, runtime.formats, not reason, version, reason or "", install)


def _server_status() -> RuntimeStatus:
    from edgeship.formats.formats import FORMATS
    from edgeship.runtimes.registry import find
    from edgeship.serving.rest import environment

    here = environment.ENVIRONMENT
    reason = here.unavailable_reason() or ""
    about = (environment.SERVER, environment.TITLE, (*FORMATS, *find("keras").formats))
    return RuntimeStatus(
        *about, not reason, None if reason else here.version(), reason, environment.INSTALL if reason else ""
    )


def _device_status(device: Device) -> DeviceStatus:
    from edgeship.runtimes.launchers import WAYS, find_launcher

    about = (device.name, device.title, str(device.kind), tuple(device.figures))
    if device.how not in WAYS:
        return DeviceStatus(*about, {}, None, "", "")
    launcher = find_launcher(device)
    reason = launcher.unavailable_reason()
    versions = {name: launcher.version(name) for name in device.runtimes}
    return DeviceStatus(*about, versions, not reason, reason or "", launcher.hint if reason else "")
