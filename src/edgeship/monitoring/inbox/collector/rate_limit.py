"""How often one address may send: a bucket of tokens each, that fills again with time."""

from __future__ import annotations

import ipaddress

SECONDS_OF_BURST = 10
MOST_ADDRESSES = 50_000


class RateLimit:
    """At most `rate` requests a second of an address in the long run, ten times as many at once."""

    def __init__(self, rate: float) -> None:
        self.rate, self.burst = rate, max(1.0, rate * SECONDS_OF_BURST)
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, address: str, now: float) -> float:
        """Seconds until a request of that address may come; 0: this one may. `now`: `time.monotonic()`."""
        name = _network_of(address)
        tokens, before = self._buckets.get(name, (self.burst, now))
        tokens = min(self.burst, tokens + (now - before) * self.rate)
        if tokens < 1:
            return (1 - tokens) / self.rate
        if name not in self._buckets and len(self._buckets) >= MOST_ADDRESSES:
            self._forget(now)
        self._buckets[name] = (tokens - 1, now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Forget who has been quiet for long; where nobody has, the half that was seen first."""
        full = self.burst / self.rate
        kept = {name: bucket for name, bucket in self._buckets.items() if now - bucket[1] < full}
        if len(kept) >= MOST_ADDRESSES:
            kept = dict(list(kept.items())[MOST_ADDRESSES // 2 :])
        self._buckets = kept


def _network_of(address: str) -> str:
    """The address; of IPv6 the network of 64 bits, which one household has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # a proxy's text
        return address[:64]
    if parsed.version == 4:
        return address
    return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
