"""An inference server, and what lies between it and its users: the profile's network, by a proxy while times are taken."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edgeship.devices.network import LIMITS, Network, parse_network
from edgeship.devices.profiles import Device
from edgeship.errors import InputError, MissingDependencyError, unknown_name_error
from edgeship.runtimes import registry, session
from edgeship.runtimes.launchers.launcher import Launcher
from edgeship.runtimes.launchers.servers.api_keys import read_api_keys
from edgeship.types import Artifact

PLACE = ("url", "model", "artifact")
KEYS = ("how", *PLACE, "api_key_file", *LIMITS)


class ServerLauncher(Launcher):
    """Its workers are clients of a server; `url` and `model` name it, and the `artifact` (its id) that it runs.

    `api_key_file`: where the server's keys are, the first of which is sent with each question.
    """

    compared_with_host = False
    timeout = session.TIMEOUT

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        where = f"device {device.name}, [launch]"
        for key in device.launch:
            if key not in KEYS:
                raise unknown_name_error("key", key, KEYS, where)
        self.network: Network = parse_network(device.launch, where)
        self._url = _check_url(device.launch.get("url", ""), where)
        self._model, self._artifact = (str(device.launch.get(key, "")) for key in ("model", "artifact"))
        self._key_file = str(device.launch.get("api_key_file", ""))
        if len({bool(device.launch.get(key)) for key in PLACE}) > 1:
            raise InputError(f"{where}: {', '.join(PLACE)} are given together, or none of them")

    def unavailable_reason(self) -> str | None:
        """Why there is no server."""
        return (
            None
            if self._url
            else "no server is named: url, model and artifact in the [launch] of a profile of your own"
        )

    @property
    def hint(self) -> str:
        """What to do where it is not available."""
        return "edgeship worth BUNDLE --server local starts and measures one"

    def version(self, runtime: str) -> str | None:
        """The protocol's."""
        return registry.find(runtime).version()

    def launch(self, runtime: str) -> registry.Launch:
        """The client's worker."""
        self.require()
        return registry.find(runtime).launch()

    def identity(self, runtime: str) -> list[str | None]:
        """A server that somebody else runs may be another one each time, so that nothing is taken from the cache."""
        return [runtime, self.version(runtime), secrets.token_hex(8)]

    def refusal(self, runtime: registry.Runtime, artifact: Artifact) -> str | None:
        """Why an artifact is not asked for there: what answers is the one that the server runs, whichever is meant."""
        if reason := self.unavailable_reason() or runtime.unavailable_reason():
            return f"{reason}; {runtime.install}" if reason == runtime.unavailable_reason() else reason
        return None if artifact.id == self._artifact else f"{self.device.name} runs {self._artifact}"

    def options(self, *, timed: bool) -> Mapping[str, Any]:
        """Where the server is. Answers are the same over any network: where nothing is timed there is none."""
        place = {"url": self._url, "model": self._model}
        if self._key_file:
            place["api_key"] = read_api_keys(self._key_file)[0]
        if not timed or self.network.is_none:
            return place
        return {**place, "network": asdict(self.network), "python": sys.executable}

    def install(self) -> Path:
        """Refused: there is nothing to install."""
        raise MissingDependencyError(f"device {self.device.name} is a server's, which runs already; {self.hint}")


def _check_url(url: object, where: str) -> str:
    if url == "":
        return ""
    place = urlsplit(url) if isinstance(url, str) else None
    if place is None or place.scheme != "http" or not place.hostname or place.path.strip("/") or place.query:
        raise InputError(f"{where}: url = {str(url)[:80]!r} must be http://HOST:PORT, without a path")
    return str(url)
