"""Between which writes and which reads R + W > N promises that a read is fresh.

R of the nodes that are asked and W of those that were written to meet only as long as both are
drawn from the same N, and none of these has forgotten. So a get owes no write that was

- under way, or acknowledged before, while the membership changed: unless it ended before the
  change was asked for, since newcomers fetch all that there was then;
- begun before a node was back whose disk was wiped, or which was killed where writes are
  acknowledged from memory; or begun at all after bits on a disk have flipped.

A get that itself overlaps a change of the membership owes nothing: nodes know different
layouts. A change is over once its evidence shows that all members agree on one settled layout
(`detail.membership.settled`). And once the cluster is quiet, replicas agree: then every write is
owed again, but for those that only nodes had that forgot (forgotten.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dynamesis.checkers.graph.causality import NEVER, Causality
from dynamesis.checkers.history.pairing import Bools, Ints
from dynamesis.checkers.history.timeline import Fault, Timeline


@dataclass(frozen=True)
class Freshness:
    """Spans of rows in which nodes did not agree on the layout, and in which one forgot; the row
    from which replicas certainly agreed (NEVER if they never did)."""

    moving: tuple[tuple[int, int], ...]
    forgetting: tuple[tuple[int, int], ...]
    quiet: int

    @classmethod
    def of(cls, timeline: Timeline, test: Mapping[str, Any]) -> Freshness:
        """What the faults and the quiet of a test leave of it."""
        kinds = ("wipe", "kill", "disk") if in_memory(test) else ("wipe",)
        quiet = NEVER if not timeline.quiet or timeline.quiesced is None else timeline.quiesced
        moving = [_moves(fault) for fault in timeline.faults if _family(fault) == "membership"]
        forgetting = [_forgets(fault) for fault in timeline.faults if _is_forgetting(fault, kinds)]
        forgetting += [(0, row) for row in timeline.found_dead if in_memory(test)]
        return cls(tuple(moving), tuple(forgetting), quiet)

    def owed(self, c: Causality, get: int, versions: Ints, missing: int, gone: Bools) -> int:
        """Of the versions of a key that a get lacks (bit i: the i-th), those that it owes. `gone`:
        by version, whether only nodes that forgot may have had it."""
        if not self.moving and not self.forgetting:
            return missing
        begun = int(c.history.pair[get])
        if begun < self.quiet and any(_overlap(span, (begun, get)) for span in self.moving):
            return 0
        kept = 0
        for place in _bits(missing):
            version = int(versions[place])
            written, ended = int(c.written[version]), int(c.ended[version])
            if self._owes(written, ended, begun, bool(gone[version])):
                kept |= 1 << place
        return kept

    def _owes(self, written: int, acknowledged: int, begun: int, gone: bool) -> bool:
        """Whether a get begun then owes a write of these rows."""
        if acknowledged < self.quiet < begun:
            return not gone
        moved = any(_overlap(span, (written, acknowledged)) for span in self.moving)
        forgot = any(written <= end and start <= begun for start, end in self.forgetting)
        return not moved and not forgot


def _family(fault: Fault) -> str:
    return fault.kind.partition(".")[0]


def in_memory(test: Mapping[str, Any]) -> bool:
    """Whether a node may acknowledge what a kill takes from it."""
    params = test.get("params")
    buffered = isinstance(params, Mapping) and params.get("durability") == "buffered"
    return buffered or test.get("storage") == "memory"


def _is_forgetting(fault: Fault, kinds: tuple[str, ...]) -> bool:
    return _family(fault) in kinds or fault.detail == "bit-flip"


def _moves(fault: Fault) -> tuple[int, int]:
    """From when it was asked for until it was proved."""
    over = fault.proved if fault.took_effect and fault.settled else None
    return fault.started, NEVER if over is None else over


def _forgets(fault: Fault) -> tuple[int, int]:
    """From its start until it was taken back: what was written before is there once less. A
    disk whose bits flip may still be read with them in it later."""
    over = None if fault.detail == "bit-flip" else fault.stopped
    return fault.started, NEVER if over is None else over


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _bits(number: int) -> Iterator[int]:
    """The places of the bits that are set."""
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest
