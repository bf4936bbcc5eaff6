"""docs/checkers.md read slowly: brute force over sets, sharing no code with the checkers.

Only the shape of an event (`Op`) is common. Everything is quadratic or worse, and meant to
be read against the page line by line."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, permutations

from dynamesis.checkers.history.history import Op

Finding = tuple[str, str | None]


class Dynamo:
    """The model `dynamo` over a list of events with their index as position."""

    def __init__(self, ops: list[Op], primaries: Mapping[str, tuple[str, ...]] | None) -> None:
        self.ops, self.primaries = ops, primaries
        self.end: dict[int, int] = {}
        waiting: dict[object, int] = {}
        for i, op in enumerate(ops):
            waiter = (op.process, op.f, op.key, op.replica) if op.f == "dump" else op.process
            if op.type == "invoke":
                waiting[waiter] = i
            elif waiter in waiting:
                self.end[waiting.pop(waiter)] = i
        self.begin = {end: begin for begin, end in self.end.items()}
        self.writes = {
            op.id: i
            for i, op in enumerate(ops)
            if op.type == "invoke" and op.f in ("put", "delete")
        }
        self.reads = [i for i, op in enumerate(ops) if op.type == "ok" and op.f in ("get", "dump")]
        self.bodies = [
            i
            for i, op in enumerate(ops)
            if op.type == "ok" and op.f in ("put", "delete") and op.siblings is not None
        ]
        self.past = {id: self._past(id) for id in self.writes}

    def key(self, i: int) -> str | None:
        return self.ops[self.begin.get(i, i)].key

    def known(self, read: int) -> set[str]:
        """Siblings that were written to the key before the read ended."""
        return {
            s.id
            for s in self.ops[read].siblings or []
            if s.id in self.writes
            and self.writes[s.id] < read
            and self.key(self.writes[s.id]) == self.key(read)
        }

    def named(self, id: str) -> set[str]:
        """What the completion named by the basis showed or wrote."""
        basis = self.ops[self.writes[id]].basis
        if not isinstance(basis, int) or self.key(basis) != self.key(self.writes[id]):
            return set()
        if self.ops[basis].f == "get":
            return self.known(basis)
        written = self.ops[self.begin[basis]].id
        assert written is not None
        return {written} | self.known(basis)

    def _past(self, id: str) -> set[str]:
        past = {id}
        while True:
            more = past.union(*(self.named(v) for v in past))
            if more == past:
                return past
            past = more

    def outcome(self, id: str) -> str:
        end = self.end.get(self.writes[id])
        return "info" if end is None else self.ops[end].type

    def shown_at(self, id: str) -> list[int]:
        return [r for r in sorted(self.reads + self.bodies) if id in self.known(r)]

    def took_effect_before(self, id: str, row: int) -> bool:
        acknowledged = self.outcome(id) == "ok" and self.end[self.writes[id]] < row
        return acknowledged or any(r < row for r in self.shown_at(id))

    def may_have_taken_effect(self, id: str) -> bool:
        return self.outcome(id) != "fail" or bool(self.shown_at(id))

    def forgettable(self, id: str) -> bool:
        """Whether only nodes that forgot may have had it: never, without faults."""
        return False

    def of_reads(self) -> set[Finding]:
        found: set[Finding] = set()
        for r in self.bodies:
            own = self.ops[self.begin[r]].id
            if not any(own in self.past[s] for s in self.known(r)):
                found.add(("impossible-ack", self.key(r)))
        for r in self.reads + self.bodies:
            ids = [s.id for s in self.ops[r].siblings or []]
            key = self.key(r)
            if len(set(ids)) < len(ids):
                found.add(("duplicate-sibling", key))
            for s in self.ops[r].siblings or []:
                if s.id not in self.writes:
                    found.add(("phantom", key))
                    continue
                w = self.writes[s.id]
                if self.outcome(s.id) == "fail" and w < r:
                    found.add(("aborted-read", key))
                if w > r:
                    found.add(("future-read", key))
                if self.key(w) != key:
                    found.add(("crossed-key", key))
                deleting = self.ops[w].f == "delete"
                if s.deleted != deleting or (not deleting and s.value != self.ops[w].value):
                    found.add(("altered-value", key))
            for p, q in permutations(sorted(self.known(r)), 2):
                if p in self.past[q]:
                    found.add(("false-sibling", key))
        return found

    def final(self) -> int | None:
        rows = [i for i, op in enumerate(self.ops) if op.f == "phase" and op.value == "final"]
        return rows[-1] if rows else None

    def final_reads(self, f: str) -> list[int]:
        final = self.final()
        assert final is not None
        return [r for r in self.reads if self.ops[r].f == f and self.begin[r] > final]

    def at_the_end(self) -> set[Finding]:
        """Lost writes and resurrections, on a quiet cluster."""
        final = self.final()
        assert final is not None
        found: set[Finding] = set()
        gets, dumps = self.final_reads("get"), self.final_reads("dump")
        covered = self.covered_at_the_end()
        for v in self.writes:
            key = self.key(self.writes[v])
            if not self.took_effect_before(v, final) or self.forgettable(v):
                continue
            if v not in covered and self.conclusive(key, gets, dumps):
                found.add(("lost-write", key))
            for r in gets + dumps:
                if any(s != v and s in self.past[v] for s in self.known(r)):
                    found.add(("resurrection", key))
        return found

    def covered_at_the_end(self) -> set[str]:
        """What a final version or a delete that may have taken effect covers."""
        return set().union(
            *(
                self.past[v]
                for f in ("get", "dump")
                for r in self.final_reads(f)
                for v in self.known(r)
            ),
            *(
                self.past[v]
                for v in self.writes
                if self.ops[self.writes[v]].f == "delete" and self.may_have_taken_effect(v)
            ),
        )

    def quiet(self) -> bool | None:
        """What the last word on it was."""
        answers = [op.value["quiet"] for op in self.ops if op.f == "quiesce"]
        return answers[-1] if answers else None

    def unquiet(self) -> set[Finding]:
        """Of a cluster that did not get quiet: stuck, and lost where every node was dumped whole
        and none holds the version or a successor."""
        final = self.final()
        whole = [set(op.value.values()) for op in self.ops if op.f == "dumped" and op.value]
        found: set[Finding] = {("stuck", None)}
        if final is not None and whole and whole[-1] == {True}:
            lost = self.writes.keys() - self.covered_at_the_end()
            found |= {
                ("lost-write", self.key(self.writes[v]))
                for v in lost
                if self.took_effect_before(v, final)
            }
        return found

    def conclusive(self, key: str | None, gets: list[int], dumps: list[int]) -> bool:
        if any(self.key(r) == key for r in gets):
            return True
        if self.primaries is None or key is None:
            return False
        dumped = {self.ops[self.begin[r]].replica for r in dumps if self.key(r) == key}
        return set(self.primaries[key]) <= dumped

    def of_replicas(self) -> set[Finding]:
        """Divergence and misplaced."""
        assert self.primaries is not None
        found: set[Finding] = set()
        held: dict[tuple[str, str], list[object]] = {}
        for r in self.final_reads("dump"):
            content = [
                (s.id, None if s.deleted else repr(s.value), s.deleted)
                for s in self.ops[r].siblings or []
            ]
            held[self.key(r) or "", self.ops[self.begin[r]].replica or ""] = sorted(content)
        for key, replica in held:
            if held[key, replica] and replica not in self.primaries[key]:
                found.add(("misplaced", key))
        for key in {key for key, _ in held}:
            mine = [held[key, node] for node in self.primaries[key] if (key, node) in held]
            for one, other in combinations(mine, 2):
                if one != other:
                    found.add(("divergence", key))
                if bool(one) != bool(other):
                    found.add(("misplaced", key))
        return found

    def findings(self) -> set[Finding]:
        """All of them, for a test that reached its final phase with a quiet cluster."""
        found = self.of_reads() | self.at_the_end()
        return found | self.of_replicas() if self.primaries is not None else found


def linearizable(ops: list[Op], k: int = 1, earlier: int = 0, initial: object = None) -> bool:
    """A register with unique values, which holds `initial` at first: is there any order that
    respects real time, in which each read sees one of the last k writes? Tries all. An
    operation is (begin, end, write, value); a write that may not have happened may be left
    out; reads begin `earlier` by so much."""
    ends: dict[int, int] = {}
    waiting: dict[object, int] = {}
    for i, op in enumerate(ops):
        if op.type == "invoke":
            waiting[op.process] = i
        else:
            ends[waiting.pop(op.process)] = i
    sure, unsure = [], []
    for begin, op in enumerate(ops):
        if op.type != "invoke":
            continue
        end = ends.get(begin)
        how = "info" if end is None else ops[end].type
        if how == "ok":
            value = op.value if op.f == "write" else ops[end].value  # type: ignore[index]
            began = begin if op.f == "write" else begin - earlier
            sure.append((began, end, op.f == "write", value))
        elif how == "info" and op.f == "write":
            unsure.append((begin, 10**9, True, op.value))
    return any(
        _serves(frozenset(sure + list(some)), (initial,), k)
        for n in range(len(unsure) + 1)
        for some in combinations(unsure, n)
    )


def _serves(left: frozenset, values: tuple, k: int) -> bool:  # type: ignore[type-arg]
    """Can these operations be ordered, the register having held `values` one after another?"""
    if not left:
        return True
    first_end = min(end for _, end, _, _ in left)
    for op in left:
        begin, _, write, operand = op
        possible = begin <= first_end and (write or operand in values[-k:])
        if possible and _serves(left - {op}, (*values, operand) if write else values, k):
            return True
    return False
