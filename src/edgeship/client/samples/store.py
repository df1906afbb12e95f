"""What an app calls: `SampleStore(...)`, `allow` once its user agreed, `offer` after each inference, `send` now and then."""

from __future__ import annotations

import contextlib
import heapq
import random
import re
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from edgeship.client.outcome import ClientError
from edgeship.client.reports.counter import read_profile
from edgeship.client.reports.tensors import ClassCounter
from edgeship.client.reports.windows import FIRST_MONDAY, WEEK, name_install, name_window, week_of
from edgeship.client.samples.encode import encode_sample, encode_tensors
from edgeship.client.samples.kept import MARGIN, PARTS, RANDOM, WEEKS, DeviceSamples, KeptSample, OfferedSample

if TYPE_CHECKING:
    from edgeship.client.samples.sending import SampleSendResult

MOST, MOST_BYTES = 40, 16 << 20
_CHANCE = random.SystemRandom()
_Held = list[tuple[float, int, OfferedSample]]


class SampleStore:
    """Keeps some inputs of one artifact on this device, for people to label.

    Nothing is kept before `allow`, and nothing is sent but by `send`.

    Of each calendar week at most `most` samples stay, and `most_bytes` of all: half of them a random sample of what was
    offered, half those of which the model was least sure. An inference competes for one half only, as drawn: what is trained
    on may not be what a model is judged by. `profile`, `artifact`, `bundle`: as of `Counter`; `state`: a folder of the
    store's own, which several processes may share. Pseudonyms are not those of reports. A store is used by one thread.

    Raises ClientError for what can be none, and for a model without classes.
    """

    def __init__(
        self, profile: Path | str, *, artifact: str, state: Path | str, bundle: str | None = None, most: int = MOST,
        most_bytes: int = MOST_BYTES,
    ) -> None:  # fmt: skip
        content, digest = read_profile(Path(profile))
        known = content["artifacts"]
        if known.get(artifact) is None:
            raise ClientError(f"{profile}: no artifact '{artifact}' in it; known: {', '.join(sorted(known))}")
        if bundle is not None and not re.fullmatch(r"[0-9a-f]{64}", bundle):
            raise ClientError(f"bundle must be a sha256 in 64 digits, not {bundle[:70]!a}")
        if most < len(PARTS) or most_bytes < 1:
            raise ClientError(
                f"at least {len(PARTS)} samples are kept, one of each kind, not {most} of {most_bytes} bytes"
            )
        form = next((item for item in content["outputs"] if item["classes"]), None)
        if form is None:
            raise ClientError(f"{profile}: the model has no classes, and an audit compares classes with labels")
        self._classes = ClassCounter(form)
        self._identity = {"profile": digest, "bundle": bundle, "artifact": artifact, "content": known[artifact]}
        self._most, self._most_bytes = most // len(PARTS), most_bytes // (len(PARTS) * WEEKS)
        self._folder = DeviceSamples(Path(state), self._most, self._most_bytes)
        self._secret = self._folder.read_secret()
        self._clear({})

    def _clear(self, limits: Mapping[str, float]) -> None:
        self._week = week_of(time.time())
        self._week_end = (self._week + 1) * WEEK + FIRST_MONDAY
        self._held: dict[str, _Held] = {part: [] for part in PARTS}
        self._limits = {part: limits.get(part, float("inf")) for part in PARTS}

    @property
    def allowed(self) -> bool:
        """Whether the user has agreed."""
        return self._secret is not None

    def allow(self) -> None:
        """The user has agreed, of which the app keeps the proof: samples are kept from now on, also after a restart.

        Raises ClientError where the folder cannot be made.
        """
        self._folder.allow()
        self._secret = self._folder.read_secret()

    def name_user(self, window: str) -> str | None:
        """The pseudonym that samples of a window (as `2026-W48`) have, for a user who wants them deleted at the server.

        None where the user has not agreed. Raises ClientError for what is no week.
        """
        try:
            return None if self._secret is None else name_install(self._secret, window)
        except ValueError as error:
            raise ClientError(f"{window[:20]!a} is no week, as 2026-W48") from error

    def forget(self) -> None:
        """Delete every sample and the pseudonym, and keep nothing until `allow`. What was sent is with the server."""
        self._secret = None
        self._clear({})
        self._folder.remove_all()

    def offer(self, outputs: Mapping[str, Any], inputs: Mapping[str, Any]) -> bool:
        """Perhaps keep one inference; whether it is, so far. `outputs`: as of `Counter.count`.

        `inputs`: all tensors of the model, of one sample, as the contract's steps give them; each has the names and shape of
        the contract. What is not finite is not kept. Raises ClientError for other tensors than those of the profile, and for
        a sample that is larger than what may be kept.
        """
        if self._secret is None:
            return False
        if time.time() >= self._week_end:
            self._end_week()
        try:
            found = self._classes.describe(outputs[self._classes.name])
        except KeyError as error:
            raise ClientError(f"no tensor {error} was given, and the profile counts one") from error
        if found is None:
            return False
        predicted, _, margin, _ = found
        picked = MARGIN if _CHANCE.random() < 0.5 else RANDOM
        score = margin if picked == MARGIN else _CHANCE.random()
        return score < self._limits[picked] and self._hold(picked, score, predicted, margin, inputs)

    def _hold(self, picked: str, score: float, predicted: int, margin: float, inputs: Mapping[str, Any]) -> bool:
        encoded = encode_tensors(inputs)
        if encoded is None:
            return False
        window = name_window(self._week)
        fields = {
            "window": window, "user": name_install(self._secret or "", window), **self._identity, "picked": picked,
            "predicted": predicted, "margin": margin,
        }  # fmt: skip
        body = encode_sample(fields, *encoded)
        if len(body) > self._most_bytes:
            raise ClientError(
                f"a sample has {len(body):,} bytes, {self._most_bytes:,} fit into a quarter of most_bytes"
            )
        held = self._held[picked]
        new = OfferedSample(self._week, picked, score, predicted, margin, body)
        heapq.heappush(held, (-score, id(new), new))
        size = sum(len(item.body) for _, _, item in held)
        while len(held) > self._most or size > self._most_bytes:
            _, _, dropped = heapq.heappop(held)
            size -= len(dropped.body)
        if len(held) == self._most:
            self._limits[picked] = min(self._limits[picked], -held[0][0])
        return True

    def _end_week(self) -> None:
        """Save the week that is over; where that cannot be, its samples are dropped."""
        with contextlib.suppress(ClientError):
            self.save()
        self._clear({})

    def save(self) -> None:
        """Write what is held to the folder: what is in memory is lost with the process. Raises ClientError where it cannot be."""
        offered = [item for held in self._held.values() for _, _, item in held]
        if self._secret is None:
            return
        limits = self._folder.add(offered, week_of(time.time()))
        self._secret = self._folder.read_secret()  # another process may have deleted all
        self._clear(limits if self._week == week_of(time.time()) else {})

    def preview(self) -> list[KeptSample]:
        """What is kept, for a person to look at; the files lie in `state`."""
        self.save()
        return self._folder.list_samples() if self.allowed else []

    def send(self, url: str, *, seconds: float = 20.0) -> SampleSendResult:
        """Ask the server at `url` how many samples it wants of a week, and send so many of weeks that are over.

        Half of them are random, and the others of that week are deleted. Where it wants none, or was not reached, nothing is
        sent. `edgeship.client.samples.sending`
        """
        from edgeship.client.samples.sending import SampleSendResult, send_samples

        self.save()
        if not self.allowed:
            return SampleSendResult(error="the user has not agreed")
        return send_samples(self._folder, url, self._identity["profile"] or "", week_of(time.time()), seconds)

    def __enter__(self) -> Self:
        """The store."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is held."""
        self.save()
