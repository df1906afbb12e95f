"""The bundles whose reports are taken; they are read again where a report is of another: it may just have been published."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgeship.errors import EdgeshipError
from edgeship.monitoring.inbox.arrival import KnownBundle
from edgeship.monitoring.inbox.bundles import BundleProfile, BundleSources
from edgeship.monitoring.inbox.collector.writer import LOG, Writer
from edgeship.monitoring.inbox.inbox import Inbox

PAUSE = 30.0  # seconds between two looks: anybody can name a profile that is none


class KnownBundles:
    """What is known, by the sha256 of the profile."""

    def __init__(self, inbox: Inbox, sources: BundleSources) -> None:
        self._inbox = inbox
        self._sources = replace(
            sources, bundles=()
        )  # whose files would all be read again because of any stranger's report
        self._looked_at = time.monotonic()
        self._lock = asyncio.Lock()
        self.by_profile: Mapping[str, KnownBundle] = inbox.read_known()
        self.found: Sequence[BundleProfile] = ()  # by the last look

    async def look_again(self, writer: Writer) -> bool:
        """Read channel, registry and inbox again, unless that was done just now; whether it was since this was called."""
        called_at = time.monotonic()
        async with self._lock:
            if self._looked_at >= called_at:  # for another report, while this one waited
                return True
            if time.monotonic() - self._looked_at < PAUSE:
                return False
            try:
                self.found = found = await asyncio.to_thread(self._sources.read)
                await writer.run(lambda: self._inbox.add_profiles(found))
                self.by_profile = await writer.run(self._inbox.read_known)
            except (EdgeshipError, OSError) as error:
                LOG.warning("bundles cannot be read again: %s", error)
            self._looked_at = time.monotonic()
            return True
