"""A server's own times: asked one by one (SingleStream), and by many at random times (Server scenario), without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from edgeship.benchmarks.measure import host_noise, latency
from edgeship.bundle.bundle import Bundle
from edgeship.bundle.manifest import ArtifactEntry
from edgeship.devices import profiles
from edgeship.errors import InputError, ProcessError
from edgeship.runtimes.launchers import find_launcher
from edgeship.runtimes.session import Session
from edgeship.serving.worth.figures import ServerTimes
from edgeship.types import Kind
from edgeship.untrusted import printable

DEVICE, RUNTIME = "server-local", "server-rest"
CLIENTS, SECONDS = 16, 3.0
RATE_LIMIT_MS = (
    1000.0  # at most: with a longer limit a trial takes minutes, and a server that keeps up keeps to this one
)
SLOW_MS = 20.0  # of an answer: beyond it the trials take minutes together


def split_address(text: str) -> tuple[str, str]:
    """http://HOST:PORT/MODEL as the server's address and its model. Raises InputError for what is none."""
    base, _, model = text.rpartition("/")
    try:
        place = urlsplit(base)
        _ = place.port
    except ValueError:
        place = urlsplit("")
    if place.scheme != "http" or not place.hostname or place.path or not model:
        raise InputError(f"{printable(text)[:80]}: a server is named as http://HOST:PORT/MODEL, or local")
    return base, model


def measure_server(
    bundle: Bundle,
    entry: ArtifactEntry,
    url: str,
    model: str,
    *,
    limit_ms: float,
    api_key_file: Path | None = None,
    profile: str = "rapid",
) -> ServerTimes:
    """What the server at `url` takes for its `model`, which is the artifact; no times where this machine is busy.

    `vcpu_rate` is the highest rate that keeps p99 within `limit_ms`, as that of one virtual processor; `api_key_file`: the
    server's key in its first line.
    Raises InputError for an address that is none, ProcessError where no such model answers.
    """
    limits = latency.find_profile(profile)
    launch = {"how": "server", "url": url, "model": model, "artifact": entry.id}
    if api_key_file:
        launch["api_key_file"] = str(api_key_file)
    device = replace(profiles.find_device(DEVICE), launch=launch)
    busy = host_noise.QuietHostWaiter().wait()
    with find_launcher(device).open(RUNTIME, entry.within(bundle.root).path, timed=True) as session:
        up, down = int(session.engine["bytes_up"]), int(session.engine["bytes_down"])
        if busy:
            return ServerTimes(bytes_up=up, bytes_down=down, bytes_kind=Kind.MEASURED, reason=busy)
        times = session.latency(limits.seconds, limits.queries)
        rate, source, reason = _find_rate(session, times.samples_ms, limit_ms)
    what = f"{session.engine['server']}, tensors as {session.engine['tensors']}, {times.engine}"
    return ServerTimes(
        times.samples_ms, Kind.MEASURED, what, up, down, Kind.MEASURED, rate, source, "" if rate else reason
    )


def _find_rate(session: Session, samples_ms: Sequence[float], limit_ms: float) -> tuple[float | None, str, str]:
    """Inferences a second of one virtual processor, where from, and why there is none.

    By the Server scenario, whose trials ask 662 questions each; where that is not to be had or takes hours, by the mean time.
    """
    limit_ms = min(limit_ms, RATE_LIMIT_MS)
    mean_ms = sum(samples_ms) / len(samples_ms)
    if mean_ms > SLOW_MS:
        return 1000 / mean_ms, f"its mean time: {SLOW_MS:g} ms are too slow for the Server scenario's questions", ""
    try:
        highest = session.highest_rate(limit_ms, SECONDS, CLIENTS)
    except ProcessError as error:
        if error.died:
            raise
        return 1000 / mean_ms, f"its mean time, without the Server scenario ({error})", ""
    source = (
        f"highest rate with p99 within {limit_ms:g} ms for {CLIENTS} clients on this machine (Server scenario), "
        "counted as one virtual processor's"
    )
    return highest.rate or None, source, f"at no rate was p99 within {limit_ms:g} ms"
