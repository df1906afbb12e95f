"""What a network between client and server adds to an answer: declared conditions, and a model of one TCP connection.

The delay proxy waits as long as this model says, and `edgeship worth` draws from it. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass

SEGMENT, HEADERS = 1460, 40  # bytes of a message in a TCP segment over Ethernet, and of headers before them
FIRST_WINDOW = 10  # segments before the first acknowledgement: RFC 6928
FAST_RETRANSMIT = 3  # segments behind a lost one that tell the sender of it: RFC 5681, 3.2
LEAST_TIMEOUT_MS = 200.0  # Linux's, above the round trip
FIRST_TIMEOUT_MS = 1000.0  # of a connection's first segments, where no round trip is known yet: RFC 6298, 2.1
MOST_WINDOWS = 300  # of a message, one after the other; what is left of it then goes on at the same speed
BYTES_DRAWN, LEAST_DRAWS = 2_000_000_000, 100  # of large messages fewer are drawn
HANDSHAKES = 2  # round trips before the first byte: TCP's (RFC 9293) and TLS 1.3's (RFC 8446)
LIMITS = {
    "rtt_ms": (0.0, 60_000.0),
    "jitter_ms": (0.0, 60_000.0),
    "up_mbit": (0.001, 1e6),
    "down_mbit": (0.001, 1e6),
    "loss": (0.0, 0.5),
}


@dataclass(frozen=True)
class Network:
    """Conditions between client and server.

    `rtt_ms`: the least time there and back; `jitter_ms`: what a round trip takes more on average, exponentially distributed;
    `up_mbit`, `down_mbit`: 10^6 bits a second from and to the client, 0 where not limited; `loss`: the share of segments that do
    not arrive.
    """

    rtt_ms: float = 0.0
    jitter_ms: float = 0.0
    up_mbit: float = 0.0
    down_mbit: float = 0.0
    loss: float = 0.0

    @property
    def is_none(self) -> bool:
        """Whether nothing lies between: client and server share a machine."""
        return self == Network()

    @property
    def text(self) -> str:
        """The conditions as people read them."""
        if self.is_none:
            return "no network between"
        speeds = [f"{way} {mbit:.3g} Mbit/s" for way, mbit in (("up", self.up_mbit), ("down", self.down_mbit)) if mbit]
        jitter = f" (+{self.jitter_ms:.3g})" if self.jitter_ms else ""
        return ", ".join([f"RTT {self.rtt_ms:.3g}{jitter} ms", *speeds, f"loss {100 * self.loss:.2g} %"])

    def connect_ms(self, random: Random) -> float:
        """How long it takes until a new connection (TCP, then TLS 1.3) can carry the first message, in ms."""
        passed = 0.0
        for _ in range(HANDSHAKES):
            passed += self._trip_ms(random, 2) + self._wait_again(random, FIRST_TIMEOUT_MS)
        return passed

    def message_ms(self, size: int, mbit: float, random: Random) -> float:
        """How long a message of `size` bytes takes one way, on a connection that was idle before, in ms.

        Slow start (RFC 5681): 10 segments, then a round trip for each window, twice as large as the one before, or as long as
        the line takes. A loss halves the window, which then grows by a segment a round trip.
        """
        left, window, threshold, passed = size, FIRST_WINDOW * SEGMENT, math.inf, 0.0
        for _ in range(MOST_WINDOWS):
            sent = min(window, left)
            segments = math.ceil(sent / SEGMENT)
            line = (sent + HEADERS * segments) * 8 / (mbit * 1000) if mbit else 0.0
            repair = self._repair_ms(segments, random)
            left -= sent
            if not left:
                return passed + repair + line + self._trip_ms(random, 1)
            passed += repair + max(self._trip_ms(random, 2), line)
            if repair:
                threshold = window = max(2 * SEGMENT, window // 2)
            else:
                window = 2 * window if window < threshold else window + SEGMENT
        return passed * size / (size - left)

    def _trip_ms(self, random: Random, ways: int) -> float:
        jitter = self.jitter_ms * random.expovariate(1.0) if self.jitter_ms else 0.0
        return (self.rtt_ms + jitter) * ways / 2

    def _repair_ms(self, segments: int, random: Random) -> float:
        """What a loss among the segments of a window costs: a round trip where enough follow that tell of it, else a timeout."""
        if not self.loss:
            return 0.0
        before = int(math.log(1.0 - random.random()) / math.log1p(-self.loss))
        if before >= segments:
            return 0.0
        timeout = self.rtt_ms + max(LEAST_TIMEOUT_MS, 4 * self.jitter_ms)
        told = segments - 1 - before >= FAST_RETRANSMIT
        return (self._trip_ms(random, 2) if told else timeout) + self._wait_again(random, timeout)

    def _wait_again(self, random: Random, timeout: float) -> float:
        """The timeouts, each twice as long as the one before (RFC 6298, 5.5), until a segment arrives that is sent again."""
        passed = 0.0
        while self.loss and random.random() < self.loss:
            passed += timeout
            timeout *= 2
        return passed


def draw_answers(
    network: Network, server_ms: Sequence[float], up: int, down: int, *, draws: int = 2000, connects: bool = False
) -> list[float]:
    """Milliseconds from a question of `up` bytes to its answer of `down` bytes, up to `draws` of them, sorted; always the same.

    `server_ms` are the server's own times, of which each draw takes one at random. `connects`: with a new connection each.
    """
    random = Random(0)  # noqa: S311  # a simulation
    times = []
    for _ in range(max(min(draws, BYTES_DRAWN // max(up + down, 1)), min(draws, LEAST_DRAWS))):
        passed = network.connect_ms(random) if connects else 0.0
        passed += network.message_ms(up, network.up_mbit, random) + random.choice(server_ms)
        times.append(passed + network.message_ms(down, network.down_mbit, random))
    return sorted(times)


def parse_network(table: Mapping[str, Any], where: str) -> Network:
    """The conditions of a profile's `[launch]`, whose other keys are left. Raises InputError naming what is wrong."""
    found = {}
    for key, (least, most) in LIMITS.items():
        value = table.get(key)
        if value is None:
            continue
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not least <= value <= most:
            raise InputError(f"{where}: {key} = {repr(value)[:40]} must be a number from {least:g} to {most:,.0f}")
        found[key] = float(value)
    return Network(**found)
