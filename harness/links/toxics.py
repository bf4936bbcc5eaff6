"""How each fault becomes toxics of Toxiproxy.

Toxiproxy takes what it is sent: unknown attributes are ignored and left at zero, and
some values crash the server. So every toxic is checked here against what version
2.12.0 knows. Toxicity is always 1: whatever is drawn is drawn by the harness.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from dynamesis.harness.links.faults import (
    Bandwidth,
    BlackHole,
    FaultError,
    Latency,
    LimitData,
    LinkFault,
    RefusedLink,
    Reset,
    Slicer,
)


class Toxic(TypedDict):
    """A toxic as Toxiproxy's API has it."""

    name: str
    type: str
    stream: str
    toxicity: float
    attributes: dict[str, int]


def toxics(fault: LinkFault) -> list[Toxic]:
    """The toxics, in their order, that make Toxiproxy do this (RefusedLink has none: its
    proxy is disabled)."""
    fault.validate()
    direction = getattr(fault, "direction", "both")
    streams = ("upstream", "downstream") if direction == "both" else (direction,)
    return [
        {
            "name": f"{kind}_{stream}",
            "type": kind,
            "stream": stream,
            "toxicity": 1.0,
            "attributes": dict(attributes),
        }
        for stream in streams
        for kind, attributes in _chain(fault)
    ]


#: The kinds of fault that Toxiproxy can do.
KINDS = frozenset(
    fault.kind for fault in (RefusedLink, Reset, BlackHole, LimitData, Bandwidth, Slicer, Latency)
)

#: ms; longer than any test, so that a black hole never hands an EOF through
_NEVER_CLOSE = 86_400_000


def _chain(fault: LinkFault) -> list[tuple[str, Mapping[str, int]]]:
    match fault:
        case RefusedLink():
            return []
        case Reset():
            return [("reset_peer", {"timeout": 0})]
        case BlackHole():
            return [("slow_close", {"delay": _NEVER_CLOSE}), ("timeout", {"timeout": 0})]
        case LimitData(after_bytes=limit):
            return [("limit_data", {"bytes": limit})]
        case Bandwidth(rate_kbps=rate):
            return [("bandwidth", {"rate": rate})]
        case Slicer(piece_bytes=size, vary_bytes=vary, pause_us=pause):
            return [("slicer", {"average_size": size, "size_variation": vary, "delay": pause})]
        case Latency(latency_ms=latency, jitter_ms=jitter):
            return [("latency", {"latency": latency, "jitter": jitter})]
    raise FaultError(f"Toxiproxy cannot do {fault.name or fault.kind}: use --links embedded")
