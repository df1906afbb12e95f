"""Takes samples for audits: says how many are wanted, and keeps what is one of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping

from edgeship.monitoring.inbox.bundles import BundleProfile
from edgeship.monitoring.inbox.collector.request import Answer, BodyLimit, Receive, RefusedRequestError, read_body
from edgeship.monitoring.inbox.database import StoreError
from edgeship.monitoring.inbox.samples.folder import SampleFolder
from edgeship.monitoring.inbox.samples.form import SampleForm, make_forms
from edgeship.monitoring.inbox.samples.sample import (
    MOST_HEADER_BYTES,
    ArrivedSample,
    RefusedSampleError,
    check_sample,
)

MOST_WAITING_BYTES = 256 << 20  # of samples that are read or written at once: they are large, and wait in memory
STATUS = {"new": 201, "duplicate": 200}
RETRY = ((b"retry-after", b"60"),)


class SampleDesk:
    """Samples of known bundles into a folder. `forms`: of the bundles that samples are taken of, by profile."""

    def __init__(self, folder: SampleFolder, forms: Mapping[str, SampleForm]) -> None:
        self._folder, self._forms = folder, dict(forms)
        self._waiting_bytes = 0
        self.results: Counter[str] = Counter()

    def knows(self, profile: str) -> bool:
        """Whether samples of the bundle with that profile are taken."""
        return profile in self._forms

    def learn(self, found: Iterable[BundleProfile]) -> None:
        """Samples of these bundles are taken from now on."""
        self._forms |= make_forms(found)

    def close(self) -> None:
        """Let another process take samples into the folder."""
        self._folder.close()

    def tell_wanted(self) -> Answer:
        """How many samples of a week each device may send, by the sha256 of the bundle's profile."""
        number = 0 if self._folder.is_full else self._folder.limits.number
        return Answer(200, {"schema": 1, "wanted": dict.fromkeys(sorted(self._forms), number)})

    async def take(self, headers: Mapping[bytes, bytes], receive: Receive, received: int) -> Answer:
        """What became of the sample in a request that arrived at `received`.

        Raises RefusedRequestError where it is not kept: larger than one can be, many that arrive, or `check_sample`'s reasons.
        """
        most = MOST_HEADER_BYTES + 1 + max((form.most_bytes for form in self._forms.values()), default=0)
        if self._waiting_bytes + most > MOST_WAITING_BYTES:
            raise RefusedRequestError(503, "many samples arrive now; send it again later", "busy", RETRY)
        self._waiting_bytes += most
        try:
            body = await read_body(headers, receive, BodyLimit("sample", most))
            return await self._answer(headers, body, received)
        finally:
            self._waiting_bytes -= most

    async def _answer(self, headers: Mapping[bytes, bytes], body: bytes, received: int) -> Answer:
        try:
            result = await asyncio.to_thread(self._keep, headers, body, received)
        except RefusedSampleError as error:
            self.results[error.reason] += 1
            raise RefusedRequestError(422, str(error), error.reason) from error
        except StoreError as error:
            raise RefusedRequestError(503, "samples cannot be kept now; send it again later", "store", RETRY) from error
        self.results[result] += 1
        return Answer(STATUS[result], {"result": result})

    def _keep(self, headers: Mapping[bytes, bytes], body: bytes, received: int) -> str:
        sample: ArrivedSample = check_sample(body, self._forms, received)
        named = headers.get(b"idempotency-key")
        if named is not None and named.decode("latin-1").strip(' "') != sample.name:
            raise RefusedSampleError("invalid", "the Idempotency-Key is not that of the sample")
        return self._folder.add(sample)
