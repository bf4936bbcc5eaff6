"""docs/checkers.md read slowly, third part: impossible-ack and unavailable.

Rows are times; a fault is (first row it may act, last row it may act, first row it surely
acts, last row it surely acts), the nodes it stops and the pairs it parts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, permutations
from typing import Any

from dynamesis.checkers.history.history import Op

FOREVER = 10**9
#: what a slow machine may cause immediately, and what it may cause only after half a second
SLOW = ("timeout", "disconnected", "forward-lost", "unreachable", "forgotten")
QUORUM = ("read-quorum", "write-quorum", "no-coordinator")
#: which faults may be the cause of such a refusal
CAUSES = {
    "storage-write": ("kill", "disk"),
    "storage-read": ("kill", "disk"),
}


@dataclass
class Trouble:
    """One fault as the nemesis reported it."""

    first: int
    last: int
    sure: int
    sure_until: int
    #: from which row to which it begins, and ends
    turns: list[tuple[int, int]]
    names: set[str]
    stops: set[str]
    parts: set[frozenset[str]]
    understood: bool
    family: str


class Ledger:
    """The nemesis's reports, against the clients' answers."""

    def __init__(self, ops: list[Op], test, primaries) -> None:
        self.ops, self.test, self.primaries = ops, test, primaries
        self.begin: dict[int, int] = {}
        waiting: dict[object, int] = {}
        for i, op in enumerate(ops):
            if op.type == "invoke":
                waiting[op.process] = i
            elif op.process in waiting:
                self.begin[i] = waiting.pop(op.process)
        self.heals = [i for i, op in enumerate(ops) if op.f == "phase" and op.value == "heal"]
        numbers = [op.value["fault"] for op in ops if op.f.startswith("start-")]
        self.troubles = [self.trouble(number) for number in dict.fromkeys(numbers)]

    def trouble(self, number: int) -> Trouble:
        mine = [
            (i, op)
            for i, op in enumerate(self.ops)
            if op.process == "nemesis" and op.value.get("fault") == number
        ]
        starts = [(i, op) for i, op in mine if op.f.startswith("start-")]
        stops = [i for i, op in mine if op.f.startswith("stop-")]
        complete = [i for i, op in starts[1:] if op.type == "info" and op.error is None]
        proven = [i for i, op in mine if op.f == "evidence" and op.value["bit"]]
        kind, value = starts[0][1].f.removeprefix("start-"), starts[0][1].value
        named = set(value.get("nodes", ()))
        stopped = named if kind in ("kill", "pause") else set()
        groups = value.get("grudge", []) if kind.startswith("cut") else []
        parted = {
            frozenset((a, b)) for one, other in permutations(groups, 2) for a in one for b in other
        }
        understood = (bool(stopped) or kind == "cut.halves") and "flap" not in kind
        return Trouble(
            starts[0][0],
            stops[-1] if len(stops) > 1 else FOREVER,
            min(complete + proven) if proven and understood else FOREVER,
            min([*stops[:1], *self.heals, FOREVER]),
            [(starts[0][0], min([*complete, FOREVER]))]
            + [(stop, min([*stops[1:], FOREVER])) for stop in stops[:1]],
            named,
            stopped,
            parted,
            understood,
            kind.split(".")[0],
        )

    def certain(self, t: Trouble, node: str) -> list[int]:
        """Each row from which to the next one it is certain that a trouble stops a node. One that
        is paused may run while another trouble, that could start it anew, begins or ends."""
        turns: list[tuple[int, int]] = []
        if t.family == "pause":
            others = [o for o in self.troubles if o is not t and node in o.names]
            turns = [turn for o in others if o.family in ("kill", "disk") for turn in o.turns]
        rows = range(t.sure, min(t.sure_until, len(self.ops) + 1))
        return [row for row in rows if not any(a <= row < b for a, b in turns)]

    def asked(self, i: int, name: str, low: int, most: int) -> int | None:
        """A number that an operation asks for itself, if it is one that there can be."""
        value = (self.ops[self.begin[i]].options or {}).get(name)
        return value if type(value) is int and low <= value <= most else None

    def n(self, i: int) -> int:
        return self.asked(i, "n", 1, self.test["n"]) or self.test["n"]

    def least(self, i: int) -> dict[str, int]:
        """By claim, how much of it an operation must have."""
        n, get = self.n(i), self.ops[i].f == "get"
        answers = self.asked(i, "r" if get else "w", 1, n)
        answers = answers or min(n, self.test["r" if get else "w"])
        primaries = self.asked(i, "pr" if get else "pw", 0, n) or 0
        durable = 0 if get else self.asked(i, "dw", 0, n) or 0
        most = max(answers, primaries, durable)
        return {"replicas": most, "primaries": primaries, "durable": durable}

    def need(self, i: int) -> int:
        return self.least(i)["replicas"]

    def asked_nodes(self, i: int) -> set[str]:
        return set(self.primaries[self.ops[i].key][: self.n(i)])

    def is_strict(self, i: int) -> bool:
        sloppy = (self.ops[self.begin[i]].options or {}).get("sloppy")
        return not (self.test["sloppy"] if sloppy is None else sloppy)

    def counted_nodes(self, i: int) -> set[str]:
        return self.asked_nodes(i) if self.is_strict(i) else set(self.test["nodes"])

    def hasty(self, i: int) -> bool:
        """Whether it gave its nodes less time than they have of their own accord."""
        timeout = (self.ops[self.begin[i]].options or {}).get("timeout")
        lasted = (self.ops[i].time - self.ops[self.begin[i]].time) / 1e9
        return timeout is not None and timeout < 2 and lasted >= 0.9 * timeout

    def can_answer(self, end: int) -> set[str]:
        """Nodes that can have answered the coordinator, while the whole operation lasted."""
        op, begin = self.ops[end], self.begin[end]
        lasting = [t for t in self.troubles if t.sure < begin and end < t.sure_until]
        whole = set(range(begin - 1, end + 1))
        down = {n for t in lasting for n in t.stops if whole <= set(self.certain(t, n))}
        up = set(self.test["nodes"]) - down
        parted = {pair for t in lasting for pair in t.parts}
        coordinator = (op.worth or {}).get("coordinator")
        asked = coordinator or op.node
        if asked is None:
            return up
        if coordinator is not None:
            near = {n for n in up if frozenset((n, asked)) not in parted}
            return near if asked in up else set()
        return {n for n in up if self.path(asked, n, up, parted)}

    def path(self, start: str, goal: str, up: set[str], parted: set[frozenset[str]]) -> bool:
        """Is there any way over nodes that are up? Tries all."""
        ways = (way for n in range(1, len(up) + 1) for way in permutations(sorted(up), n))
        return any(
            way[0] == start
            and way[-1] == goal
            and not any(frozenset(step) in parted for step in pairwise(way))
            for way in ways
        )

    @property
    def in_memory(self) -> bool:
        """Whether copies may count that are on no disk."""
        buffered = self.test.get("params", {}).get("durability") == "buffered"
        return buffered or self.test.get("storage") == "memory"

    @property
    def never_in_memory(self) -> bool:
        """Whether every copy is on a disk before it counts."""
        return "storage" in self.test and not self.in_memory

    def forgets(self, worth: dict[str, Any]) -> bool:
        """Whether an answer counts copies that are on no disk."""
        both = "replicas" in worth and "durable" in worth
        return both and worth["durable"] < worth["replicas"]

    def impossible(self) -> set[int]:
        """Rows of acknowledgements that cannot be."""
        found = set()
        for end, op in enumerate(self.ops):
            if op.type != "ok" or op.f not in ("get", "put"):
                continue
            could, worth = self.can_answer(end), op.worth or {}
            least, primaries = self.least(end), len(could & self.asked_nodes(end))
            replicas = worth.get("replicas", least["replicas"])
            if (
                len(could & self.counted_nodes(end)) < least["replicas"]
                or primaries < least["primaries"]
                or any(worth.get(name, number) < number for name, number in least.items())
                or worth.get("primaries", 0) > primaries
                or worth.get("durable", 0) > replicas
                or (op.f == "put" and self.never_in_memory and self.forgets(worth))
                or (op.f == "get" and not op.siblings and worth.get("fallbacks", 0) > 0)
            ):
                found.add(end)
        return found

    def fair(self, end: int) -> bool:
        """No fault within the grace, or enough nodes that none of these can have touched."""
        begin, grace = self.begin[end], self.test["grace"] * 1_000_000_000
        loads = [i for i, op in enumerate(self.ops) if op.f == "phase" and op.value == "load"]
        if loads and begin < loads[0]:
            return False
        recent = [i for i, op in enumerate(self.ops) if op.time >= self.ops[begin].time - grace]
        near = [t for t in self.troubles if t.first < end and t.last >= recent[0]]
        code = self.ops[end].error.code
        near = [t for t in near if t.family in CAUSES.get(code, (t.family,))]
        restarted = any(t.first < end and t.family in ("kill", "disk") for t in self.troubles)
        if code == "not-ready" and not restarted:
            near = []
        if not near:
            return True
        sure = all(t.understood and t.sure < recent[0] and end < t.sure_until for t in near)
        for certain in [self.certain(t, n) for t in near for n in t.stops] if sure else ():
            sure &= bool(certain) and certain == list(range(certain[0], certain[-1] + 1))
            sure = sure and certain[0] < recent[0] and end <= certain[-1]
        touched = {n for t in near for n in t.stops} | {n for t in near for p in t.parts for n in p}
        whole = set(self.test["nodes"]) - touched
        enough = len(whole & self.counted_nodes(end)) >= self.need(end)
        enough &= len(whole & self.asked_nodes(end)) >= self.least(end)["primaries"]
        # with a fault about, a node that would only hand the operation on is not judged
        return sure and enough and self.ops[end].node in whole & self.counted_nodes(end)

    def kept_waiting(self, end: int) -> bool:
        """Whether half a second passed before it was refused; a write may be refused forever."""
        op = self.ops[end]
        if op.error.code not in QUORUM:
            return False
        ended = op.type == "fail" and op.f != "get"
        return not ended and op.time - self.ops[self.begin[end]].time >= 500_000_000

    def unavailable(self) -> set[int]:
        """Rows of refusals that nothing excuses; of time-outs, when they are many."""
        refused, late, begun = set(), set(), 0
        for end, op in enumerate(self.ops):
            if op.f in ("get", "put"):
                begun += op.type == "invoke"
                hasty = op.error is not None and op.error.code in SLOW and self.hasty(end)
                asks = self.least(end)["durable"] if op.error is not None else 0
                hasty |= bool(asks) and self.in_memory
                if op.error is not None and not hasty and self.fair(end):
                    slow = op.error.code in SLOW or self.kept_waiting(end)
                    (late if slow else refused).add(end)
        many = self.stalls(late) >= 3 and len(late) / begun > 0.01
        return refused | late if many else refused

    def stalls(self, late: set[int]) -> int:
        """The most operations of which no two were under way at one moment."""
        if self.test.get("world") == "simulated":
            return len(late)
        apart: list[int] = []
        for end in sorted(late, key=lambda end: -self.ops[self.begin[end]].time):
            if all(self.ops[end].time < self.ops[self.begin[other]].time for other in apart):
                apart.append(end)
        return len(apart)

    def unread(self) -> dict[str, set[int]]:
        """Keys of which no final read came back, with the ends of those reads: unless all were
        late, and fewer than three. Nothing is known where the heal failed."""
        names = [op.value for op in self.ops if op.f == "phase"]
        if "final" not in names or any(op.f == "heal-failed" for op in self.ops):
            return {}
        (final,) = (i for i, op in enumerate(self.ops) if op.f == "phase" and op.value == "final")
        ends = [end for end, begin in self.begin.items() if begin > final]
        by_key: dict[str, set[int]] = {}
        for end in ends:
            if self.ops[end].f == "get":
                by_key.setdefault(self.ops[end].key, set()).add(end)
        return {
            key: rows
            for key, rows in by_key.items()
            if all(self.ops[end].error is not None for end in rows)
            and (len(rows) >= 3 or any(self.ops[end].error.code not in SLOW for end in rows))
        }
