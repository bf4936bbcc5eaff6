"""The true causal order, key by key, from ids and bases only (never the store's clocks).

A version is a put or delete invocation. Its past is what the completion named by
its `basis` covered: the siblings of a get, or the version of an acknowledged put and the
siblings that its answer showed beside it (`return_body`), and the past of all these.
So each version has a few *parents*, and q <= p exactly when p leads back to q. Versions are
numbered in order of invocation; a context exists before it is sent, so a parent's number is
always the smaller one and the order has no cycle.

What was never written to this key, or not yet, cannot be covered: such siblings (an anomaly
of their own) are left out here. A basis of another key covers nothing.

Reachability is never materialised for all pairs. One breadth-first pass answers "all that
these cover"; which sibling covers which is a short search in most reads, and else one
sweep of the key, with pasts as bit sets, each dropped after its last
use.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from dynamesis.checkers.history.codes import DYNAMO
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.pairing import FAIL, INFO, INVOKE, OK, Bools, Ints

#: a row number that never comes
NEVER = np.iinfo(np.int64).max
#: versions that are walked one by one in less time than it takes to load what makes a matrix
_FEW = 100_000


def spans(start: Ints, count: Ints) -> Ints:
    """The numbers start[0] .. start[0]+count[0]-1, start[1] .. and so on, as one array."""
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    numbers: Ints = np.arange(total) + np.repeat(start - (ends - count), count)
    return numbers


@dataclass(frozen=True, eq=False)
class Causality:
    """Versions of a history and their order."""

    history: History
    #: by version: the row of its invocation
    written: Ints
    key: Ints
    #: OK acknowledged, FAIL refused, INFO indeterminate
    outcome: Ints
    #: the row of its completion, or NEVER
    ended: Ints
    #: whether it is a delete
    deletes: Bools
    #: by id: its version; -1: never written
    of_id: Ints
    #: by flattened sibling: the row that showed it
    owner: Ints
    #: its version; -1 when the row is not an ok operation, or it was not written to this key when
    #: the read ended
    sibling: Ints
    #: by version, and one more: where its parents begin
    parent_start: Ints
    parents: Ints

    def __len__(self) -> int:
        return len(self.written)

    @cached_property
    def names(self) -> list[str]:
        """By version: its id."""
        ids = self.history.ids
        return [str(ids[number]) for number in self.history.id[self.written].tolist()]

    @cached_property
    def keys(self) -> list[str]:
        """By version: the name of its key."""
        keys = self.history.keys
        return [keys[number] for number in self.key.tolist()]

    @cached_property
    def first_shown(self) -> Ints:
        """By version: the first row that showed it, NEVER if none did."""
        first = np.full(len(self), NEVER, np.int64)
        seen = self.sibling >= 0
        np.minimum.at(first, self.sibling[seen], self.owner[seen])
        return first

    @cached_property
    def effective(self) -> Ints:
        """By version: the row from which it certainly took effect, NEVER if not known."""
        acknowledged = np.where(self.outcome == OK, self.ended, NEVER)
        return np.minimum(acknowledged, self.first_shown)

    @cached_property
    def may_take_effect(self) -> Bools:
        """By version: not refused, or shown all the same."""
        may: Bools = (self.outcome != FAIL) | (self.first_shown < NEVER)
        return may

    def covered(self, versions: Ints) -> Bools:
        """By version: is it in the past of any of these (themselves included)?"""
        if len(self) <= _FEW:
            return self._covered_by_few(versions)
        from scipy.sparse import csr_array  # slow to import, so only where it is used
        from scipy.sparse.csgraph import breadth_first_order

        n = len(self)
        chosen = np.zeros(n, np.bool_)
        chosen[versions] = True
        sources = np.flatnonzero(chosen)
        indices = np.concatenate([self.parents, sources])
        indptr = np.concatenate([self.parent_start, [len(indices)]])
        graph = csr_array((np.ones(len(indices), np.int8), indices, indptr), shape=(n + 1, n + 1))
        reached = breadth_first_order(graph, n, return_predecessors=False)
        mask: Bools = np.zeros(n + 1, np.bool_)
        mask[reached] = True
        return mask[:n]

    def _covered_by_few(self, versions: Ints) -> Bools:
        """The same without a matrix."""
        parents, starts = self.parents_and_starts
        seen = bytearray(len(self))
        for version in versions.tolist():
            seen[version] = 1
        # parents have smaller numbers, so that one walk down meets each after all above it
        for version in range(len(self) - 1, -1, -1):
            if seen[version]:
                for parent in parents[starts[version] : starts[version + 1]]:
                    seen[parent] = 1
        mask: Bools = np.frombuffer(seen, np.bool_)
        return mask

    @cached_property
    def parents_and_starts(self) -> tuple[list[int], list[int]]:
        """Both columns as lists, which are quicker for what looks at one version at a time."""
        return self.parents.tolist(), self.parent_start.tolist()

    def replaced_by(self, chosen: Bools) -> Bools:
        """By version: does it lie strictly below one of the chosen?"""
        return self.covered(self.parents[np.repeat(chosen, np.diff(self.parent_start))])

    def parents_of(self, version: int) -> list[int]:
        """The versions that its basis named."""
        parents, starts = self.parents_and_starts
        return parents[starts[version] : starts[version + 1]]

    def path(self, above: int, below: int) -> list[int]:
        """The shortest chain of versions from `above` to `below`, each a parent of the one
        before it; empty if `below` is not in the past of `above`."""
        came: dict[int, int] = {above: -1}
        frontier = [above]
        while frontier and below not in came:
            following = []
            for version in frontier:
                for parent in self.parents_of(version):
                    if parent >= below and parent not in came:
                        came[parent] = version
                        following.append(parent)
            frontier = following
        if below not in came:
            return []
        chain = [below]
        while chain[-1] != above:
            chain.append(came[chain[-1]])
        return chain[::-1]

    def dominated(self) -> Iterator[tuple[int, int, int]]:
        """(row, lower, upper) for each read that shows a version and one that covers it; one
        pair for each covered sibling. A short search settles most reads; a key whose
        searches grow long is swept instead."""
        rows = self._suspect_rows()
        keys = self.history.key_of[rows]
        order = np.argsort(keys, kind="stable")
        rows, keys = rows[order], keys[order]
        for span in np.split(rows, np.flatnonzero(np.diff(keys)) + 1):
            if len(span):
                found = self._search(span)
                key = int(self.history.key_of[span[0]])
                yield from self._sweep(key, span) if found is None else found

    def _suspect_rows(self) -> Ints:
        """Reads that show a version whose context came after another of them was begun: no
        other read can show one that covers another."""
        known = np.flatnonzero(self.sibling >= 0)
        if not len(known):
            return known
        version, owner = self.sibling[known], self.owner[known]
        has_parents = np.diff(self.parent_start)[version] > 0
        basis = np.where(has_parents, self.history.basis[self.written[version]], -1)
        first = np.flatnonzero(np.append([True], owner[1:] != owner[:-1]))
        begun = np.minimum.reduceat(self.written[version], first)
        return owner[first][np.maximum.reduceat(basis, first) > begun]

    def _search(self, rows: Ints) -> list[tuple[int, int, int]] | None:
        """Follow contexts down from the siblings of each read of a key, no further than to the
        oldest of them; None when that takes more steps than a sweep would."""
        starts = self.by_key[1]
        key = int(self.history.key_of[rows[0]])
        budget = 500 + 4 * int(starts[key + 1] - starts[key])
        found = []
        for row in rows.tolist():
            siblings = self.siblings_of(row)
            oldest, seen = min(siblings), set[int]()
            for upper in siblings:
                stack = [upper]
                while stack:
                    for parent in self.parents_of(stack.pop()):
                        if parent >= oldest and parent not in seen:
                            seen.add(parent)
                            stack.append(parent)
                            if parent in siblings:
                                found.append((row, parent, upper))
                    budget -= 1
            if budget < 0:
                return None
        return found

    @cached_property
    def by_key(self) -> tuple[Ints, Ints]:
        """Versions sorted by key, then number; and where each key's begin."""
        order = np.argsort(self.key, kind="stable")
        starts = np.searchsorted(self.key[order], np.arange(len(self.history.keys) + 1))
        return order, starts

    def _sweep(self, key: int, rows: Ints) -> Iterator[tuple[int, int, int]]:
        """Walk one key's versions and several-sibling reads in order of rows."""
        order, starts = self.by_key
        versions = order[starts[key] : starts[key + 1]]
        bit = dict(zip(versions.tolist(), range(len(versions)), strict=True))
        shown = [self.siblings_of(row) for row in rows.tolist()]
        uses = self._uses(versions, shown)
        pasts: dict[int, int] = {}
        coming = zip(self.written[versions].tolist(), versions.tolist(), strict=True)
        version_row, version = next(coming, (NEVER, -1))
        for row, siblings in zip(rows.tolist(), shown, strict=True):
            while version_row < row:
                self._add_past(version, bit, uses, pasts)
                version_row, version = next(coming, (NEVER, -1))
            mask = 0
            for v in siblings:
                mask |= 1 << bit[v]
            for upper in siblings:
                below = pasts[upper] & mask & ~(1 << bit[upper])
                mask &= ~below
                while below:
                    lowest = (below & -below).bit_length() - 1
                    below &= below - 1
                    yield row, int(versions[lowest]), upper
                _release(upper, uses, pasts)

    def _add_past(
        self, version: int, bit: dict[int, int], uses: dict[int, int], pasts: dict[int, int]
    ) -> None:
        past = 1 << bit[version]
        for parent in self.parents_of(version):
            past |= pasts[parent]
            _release(parent, uses, pasts)
        if uses.get(version):
            pasts[version] = past

    def siblings_of(self, row: int) -> list[int]:
        """The versions that a row showed, each once."""
        if len(self) <= _FEW:
            siblings, starts = self._siblings_and_starts
            shown = siblings[starts[row] : starts[row + 1]]
            return shown if len(shown) < 2 and -1 not in shown else _each_once(shown)
        span = slice(*self.history.sib_start[row : row + 2].tolist())
        return _each_once(self.sibling[span].tolist())

    @cached_property
    def _siblings_and_starts(self) -> tuple[list[int], list[int]]:
        """As `parents_and_starts`, by row."""
        return self.sibling.tolist(), self.history.sib_start.tolist()

    def _uses(self, versions: Ints, shown: list[list[int]]) -> dict[int, int]:
        """How often each version's past will be asked for."""
        start = self.parent_start
        flat = self.parents[spans(start[versions], start[versions + 1] - start[versions])]
        flat = np.concatenate([flat, np.array([v for vs in shown for v in vs], np.int64)])
        used, count = np.unique(flat, return_counts=True)
        return dict(zip(used.tolist(), count.tolist(), strict=True))


def _each_once(shown: list[int]) -> list[int]:
    return [version for version in dict.fromkeys(shown) if version >= 0]


def _release(version: int, uses: dict[int, int], pasts: dict[int, int]) -> None:
    uses[version] -= 1
    if not uses[version]:
        del pasts[version]


def causality(h: History) -> Causality:
    """Rebuild the order from a well-formed history (`checkers.history.wellformed`)."""
    writes = h.rows("put", "delete") & (h.kind == INVOKE)
    written = np.flatnonzero(writes)
    of_id = np.full(len(h.ids), -1, np.int64)
    of_id[h.id[written]] = np.arange(len(written))
    ended = h.pair[written]
    outcome = np.where(ended >= 0, h.kind[ended], INFO).astype(np.int8)
    owner = np.repeat(np.arange(len(h)), np.diff(h.sib_start))
    keys = h.key_of
    sibling = _known_siblings(h, of_id, written, keys, owner)
    parent_start, parents = _parents(h, of_id, written, keys, sibling)
    deletes = h.rows("delete")[written]
    known_end = np.where(ended >= 0, ended, NEVER)
    return Causality(
        h, written, keys[written], outcome, known_end, deletes, of_id, owner, sibling,
        parent_start, parents,
    )  # fmt: skip


def _known_siblings(h: History, of_id: Ints, written: Ints, keys: Ints, owner: Ints) -> Ints:
    version = of_id[h.sib_id]
    reads = (h.kind == OK) & h.rows(*DYNAMO)
    known = (version >= 0) & reads[owner]
    at = version[known]
    known[known] = (written[at] < owner[known]) & (keys[written[at]] == keys[owner[known]])
    return np.where(known, version, -1)


def _parents(
    h: History, of_id: Ints, written: Ints, keys: Ints, sibling: Ints
) -> tuple[Ints, Ints]:
    """CSR of parents: what the completion that each basis names showed or had written."""
    basis = h.basis[written]
    same_key = (basis >= 0) & (keys[basis] == keys[written])
    of_put = same_key & h.rows("put", "delete")[basis]
    own = np.full(len(written), -1, np.int64)
    own[of_put] = of_id[h.id[h.pair[basis[of_put]]]]
    shown = np.where(same_key, np.diff(h.sib_start)[basis], 0)
    count = shown + of_put
    start = np.cumsum(count) - count
    child = np.repeat(np.arange(len(written)), count)
    parents = np.empty(len(child), np.int64)
    parents[start[of_put]] = own[of_put]
    beside = sibling[spans(h.sib_start[np.where(same_key, basis, 0)], shown)]
    beside[beside == np.repeat(own, shown)] = -1
    parents[spans(start + of_put, shown)] = beside
    kept = parents >= 0
    kept_count = np.bincount(child[kept], minlength=len(written))
    return np.concatenate([[0], np.cumsum(kept_count)]).astype(np.int64), parents[kept]
