"""`python -m edgeship.runtimes.launchers.servers.delay_proxy HOST PORT`: a TCP proxy that delays as a network would.

Reads the conditions as a line of JSON, prints the port that it listens on (this machine's own address), and ends when its
standard input does. What arrives without a pause is a message, and reaches the other side when the model of the network
(`edgeship.devices.network`) says so: bytes, order and content stay as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio import StreamReader, StreamWriter
from random import Random

from edgeship.devices.network import Network
from edgeship.light_dataclass import dataclass

PAUSE = 0.002  # seconds without a byte that end a message
CHUNK, QUEUE = 1 << 16, 1024  # bytes that are read at once, and how many such pieces are on their way


@dataclass(frozen=True)
class Piece:
    """A part of a message that `began` then: the `size` of it so far, and the seed of what befalls it on the way."""

    began: float
    luck: int
    size: int
    content: bytes


Pieces = asyncio.Queue[Piece | None]


class DelayProxy:
    """Connects each client to `host`:`port` over a network of its own."""

    def __init__(self, network: Network, host: str, port: int, seed: int = 0) -> None:
        self._network, self._target = network, (host, port)
        self._random = Random(seed)  # noqa: S311  # a simulation

    async def start(self) -> asyncio.Server:
        """Listen; the server's socket tells where."""
        return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        clock = asyncio.get_running_loop().time
        ready = clock() + self._network.connect_ms(self._random) / 1000
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        up, down = Pieces(QUEUE), Pieces(QUEUE)
        await asyncio.gather(
            self._collect(reader, up),
            self._collect(far_reader, down),
            self._deliver(up, far_writer, self._network.up_mbit, ready),
            self._deliver(down, writer, self._network.down_mbit, 0.0),
            return_exceptions=True,
        )
        for side in (writer, far_writer):
            with contextlib.suppress(OSError):
                side.close()

    async def _collect(self, reader: StreamReader, pieces: Pieces) -> None:
        """What arrives in one direction, piece by piece; None at the end."""
        clock, last, size, began, luck = asyncio.get_running_loop().time, 0.0, 0, 0.0, 0
        try:
            while content := await reader.read(CHUNK):
                now = clock()
                if now - last > PAUSE:
                    began, size, luck = now, 0, self._random.getrandbits(64)
                last, size = now, size + len(content)
                await pieces.put(Piece(began, luck, size, content))
        finally:
            await pieces.put(None)

    async def _deliver(self, pieces: Pieces, writer: StreamWriter, mbit: float, ready: float) -> None:
        """Write each piece when it is due; nothing is before the connection is `ready`, and none overtakes another."""
        clock, due = asyncio.get_running_loop().time, ready
        while piece := await pieces.get():
            delay = self._network.message_ms(piece.size, mbit, Random(piece.luck)) / 1000  # noqa: S311
            due = max(due, max(piece.began, ready) + delay)
            await asyncio.sleep(max(0.0, due - clock()))
            writer.write(piece.content)
            with contextlib.suppress(OSError):  # who has gone takes no more; what it sent is still carried
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()


async def _run() -> None:
    loop = asyncio.get_running_loop()
    conditions = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    proxy = DelayProxy(Network(**conditions), sys.argv[1], int(sys.argv[2]))
    server = await proxy.start()
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_run())
