"""What a node measures, for Prometheus: on an address of its own, and as the command
`metrics` of the admin port.

A node speaks first on its own ports, so that no HTTP client can be served there; hence
the extra address, which is off unless configured. The format is a few lines, and written here:
the library of Prometheus costs a node some MiB and a tenth of a second to load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dynamesis.cluster.config.config import split_address
from dynamesis.cluster.core.runtime.stats import BOUNDS

#: bytes and seconds that a scraper may take to send its request
_REQUEST_LIMIT = 8 << 10
_PATIENCE = 5.0

#: a node's answer to `status` or `figures`
Figures = Mapping[str, Any]

#: upper bounds of buckets: seconds, every doubling of those that a node counts in, and numbers
_SECONDS = BOUNDS[:: len(BOUNDS) // 20]
_COUNTS = (1, 2, 3, 4, 5, 10, 20, 50, 100)


class _Family(NamedTuple):
    """One metric. `samples`: what follows its name in theirs, their labels, the value."""

    name: str
    kind: str
    text: str
    samples: Sequence[tuple[str, Mapping[str, str], float]]

    def lines(self) -> Iterator[str]:
        name = f"dynamesis_{self.name}"
        yield f"# HELP {name} {self.text}"
        yield f"# TYPE {name} {self.kind}"
        for suffix, labels, value in self.samples:
            shown = ",".join(f'{label}="{_escaped(of)}"' for label, of in sorted(labels.items()))
            yield f"{name}{suffix}{{{shown}}} {float(value)!r}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def render(node: str, status: Figures, figures: Figures) -> bytes:
    """The text format, from a node's answers to `status` and `figures`."""
    lines = (line for family in _families(node, status, figures) for line in family.lines())
    return "".join(f"{line}\n" for line in lines).encode()


def _families(node: str, status: Figures, figures: Figures) -> Iterator[_Family]:
    def counter(name: str, text: str, label: str, values: Mapping[str, float]) -> _Family:
        samples = [("", {"node": node, label: key}, of) for key, of in sorted(values.items())]
        return _Family(f"{name}_total", "counter", text, samples)

    def counts(name: str, text: str, values: Mapping[int, int]) -> _Family:
        pairs = sorted((int(key), count) for key, count in values.items())
        total = sum(key * count for key, count in pairs)
        samples = _histogram({"node": node}, _cumulative(pairs, _COUNTS), total)
        return _Family(name, "histogram", text, list(samples))

    yield from _latencies(node, figures["latency"])
    yield counts("siblings_per_read", "siblings shown by a get", figures["siblings"])
    yield counts("clock_actors_per_read", "actors in the clock of a get", figures["clock"])
    yield counter("refusals", "requests refused, by reason", "reason", figures["refusals"])
    repairs = {"read": figures["read_repairs"], "exchange": figures["exchange_repairs"]}
    yield counter("repairs", "records brought up to date, by what did it", "by", repairs)
    for name, (field, text) in _GAUGES.items():
        yield _Family(name, "gauge", text, [("", {"node": node}, status[field])])


def _latencies(node: str, latency: Mapping[str, Any]) -> Iterator[_Family]:
    buckets: list[tuple[str, Mapping[str, str], float]] = []
    quantiles: list[tuple[str, Mapping[str, str], float]] = []
    for kind, measured in sorted(latency.items()):
        of = {"node": node, "kind": kind}
        pairs = list(zip(BOUNDS, measured["buckets"], strict=True))
        buckets += _histogram(of, _cumulative(pairs, _SECONDS), measured["sum"])
        for quantile, seconds in measured["quantiles"].items():
            if seconds is not None:
                quantiles.append(("", {**of, "quantile": quantile}, seconds))
    yield _Family("request_seconds", "histogram", "time to the answer", buckets)
    share = "latency that this share of the last minute's requests did not exceed"
    yield _Family("request_seconds_last_minute", "gauge", share, quantiles)


def _histogram(
    labels: Mapping[str, str], buckets: Iterable[tuple[str, float]], total: float
) -> Iterator[tuple[str, Mapping[str, str], float]]:
    count = 0.0
    for bound, count in buckets:
        yield "_bucket", {**labels, "le": bound}, count
    yield "_count", labels, count
    yield "_sum", labels, total


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
    """Answers GET /metrics with what `text` returns, and anything else with 404."""

    def __init__(self, text: Callable[[], bytes]) -> None:
        self._text = text
        self._server: asyncio.Server | None = None

    async def bind(self, address: str) -> None:
        """Listen. Raises OSError."""

        host, port = split_address(address)
        self._server = await asyncio.start_server(self._serve, host, port, limit=_REQUEST_LIMIT)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                asked = head.split(b" ", 2)[:2] == [b"GET", b"/metrics"]
                body = self._text() if asked else b"there is only GET /metrics\n"
                writer.write(_HEAD % (b"200 OK" if asked else b"404 Not Found", len(body)) + body)
                await writer.drain()
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            pass  # such a scraper gets no answer
        finally:
            writer.close()


_HEAD = (
    b"HTTP/1.0 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n"
)
