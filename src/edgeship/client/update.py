"""One update: ask, verify, choose, fetch, self-test, switch. Whatever fails leaves the version that runs."""

from __future__ import annotations

import errno
from dataclasses import replace

from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, RepositoryError

from edgeship.client.deltas import MOST_BYTES, apply_patch, choose_patches
from edgeship.client.download import DeadlineFetcher
from edgeship.client.outcome import (
    ClientError,
    ClientSettings,
    SelfTestError,
    SelfTestUnfinishedError,
    Status,
    UpdateResult,
)
from edgeship.client.repository import Repository
from edgeship.client.rule_files import CHANNEL_BYTES, VERSION_BYTES, parse_channel
from edgeship.client.rules import Channel, ChannelFile, bucket, channel_path, choose_version, file_path, version_path
from edgeship.client.selftest.run import run_selftest
from edgeship.client.selftest.runtimes import describe_device, find_runtime, missing_reason
from edgeship.client.store import (
    DESCRIPTION,
    PATCH,
    State,
    Store,
    StoredVersion,
    Verified,
    has_content,
    open_version,
    remember_failure,
)
from edgeship.client.strict_json import RulesError
from edgeship.client.timed_sockets import Timer
from edgeship.client.unchanged import digest

FULL = (errno.ENOSPC, errno.EDQUOT)
MOST_CHOICES = 4  # a version that fails its self-test, the one before it, and those of an experiment


class Update:
    """One run of one client, with the state as it was found."""

    def __init__(self, settings: ClientSettings, store: Store, state: State, timer: Timer) -> None:
        self._settings, self._store, self._state, self._timer = settings, store, state, timer
        self._form = settings.artifact.partition("/")[0]
        self._device = settings.device_id or state.device
        self._result = UpdateResult("current", state.running)
        self._patched = 0

    def run(self) -> UpdateResult:
        """The result, with every failure of network, server, disk or model in it."""
        fetcher = DeadlineFetcher(self._store.metadata, self._timer)
        try:
            result = self._follow_channel(fetcher)
        except (DownloadLengthMismatchError, RepositoryError, RulesError) as error:
            result = self._stay("refused", error)
        except DownloadError as error:
            result = self._stay("offline", error)
        except SelfTestUnfinishedError as error:
            result = self._stay("error", f"the self-test could not be run: {error}")
        except ClientError as error:
            result = self._stay("error", error)
        except OSError as error:
            if error.errno in FULL:  # of what was fetched, perhaps
                self._store.clear_incoming()
            result = self._stay("error", f"{error.filename or 'the state'}: {error.strerror or error}")
        return replace(result, received_bytes=fetcher.received_bytes, patched_files=self._patched)

    def _follow_channel(self, fetcher: DeadlineFetcher) -> UpdateResult:
        self._store.write_new_state(self._state)
        repository = Repository(self._settings.url, self._store.metadata, self._settings.root, fetcher)
        repository.refresh()
        channel = self._read_channel(repository)
        self._remember_verified(repository)
        device = describe_device(self._device, self._form)
        self._result = replace(self._result, bucket=bucket(channel.salt, self._device))
        problem = ""
        for _ in range(MOST_CHOICES):
            number = choose_version(channel, device, self._state.running, self._state.failed)
            self._result = replace(self._result, chosen=number)
            if number is None:
                return self._leave_withdrawn(channel, problem)
            if number == self._state.running and self._store.find_whole(number):
                self._store.remove_others(self._state)
                return self._stay("failed" if problem else "current", problem)
            try:
                goldens = self._take_version(repository, number)
            except SelfTestError as error:
                problem = f"version {number} failed its self-test: {error}"
                self._change_state(remember_failure(self._state, number))
                continue
            self._switch(channel, number)
            return UpdateResult("updated", number, problem, number, self._result.bucket, goldens)
        return self._stay("failed", problem)

    def _stay(self, status: Status, error: object) -> UpdateResult:
        return replace(self._result, status=status, error=" ".join(str(error).split())[:300])

    def _read_channel(self, repository: Repository) -> Channel:
        names = self._settings.model, self._settings.channel
        if (asked := "/".join(names)) not in (known := repository.list_channels()):
            raise ClientError(f"no channel {asked} is there; known: {', '.join(known) or 'none'}")
        channel = parse_channel(repository.read(channel_path(*names), CHANNEL_BYTES, self._store.channel))
        if (channel.name, channel.channel) != names:
            raise RulesError(f"channel.json is of {channel.name}/{channel.channel}, not of {'/'.join(names)}")
        return channel

    def _remember_verified(self, repository: Repository) -> None:
        """What the next update compares with, before it asks TUF."""
        root, timestamp, until = repository.describe()
        channel, trusted = digest(self._store.channel.read_bytes()), digest(self._settings.root)
        verified = Verified(self._settings.url, trusted, root, digest(timestamp), channel, until)
        if verified != self._state.verified:
            self._change_state(replace(self._state, verified=verified))

    def _leave_withdrawn(self, channel: Channel, problem: str) -> UpdateResult:
        """There is nothing for this device: it keeps what runs, unless that is withdrawn."""
        if self._state.running in channel.withdrawn:
            self._change_state(replace(self._state, running=None, previous=None))
            self._result = replace(self._result, running=None)
        return self._stay("failed" if problem else "none", problem or "the channel has no version for this device")

    def _take_version(self, repository: Repository, number: int) -> int:
        """Have a version here, whole and tested, and return how many goldens it replayed. Raises SelfTestError."""
        stored = self._store.find_whole(number)
        if stored:
            return self._test(stored)
        if find_runtime(self._form) is None:
            raise SelfTestUnfinishedError(missing_reason(self._form))
        stored = self._describe_version(repository, number)
        self._store.check_room(stored.files)
        for file in stored.files:
            self._fetch_file(repository, file)
        goldens = self._test(stored)
        self._store.finish(number, stored.files)
        return goldens

    def _describe_version(self, repository: Repository, number: int) -> StoredVersion:
        folder, name = self._store.begin(), self._settings.model
        content = repository.read(version_path(name, number), VERSION_BYTES, self._store.place(DESCRIPTION))
        stored = open_version(folder, content, self._settings.artifact)
        if (stored.description.name, stored.description.version) != (name, number):
            raise RulesError(f"{version_path(name, number)} describes another version")
        return stored

    def _fetch_file(self, repository: Repository, file: ChannelFile) -> None:
        """Have a file in the new version: there already, in a version that is here, by a patch, or whole."""
        path, place = file_path(self._settings.model, file.sha256), self._store.place(file.path)
        repository.check(path, file.size, file.sha256)
        if has_content(place, file.size, file.sha256) or self._store.copy_content(file, place):
            return
        if content := self._patch_file(repository, file):
            place.write_bytes(content)
            self._patched += 1
            return
        repository.download(path, file.size, file.sha256, place)

    def _patch_file(self, repository: Repository, file: ChannelFile) -> bytes | None:
        """The content by the first patch that gives it; None where none does: then the file is fetched whole."""
        for patch in choose_patches(file):
            base = self._store.find_base(patch.base, MOST_BYTES)
            if base is None:
                continue
            place = self._store.place(PATCH)
            try:
                repository.download(file_path(self._settings.model, patch.sha256), patch.size, patch.sha256, place)
            except (RepositoryError, DownloadHTTPError, DownloadLengthMismatchError):
                continue
            if content := apply_patch(base, place.read_bytes(), file):
                return content
        return None

    def _test(self, stored: StoredVersion) -> int:
        return run_selftest(stored.folder, self._settings.artifact, stored.artifact.format, stored.entry)

    def _switch(self, channel: Channel, number: int) -> None:
        before = self._state.running if self._state.running != number else self._state.previous
        previous = None if before in channel.withdrawn else before
        self._change_state(replace(self._state, running=number, previous=previous))
        self._store.remove_others(self._state)

    def _change_state(self, state: State) -> None:
        self._store.write_state(state)
        self._state = state
