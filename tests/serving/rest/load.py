"""Clients of a server, good ones and bad ones at once, with raw sockets: what they were answered, and what the server held."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from edgeship import api
from tests.serving.rest.conftest import KEY, tensor

CLIENTS = 4
SHARE = 0.8  # of the capacity, which is measured first
HUGE = 100 << 20
CLOSE = 1e-5  # what batches of another size may do to float32


@dataclass
class Outcome:
    """What came of it. `wrong` answers, `dropped` good requests, what bad ones were answered, memory in bytes over time."""

    good: int = 0
    capacity: float = 0.0
    wrong: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    memory: list[int] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    def memory_growth(self) -> float:
        """The last third's median over that of the second, less 1."""
        third = len(self.memory) // 3
        return float(np.median(self.memory[2 * third :]) / np.median(self.memory[third : 2 * third])) - 1


class Load:
    """Runs clients against a server for some seconds. `wanted` are the right answers to `images`, one for each model served."""

    def __init__(self, server: api.Server, images: np.ndarray, wanted: list[np.ndarray], seconds: float) -> None:
        place = urlsplit(server.url)
        self._host, self._port, self._pid = str(place.hostname), place.port, server.pid
        self._bodies = [json.dumps(tensor(images[at : at + 1])).encode() for at in range(len(images))]
        self._wanted, self._seconds = wanted, seconds
        self._reload = server.reload
        self.outcome = Outcome()
        self._stop = False

    def run(self, reload_every: float, swap: Callable[[], None] | None = None) -> Outcome:
        """All of it."""
        asyncio.run(self._run(reload_every, swap))
        return self.outcome

    async def _run(self, reload_every: float, swap: Callable[[], None] | None) -> None:
        start = time.monotonic()
        await asyncio.gather(*(self._ask_often(0.0, start + 2) for _ in range(CLIENTS)))
        self.outcome.capacity = self.outcome.good / 2
        self.outcome.latencies.clear()
        pause = CLIENTS / (SHARE * self.outcome.capacity)
        end = time.monotonic() + self._seconds
        bad = (self._vanish, self._send_slowly, self._send_hugely, self._send_nonsense)
        jobs: list[Awaitable[None]] = [self._ask_often(pause, end) for _ in range(CLIENTS)]
        jobs += [self._repeat(one, end) for one in bad]
        await asyncio.gather(*jobs, self._watch(end), self._reload_often(reload_every, end, swap))

    def _head(self, size: int, path: str = "/v2/models/cnn/infer") -> bytes:
        lines = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {size}\r\n\r\n"
        return lines.encode()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._host, self._port)

    async def _ask_often(self, pause: float, end: float) -> None:
        """A good client: one request after the other over one connection, at its pace; each answer is looked at."""
        reader, writer = await self._connect()
        number, due = 0, time.monotonic()
        while time.monotonic() < end:
            at = number % len(self._bodies)
            number += 1
            begun = time.monotonic()
            try:
                writer.write(self._head(len(self._bodies[at])) + self._bodies[at])
                status, content = await read_answer(reader)
            except (OSError, asyncio.IncompleteReadError, ValueError) as error:
                self.outcome.dropped.append(repr(error))
                reader, writer = await self._connect()
                continue
            self.outcome.latencies.append(time.monotonic() - begun)
            self._judge(at, status, content)
            due += pause
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        writer.close()

    def _judge(self, at: int, status: int, content: bytes) -> None:
        if status != 200:
            self.outcome.dropped.append(f"{status} {content[:100]!r}")
            return
        self.outcome.good += 1
        values = np.array(json.loads(content)["outputs"][0]["data"], np.float32)
        if not any(np.abs(values - wanted[at]).max() < CLOSE for wanted in self._wanted):
            self.outcome.wrong.append(f"{at}: {values}")

    async def _repeat(self, one: Callable[[int], Awaitable[None]], end: float) -> None:
        number = 0
        while time.monotonic() < end:
            try:
                await one(number)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.outcome.refused[f"{one.__name__}: {type(error).__name__}"] += 1
            number += 1
            await asyncio.sleep(0.05)

    async def _vanish(self, number: int) -> None:
        """Leave in the middle of a body, or without waiting for the answer."""
        _, writer = await self._connect()
        body = self._bodies[0]
        writer.write(self._head(len(body)) + (body[:100] if number % 2 else body))
        await writer.drain()
        writer.transport.abort()
        self.outcome.refused["vanished"] += 1

    async def _send_slowly(self, number: int) -> None:
        reader, writer = await self._connect()
        writer.write(self._head(1000))
        answer = asyncio.ensure_future(read_answer(reader))
        while not answer.done():
            writer.write(b" ")
            await asyncio.sleep(0.2)
        status, _ = await answer
        self.outcome.refused[f"slow {status}"] += 1
        writer.close()

    async def _send_hugely(self, number: int) -> None:
        reader, writer = await self._connect()
        writer.write(self._head(HUGE))
        answer = asyncio.ensure_future(read_answer(reader))
        for _ in range(HUGE >> 20):
            if answer.done():
                break
            writer.write(bytes(1 << 20))
            await writer.drain()
            await asyncio.sleep(0)
        status, _ = await answer
        self.outcome.refused[f"huge {status}"] += 1
        writer.close()
        await asyncio.sleep(1)

    async def _send_nonsense(self, number: int) -> None:
        reader, writer = await self._connect()
        dice = np.random.default_rng(number)
        body = bytearray(self._bodies[0])
        for _ in range(1 + number % 20):
            body[dice.integers(len(body))] = dice.integers(256)
        writer.write(self._head(len(body)) + bytes(body))
        status, content = await read_answer(reader)
        self.outcome.refused[f"nonsense {status}"] += 1
        if status >= 500:
            self.outcome.wrong.append(f"nonsense: {status} {content[:100]!r}")
        writer.close()

    async def _watch(self, end: float) -> None:
        while time.monotonic() < end:
            await asyncio.sleep(0.25)
            text = await asyncio.to_thread(Path(f"/proc/{self._pid}/status").read_text)
            self.outcome.memory.append(int(text.partition("VmRSS:")[2].split()[0]) << 10)

    async def _reload_often(self, every: float, end: float, swap: Callable[[], None] | None) -> None:
        while time.monotonic() + every < end:
            await asyncio.sleep(every)
            if swap is not None:
                swap()
            await asyncio.to_thread(self._reload)
            self.outcome.refused["reloads"] += 1


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    return status, await reader.readexactly(size)
