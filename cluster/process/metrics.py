"""What a node measures, for Prometheus: on an address of its own, and as the command
`metrics` of the admin port.

A node speaks first on its own ports, so that no HTTP client can be served there; hence
the extra address, which is off unless configured. The library costs some MiB and a tenth
of a second to load: a node that is not scraped never loads it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dynamesis.cluster.config.config import split_address
from dynamesis.cluster.core.runtime.stats import BOUNDS
from dynamesis.cluster.net import descriptors, ports
from dynamesis.cluster.net.handshake import raise_bug
from dynamesis.cluster.net.listener import RESERVED

#: bytes and seconds that a scraper may take to send its request
_REQUEST_LIMIT = 8 << 10
_PATIENCE = 5.0
#: connections, and descriptors that they leave free: more than those of clients do
_MOST = 16
_RESERVED = RESERVED + 8
#: seconds for which a text is given again: to make one takes some ms, in which nothing else is done
_FRESH = 0.1

#: a node's answer to `status` or `figures`
Figures = Mapping[str, Any]

#: upper bounds of buckets: seconds, every doubling of those that a node counts in, and numbers
_SECONDS = BOUNDS[:: len(BOUNDS) // 20]
_COUNTS = (1, 2, 3, 4, 5, 10, 20, 50, 100)


def render(node: str, status: Figures, figures: Figures) -> bytes:
    """The text format, from a node's answers to `status` and `figures`."""
    from prometheus_client import CollectorRegistry, generate_latest

    class Collector:
        def collect(self) -> Iterable[Any]:
            return _families(node, status, figures)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector())
    return generate_latest(registry)


def _families(node: str, status: Figures, figures: Figures) -> Iterable[Any]:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
        family = GaugeMetricFamily(f"dynamesis_{name}", text, labels=["node"])
        family.add_metric([node], value)
        return family

    def counter(name: str, text: str, label: str, values: dict[str, float]) -> CounterMetricFamily:
        family = CounterMetricFamily(f"dynamesis_{name}", text, labels=["node", label])
        for key, value in sorted(values.items()):
            family.add_metric([node, key], value)
        return family

    def counts(name: str, text: str, values: dict[int, int]) -> HistogramMetricFamily:
        family = HistogramMetricFamily(f"dynamesis_{name}", text, labels=["node"])
        pairs = sorted((int(key), count) for key, count in values.items())
        total = sum(key * count for key, count in pairs)
        family.add_metric([node], _cumulative(pairs, _COUNTS), total)
        return family

    latency = HistogramMetricFamily(
        "dynamesis_request_seconds", "time to the answer", labels=["node", "kind"]
    )
    quantiles = GaugeMetricFamily(
        "dynamesis_request_seconds_last_minute",
        "latency that this share of the last minute's requests did not exceed",
        labels=["node", "kind", "quantile"],
    )
    for kind, measured in sorted(figures["latency"].items()):
        pairs = list(zip(BOUNDS, measured["buckets"], strict=True))
        latency.add_metric([node, kind], _cumulative(pairs, _SECONDS), measured["sum"])
        for quantile, seconds in measured["quantiles"].items():
            if seconds is not None:
                quantiles.add_metric([node, kind, quantile], seconds)
    yield latency
    yield quantiles
    yield counts("siblings_per_read", "siblings shown by a get", figures["siblings"])
    yield counts("clock_actors_per_read", "actors in the clock of a get", figures["clock"])
    yield counter("refusals", "requests refused, by reason", "reason", figures["refusals"])
    repairs = {"read": figures["read_repairs"], "exchange": figures["exchange_repairs"]}
    yield counter("repairs", "records brought up to date, by what did it", "by", repairs)
    for name, (field, text) in _GAUGES.items():
        yield gauge(name, text, status[field])


#: metric -> the field of `status`, and what it means
_GAUGES = {
    "hints": ("hints", "hints waiting"),
    "hint_bytes": ("hint_bytes", "bytes of hints waiting"),
    "oldest_hint_seconds": ("oldest_hint", "how long the oldest hint has waited"),
    "oldest_exchange_seconds": (
        "oldest_exchange",
        "time since the last exchange with the peer that has waited longest for one",
    ),
    "transfers": ("transfers", "partitions on the move"),
    "objects": ("objects", "records held"),
    "damaged_rows": ("damaged", "rows found damaged and not healed yet"),
    "unsaved_rows": ("unsaved", "rows in the write buffer"),
    "requests_in_progress": ("requests", "client requests in progress"),
    "background_slices": ("background_slices", "how much background work is let through"),
    "resident_bytes": ("rss", "resident memory"),
}


def _cumulative(
    pairs: Iterable[tuple[float, int]], bounds: Iterable[float]
) -> list[tuple[str, float]]:
    """Histogram buckets as Prometheus has them: always the same, since a bucket that only
    appears once it is filled spoils every rate. `pairs`: (value, how often), ascending."""
    left, seen = list(pairs), 0
    buckets: list[tuple[str, float]] = []
    for bound in bounds:
        while left and left[0][0] <= bound:
            seen += left.pop(0)[1]
        buckets.append((f"{bound:.6g}", seen))
    return [*buckets, ("+Inf", seen + sum(count for _, count in left))]


class MetricsPort:
    """Answers GET /metrics with what `text` returns, and anything else with 404. All may ask,
    so there are few connections, which leave more descriptors free than those of clients, and the
    text is made only so often."""

    def __init__(self, text: Callable[[], bytes], emit: Callable[..., None]) -> None:
        self._text = text
        self._emit = emit
        self._server: asyncio.Server | None = None
        #: connections, oldest first, and what serves them
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self._made = b""
        self._made_at = -_FRESH

    async def bind(self, address: str) -> None:
        """Listen. Raises OSError."""

        host, port = split_address(address)
        self._server = await asyncio.start_server(
            self._connected, host, port, limit=_REQUEST_LIMIT, backlog=_MOST, start_serving=False
        )
        ports.listen(self._server, _MOST)
        await self._server.start_serving()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._open:
            writer.transport.abort()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve it, if there is room: the connection that came first makes some."""
        most, number = descriptors.most(), writer.get_extra_info("socket").fileno()
        if number >= most - descriptors.reserved(most, _RESERVED):
            reason = f"{number} of {most} descriptors are in use"
            self._emit("connection-refused", port="metrics", reason=reason)
            writer.transport.abort()
            return
        if len(self._open) >= _MOST:
            reason = f"{_MOST} connections are in use"
            self._emit("idle-closed", port="metrics", reason=reason)
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abort()
        # not a coroutine for asyncio to run: it reports one that a stop cancels as an exception
        serving = self._open[writer] = asyncio.ensure_future(self._serve(reader, writer))
        serving.add_done_callback(raise_bug)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                asked = head.split(b" ", 2)[:2] == [b"GET", b"/metrics"]
                body = self._fresh() if asked else b"there is only GET /metrics\n"
                writer.write(_HEAD % (b"200 OK" if asked else b"404 Not Found", len(body)) + body)
                writer.close()
                await writer.wait_closed()  # its reader has it: until then it counts
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            pass  # such a scraper gets no answer
        finally:
            self._open.pop(writer, None)
            writer.transport.abort()

    def _fresh(self) -> bytes:
        now = asyncio.get_running_loop().time()
        if now - self._made_at >= _FRESH:
            self._made, self._made_at = self._text(), now
        return self._made


_HEAD = (
    b"HTTP/1.0 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n"
)
