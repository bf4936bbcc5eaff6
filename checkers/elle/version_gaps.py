"""Keys of registers whose versions could not be ordered, or only in part.

The absence of anomalies proves nothing for a key of which no two versions are ordered. Where some
are, what hangs on the order of the others is not seen: to look through all orders is NP-hard
(Papadimitriou, 1979).
"""

from __future__ import annotations

import numpy as np
from dynamesis.checkers.elle.rw_register import Registers
from dynamesis.checkers.elle.version_order import Order
from dynamesis.checkers.graph.reach import topological
from dynamesis.checkers.history.pairing import Ints


def unordered(registers: Registers, order: Order) -> Ints:
    """Keys of which a written version was read, and two were written, but no two written
    versions are ordered."""
    many, written = len(registers.txns.keys), len(registers.mops)
    final, key_of = registers.final.copy(), registers.key_of
    final[written:] = False
    versions = np.bincount(key_of[final], minlength=many)
    ordered = np.zeros(many, np.bool_)
    ordered[key_of[order.lower[final[order.lower] & final[order.upper]]]] = True
    read = np.zeros(many, np.bool_)
    seen = registers.visits.read
    read[key_of[seen[(seen >= 0) & (seen < written)]]] = True
    found: Ints = np.flatnonzero((versions > 1) & read & ~ordered)
    return found


def partly_ordered(registers: Registers, order: Order) -> Ints:
    """Keys of which two written versions may have come in either order."""
    rank = topological(registers.count, order.lower, order.upper)
    versions = np.flatnonzero(registers.final[: len(registers.mops)])
    key = registers.key_of[versions]
    by_rank = np.lexsort((rank[versions], key))
    versions, key = versions[by_rank], key[by_rank]
    same = np.diff(key) == 0
    lower, upper = versions[:-1][same], versions[1:][same]
    # in an order without gaps neighbours are joined directly
    known = np.isin(
        lower * np.int64(registers.count) + upper,
        order.lower * np.int64(registers.count) + order.upper,
    )
    found: Ints = np.unique(registers.key_of[lower[~known]])
    return found
