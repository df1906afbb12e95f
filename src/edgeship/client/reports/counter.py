"""What an app calls: `Counter(...)`, `count` after each inference, `save` now and then, `send` when there is a network."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from edgeship.client.outcome import ClientError
from edgeship.client.reports.counts import Json
from edgeship.client.reports.inferences import InferenceCounter, check_text
from edgeship.client.reports.outbox import Outbox
from edgeship.client.reports.windows import FIRST_MONDAY, WEEK, week_of

if TYPE_CHECKING:
    from edgeship.client.reports.sending import SendResult

KIND, SCHEMA = "edgeship-profile", 1
TIERS = ("low", "mid", "high", "unknown")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Counter(InferenceCounter):
    """Counts the inferences of one artifact on this device, by calendar week. Nothing is sent but by `send`.

    `profile`: the bundle's `profile.json`. `artifact`: the id of the one that runs. `state`: a folder of the counter's own, which
    several processes may share. `runtime`: what runs it, a short text. `arms`: by experiment, the arm that this device was
    assigned to. `bundle`: the sha256 of the bundle's manifest.json, where it is known. `tier`: `low`, `mid` or `high`; by the
    number of processors where it is not said. A counter is used by one thread.

    Raises ClientError for what can be none.
    """

    def __init__(
        self,
        profile: Path | str,
        *,
        artifact: str,
        state: Path | str,
        runtime: str,
        arms: Mapping[str, str] | None = None,
        bundle: str | None = None,
        tier: str | None = None,
    ) -> None:
        content, digest = read_profile(Path(profile))
        known = content["artifacts"]
        if known.get(artifact) is None:
            raise ClientError(f"{profile}: no artifact '{artifact}' in it; known: {', '.join(sorted(known))}")
        if not re.fullmatch(r"[ -~]{1,64}", runtime):
            raise ClientError(f"runtime must be a text of 1 to 64 ASCII characters, not {runtime[:70]!a}")
        if tier not in (None, *TIERS):
            raise ClientError(f"tier must be one of {', '.join(TIERS)}, not {tier[:60]!a}")
        if bundle is not None and not re.fullmatch(r"[0-9a-f]{64}", bundle):
            raise ClientError(f"bundle must be a sha256 in 64 digits, not {bundle[:70]!a}")
        for name in (*(arms or {}), *(arms or {}).values()):
            check_text(name, _NAME, "an arm's name of lower-case letters, digits and '-._'")
        self._identity: Json = {
            "bundle": bundle,
            "artifact": artifact,
            "content": known[artifact],
            "profile": digest,
            "arms": dict(sorted((arms or {}).items())),
            "runtime": runtime,
            "tier": tier or _find_tier(),
        }
        self._outbox = Outbox(Path(state))
        super().__init__(content)

    def _clear(self) -> None:
        super()._clear()
        self._week = week_of(time.time())
        self._week_end = (self._week + 1) * WEEK + FIRST_MONDAY

    def count(
        self, outputs: Mapping[str, Any], inputs: Mapping[str, Any], *, milliseconds: float | None = None
    ) -> int | None:
        """Count one inference, of the week that it is: `InferenceCounter.count`."""
        if time.time() >= self._week_end:
            self._end_week()
        return super().count(outputs, inputs, milliseconds=milliseconds)

    def _end_week(self) -> None:
        """Save the week that is over; where that cannot be, its counts are dropped, as they belong to no other week."""
        with contextlib.suppress(ClientError):
            self.save()
        self._clear()

    def save(self) -> None:
        """Add what was counted to what the folder keeps. Raises ClientError where it cannot be written; it is counted still."""
        self._outbox.add(self._identity, self.counts, self._week)
        self._clear()

    def preview(self) -> list[Json]:
        """The reports as they would be sent now, for a person to look at; this week's, too."""
        self.save()
        return self._outbox.preview()

    def send(self, url: str, *, current: bool = False, seconds: float = 20.0) -> SendResult:
        """Send what was counted in weeks that are over, with `current` also this week's. `edgeship.client.reports.sending`."""
        from edgeship.client.reports.sending import send_reports

        self.save()
        self._outbox.seal(None if current else week_of(time.time()))
        return send_reports(self._outbox, url, seconds)

    def __enter__(self) -> Self:
        """The counter."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Save what was counted."""
        self.save()


def read_profile(path: Path) -> tuple[Json, str]:
    """The profile and the digest of its file. Raises ClientError where it is none of this client's schema."""
    try:
        text = path.read_bytes()
        content = json.loads(text)
    except OSError as error:
        raise ClientError(f"{path}: {error.strerror}; counting needs the bundle's profile.json") from error
    except (ValueError, RecursionError) as error:
        raise ClientError(f"{path}: not valid JSON") from error
    if not isinstance(content, dict) or (content.get("kind"), content.get("schema")) != (KIND, SCHEMA):
        raise ClientError(f"{path}: no profile of schema {SCHEMA}; update the client, or the bundle")
    return content, hashlib.sha256(text).hexdigest()


def _find_tier() -> str:
    count = os.cpu_count() or 0
    return "unknown" if not count else "low" if count <= 2 else "mid" if count <= 6 else "high"
