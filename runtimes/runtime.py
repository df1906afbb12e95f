"""What describes a runtime, for the files in `edgeship.runtimes.engines`. Standard library only: boards have this file, too."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship import errors
from edgeship.light_dataclass import dataclass

if TYPE_CHECKING:
    from edgeship.runtimes.own_environment import OwnEnvironment
    from edgeship.types import Artifact

# OpenBLAS would start a thread per core on importing numpy, which is neither used nor part of the runtime.
LEAN = {"OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Launch:
    """How a worker of a runtime is started; `upload` brings a model to a worker that does not see this machine's files."""

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    upload: Callable[[Path], str] | None = None


def _take_all(_: Artifact) -> str | None:
    return None


@dataclass(frozen=True)
class Runtime:
    """A runtime; `version` is None and `unavailable_reason` says why where it cannot be used here.

    `install` says what to do then, `prepare` does it where edgeship can. `kernels` are other sets than the default that its
    worker takes, all of them right. `distribution` is the Python package that devices with a Python of their own run it
    with; empty where none does. `on_devices` names a device that has it, where this machine never does.
    """

    name: str
    formats: tuple[str, ...]
    title: str
    install: str
    find_version: Callable[[], str | None]
    find_launch: Callable[[], Launch]
    find_reason: Callable[[], str | None]
    prepare: Callable[[], Path] | None = None
    in_browser: bool = False
    find_refusal: Callable[[Artifact], str | None] = _take_all
    kernels: tuple[str, ...] = ()
    distribution: str = ""
    on_devices: str = ""

    def version(self) -> str | None:
        """Its installed version, found without importing or starting it."""
        return self.find_version()

    def identity(self) -> list[str | None]:
        """What decides its results, for cache keys: name, version and, of an engine in a browser, the built page."""
        if not self.in_browser:
            return [self.name, self.version()]
        from edgeship.runtimes.browser import requirements

        return [self.name, self.version(), requirements.page_digest()]

    def unavailable_reason(self) -> str | None:
        """Why it cannot be used here."""
        return self.find_reason()

    def refusal(self, artifact: Artifact) -> str | None:
        """Why it cannot run an artifact of a format that it takes otherwise, with what to do."""
        return self.find_refusal(artifact)

    def launch(self) -> Launch:
        """The command and environment of its worker. Raises MissingDependencyError where it is not available."""
        if reason := self.unavailable_reason():
            raise errors.MissingDependencyError(f"runtime {self.name} is not available: {reason}; {self.install}")
        return self.find_launch()


def python_launch(runtime: str, python: str = "", extra: Mapping[str, str] | None = None) -> Launch:
    """A Python worker in this environment, or in that of another interpreter, which need not have edgeship.

    Nothing is imported from the working folder (-P), custom layers of a server model apart (`server_model.keras.custom`).
    """
    command = (python or sys.executable, "-P", "-m", "edgeship.runtimes.worker", "--runtime", runtime)
    if not python:
        return Launch(command, {**LEAN, **(extra or {})})
    from edgeship.runtimes.worker_files import worker_files

    # The other environment stays as it was installed.
    isolated = {"PYTHONPATH": os.fspath(worker_files()), "PYTHONDONTWRITEBYTECODE": "1"}
    return Launch(command, {**LEAN, **(extra or {}), **isolated})


def installed_version(*distributions: str) -> str | None:
    """The version of the first of these distributions that is installed here."""
    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def python_runtime(
    name: str,
    artifact_format: str,
    title: str,
    distributions: tuple[str, ...],
    *,
    extra: str = "",
    kernels: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
    on_boards: bool = True,
) -> Runtime:
    """A runtime in edgeship's own environment: one of `distributions`, which edgeship's `extra` installs.

    `on_boards`: devices with a Python of their own may have it, too.
    """
    package = f"edgeship[{extra}]" if extra else "edgeship"
    return Runtime(
        name,
        (artifact_format,),
        title,
        f"install it with: pip install '{package}'",
        find_version=lambda: installed_version(*distributions),
        find_launch=lambda: python_launch(name, extra=env),
        find_reason=lambda: None if installed_version(*distributions) else f"{distributions[0]} is not installed",
        kernels=kernels,
        distribution=distributions[0] if on_boards else "",
    )


def own_runtime(
    name: str,
    artifact_format: str,
    title: str,
    *,
    python311: str = "",
    find_refusal: Callable[[Artifact], str | None] = _take_all,
    distribution: str = "",
    env: Mapping[str, str] | None = None,
) -> Runtime:
    """A runtime in an environment of its own, of the Python distribution `name`; `python311`: why it takes a Python 3.11.

    `env` are variables of its worker.
    """

    def environment() -> OwnEnvironment:
        from edgeship.runtimes.own_environment import OwnEnvironment

        return OwnEnvironment(name, python311)

    return Runtime(
        name,
        (artifact_format,),
        title,
        f"install it with: edgeship runtimes install {name}",
        find_version=lambda: environment().version(),
        find_launch=lambda: python_launch(name, os.fspath(environment().python()), env),
        find_reason=lambda: environment().unavailable_reason(),
        prepare=lambda: environment().install(),
        find_refusal=find_refusal,
        distribution=distribution,
    )


def device_runtime(name: str, artifact_format: str, title: str, device: str, distribution: str = "") -> Runtime:
    """A runtime that only a device has, as the one of that name: the device says how it is started."""
    return Runtime(
        name,
        (artifact_format,),
        title,
        f"run it with: --device {device}",
        find_version=lambda: None,
        find_launch=lambda: Launch(()),
        find_reason=lambda: f"it belongs to a device ({device})",
        distribution=distribution,
        on_devices=device,
    )
