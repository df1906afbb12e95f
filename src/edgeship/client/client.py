"""What an app calls: `Client(...).update()` brings the device to its version, `.model` is the file to open."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edgeship.client.outcome import ClientError, ClientSettings, UpdateResult
from edgeship.client.store import Store, StoredVersion, has_content
from edgeship.client.strict_json import RulesError, read_artifact_id, read_channel, read_name, read_text
from edgeship.client.timed_sockets import Timer
from edgeship.client.unchanged import find_unchanged

SECONDS, IDLE_SECONDS = 600.0, 20.0  # of all downloads of an update; that a server may say nothing
MOST_ROOT_BYTES = 64_000


class Client:
    """Keeps one artifact of one channel on this device.

    `url`: the channel's folder on a web server. `name`: `<name>/<channel>`. `state`: a folder of the client's own. `root`: the
    channel's first `root.json`, which the app ships with (bytes or path): all trust begins there. `device_id`: what the device's
    bucket is computed of (default: a random one, kept in `state`). `seconds`: for all downloads of one update together.

    Raises ClientError for an address, name or root that can be none. Nothing is read from the network before `update`.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str,
        artifact: str,
        state: Path | str,
        root: bytes | Path | str,
        device_id: str | None = None,
        seconds: float = SECONDS,
    ) -> None:
        if not _is_folder_address(url):
            raise ClientError(
                f"{url[:200]!a} is no address of a channel's folder, as https://models.example.com/channel"
            )
        try:
            model, channel = _split_name(name)
            read_artifact_id(artifact, "artifact")
            identity = device_id if device_id is None else read_text(device_id, "device_id")
        except RulesError as error:
            raise ClientError(str(error)) from error
        trusted = root if isinstance(root, bytes) else _read_root(Path(root))
        self._settings = ClientSettings(url.rstrip("/"), model, channel, artifact, trusted, identity, seconds)
        self._store, self._name = Store(Path(state), name, artifact), name

    def update(self) -> UpdateResult:
        """Ask the channel, and bring the device to the version that it has for it: verified, self-tested, switched in one step.

        Whatever goes wrong on the way is told in the result, and what ran goes on running. Raises ClientError only for what a
        person must mend: a state folder of something else, links in it.
        """
        with self._store.lock() as held:
            state = self._store.read_state()
            if not held:
                return UpdateResult("busy", state.running, "another process updates this state")
            timer = Timer(time.monotonic() + self._settings.seconds, IDLE_SECONDS)
            if unchanged := find_unchanged(self._settings, self._store, state, timer):
                return unchanged
            from edgeship.client.update import Update

            return Update(self._settings, self._store, state, timer).run()

    @property
    def version(self) -> int | None:
        """The number of the version that runs, None before the first update."""
        stored = self._find_running()
        return stored.description.version if stored else None

    @property
    def model(self) -> Path:
        """The file of the running version that a runtime opens. Raises ClientError where no version is here."""
        return self._running().entry

    @property
    def labels(self) -> tuple[str, ...]:
        """The model's classes in the order of its scores; empty where it has none. Raises ClientError as `model`."""
        return self._running().description.labels

    @property
    def contract(self) -> dict[str, Any]:
        """The running version's `contract.json`: how its tensors are fed and read.

        Raises ClientError as `model`, and where the file is not the one that was fetched.
        """
        stored = self._running()
        place = stored.folder / "contract.json"
        if not any(has_content(place, file.size, file.sha256) for file in stored.files if file.path == place.name):
            raise ClientError(f"{place}: was changed on this device; remove its folder, and update() fetches it again")
        try:
            content: dict[str, Any] = json.loads(place.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise ClientError(f"{place}: cannot be read ({error})") from error
        return content

    @property
    def profile(self) -> Path | None:
        """The running version's `profile.json`, by which a `Counter` counts, None where it has none.

        Raises ClientError as `model`.
        """
        path = self._running().folder / "profile.json"
        return path if path.is_file() else None

    @property
    def learning(self) -> Path | None:
        """The running version's `learning/`, with which a `HeadLearner` learns, None where it has none.

        Raises ClientError as `model`.
        """
        path = self._running().folder / "learning"
        return path if (path / "learning.json").is_file() else None

    @property
    def arms(self) -> dict[str, str]:
        """By experiment, the arm that this device was assigned to when it last updated, as a `Counter` reports it.

        It is the assigned one whatever version runs; empty where the device takes part in none.
        """
        from edgeship.client.rule_files import parse_channel
        from edgeship.client.rules import choose_arm, meets_conditions
        from edgeship.client.selftest.runtimes import describe_device

        try:
            channel = parse_channel(self._store.channel.read_bytes())
        except (OSError, RulesError):  # no update so far
            return {}
        identity = self._settings.device_id or self._store.read_state().device
        device = describe_device(identity, self._settings.artifact.partition("/")[0])
        arm = choose_arm(channel, device.id) if meets_conditions(channel.conditions, device) else None
        return {channel.experiment.name: arm.name} if arm and channel.experiment else {}

    def _running(self) -> StoredVersion:
        stored = self._find_running()
        if stored is None:
            raise ClientError(f"no version of {self._name} is on this device yet; update() fetches one")
        return stored

    def _find_running(self) -> StoredVersion | None:
        """The version that runs; the one before it where its files are gone."""
        state = self._store.read_state()
        numbers = (state.running, state.previous) if state.running is not None else ()
        return next((found for number in numbers if number is not None and (found := self._store.find(number))), None)


def _is_folder_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port  # looked at only when it is asked for
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0 and not (parts.query or parts.fragment)
    )


def _split_name(name: str) -> tuple[str, str]:
    model, _, channel = name.partition("/")
    return read_name(model, f"the name '{name[:60]}', <name>/<channel>,"), read_channel(
        channel, f"the channel of '{name[:60]}'"
    )


def _read_root(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_ROOT_BYTES + 1)
    except OSError as error:
        raise ClientError(f"{path}: {error.strerror}; it must be the channel's first root.json") from error
    if len(content) > MOST_ROOT_BYTES:
        raise ClientError(f"{path}: larger than any root.json")
    return content
