"""Whether a channel is as TUF verified it last, without TUF: most updates find nothing new, and mostly it is imported for that.

The same is asked for as TUF would: no root follows the newest, and the timestamp is the same, byte by byte, as the one whose
signature was verified. Nothing else can have changed then, and nothing has ended. Whatever is otherwise is left to TUF.
"""

from __future__ import annotations

import hashlib
import http.client
import time
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from edgeship.client.outcome import ClientSettings, UpdateResult
from edgeship.client.rule_files import parse_channel
from edgeship.client.rules import bucket, choose_version
from edgeship.client.selftest.runtimes import describe_device
from edgeship.client.store import State, Store, Verified
from edgeship.client.strict_json import RulesError
from edgeship.client.timed_sockets import TimedSocket, Timer

MOST_BYTES = 16_384  # of a timestamp, as TUF takes; of the page that says that there is no root
NO_ROOT = (403, 404)  # what TUF takes for it


def find_unchanged(settings: ClientSettings, store: Store, state: State, timer: Timer) -> UpdateResult | None:
    """The result where nothing is new and the right version runs, each file of its size; None where TUF has to look."""
    try:
        received = _ask_for_changes(settings, state.verified, timer) if state.running and state.verified else None
        content = store.channel.read_bytes()
        if received is None or state.verified is None or digest(content) != state.verified.channel:
            return None
        channel = parse_channel(content)
    except TimeoutError:
        return UpdateResult("offline", state.running, "the server is too slow")
    except (OSError, RulesError):
        return None
    identity = settings.device_id or state.device
    device = describe_device(identity, settings.artifact.partition("/")[0])
    number = choose_version(channel, device, state.running, state.failed)
    if number is None or number != state.running or store.find(number) is None:
        return None
    return UpdateResult("current", number, "", number, bucket(channel.salt, identity), received_bytes=received)


def _ask_for_changes(settings: ClientSettings, verified: Verified, timer: Timer) -> int | None:
    """The bytes received where what was `verified` is what the channel still says; None where it may not be.

    Raises TimeoutError where the server is too slow.
    """
    if verified.url != settings.url or verified.trusted != digest(settings.root):
        return None
    parts = urlsplit(settings.url)
    if time.time() >= verified.until or getproxies() or "@" in parts.netloc:
        return None
    connection = _connect(parts.scheme, parts.netloc, timer)
    try:
        status, page = _get(connection, f"{parts.path}/metadata/{verified.root + 1}.root.json")
        if status not in NO_ROOT:
            return None
        status, content = _get(connection, f"{parts.path}/metadata/timestamp.json")
        same = status == 200 and digest(content) == verified.timestamp
        return len(page) + len(content) if same else None
    except TimeoutError:
        raise
    except (http.client.HTTPException, OSError, ValueError):
        return None
    finally:
        connection.close()


def digest(content: bytes) -> str:
    """The sha256 of some bytes."""
    return hashlib.sha256(content).hexdigest()


def _connect(scheme: str, place: str, timer: Timer) -> http.client.HTTPConnection:
    base: Any = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection

    class Timed(base):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            self.sock = TimedSocket(self.sock, timer)  # type: ignore[has-type]

    connection: http.client.HTTPConnection = Timed(place, timeout=timer.remaining())
    return connection


def _get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    response = connection.getresponse()
    content = response.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES or not response.isclosed():
        connection.close()
    return response.status, content
