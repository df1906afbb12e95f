"""What a client is told and tells: its settings, what came of an update, its errors. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["current", "updated", "failed", "none", "offline", "refused", "busy", "error"]


class ClientError(ValueError):
    """What the client was given, or keeps, cannot be used: a sentence that says what to do."""


class SelfTestError(Exception):
    """The model does not do here what it must."""


class SelfTestUnfinishedError(Exception):
    """The self-test says nothing about the model: no runtime, or it was ended by others."""


@dataclass(frozen=True)
class ClientSettings:
    """Which channel a client follows: `root` is what all trust begins with, `seconds` are for all downloads of one update."""

    url: str
    model: str
    channel: str
    artifact: str
    root: bytes
    device_id: str | None
    seconds: float


@dataclass(frozen=True)
class UpdateResult:
    """What came of an update. `running`: the version that runs now; None: there is none.

    `status`:

    - `current`: nothing is new;
    - `updated`: another version runs now;
    - `failed`: a version failed its self-test here, and is not tried again;
    - `none`: the channel has no version for this device;
    - `offline`: the server was not reached, or is too slow;
    - `refused`: what the server sent is not what the channel's keys sign;
    - `busy`: another process updates this state;
    - `error`: this device cannot (disk, runtime).

    All but `updated` leave what ran, unless it was withdrawn; `error` says why, in a sentence. `chosen`: what the channel has for
    this device. `bucket`: where the device falls, 0..9999, for the newest version. `goldens`: how many the self-test replayed.
    `received_bytes`: of downloaded bodies; `patched_files` came as differences.
    """

    status: Status
    running: int | None
    error: str = ""
    chosen: int | None = None
    bucket: int | None = None
    goldens: int = 0
    received_bytes: int = 0
    patched_files: int = 0
