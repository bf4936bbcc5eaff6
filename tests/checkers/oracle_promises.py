"""docs/checkers.md read slowly, second part: what reads owe, carts, lww, cycles, nodes.

As in oracle.py: sets, loops over everything, no code of the checkers."""

from __future__ import annotations

from itertools import permutations

from oracle import Dynamo, Finding

SESSIONS = ("read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads")


class Promises(Dynamo):
    """What the gets of a history owe, and what the final ones must hold."""

    def covers(self, read: int) -> set[str]:
        return set().union(*(self.past[v] for v in self.known(read)))

    def gets(self, before: int | None = None, process: object = None) -> list[int]:
        """Rows at which gets ended; those of a process that had ended before a row."""
        return [
            r
            for r in self.reads
            if self.ops[r].f == "get"
            and (before is None or (r < before and self.ops[r].process == process))
        ]

    def of_key(self, key: str | None) -> list[str]:
        return [v for v in self.writes if self.key(self.writes[v]) == key]

    def acknowledged(self, key: str | None, before: int) -> set[str]:
        return {
            v
            for v in self.of_key(key)
            if self.outcome(v) == "ok" and self.end[self.writes[v]] < before
        }

    def wrote(self, process: object, key: str | None, before: int) -> set[str]:
        mine = self.acknowledged(key, before)
        return {v for v in mine if self.ops[self.writes[v]].process == process}

    def had_read(self, process: object, key: str | None, before: int) -> set[str]:
        mine = [r for r in self.gets(before, process) if self.key(r) == key]
        return set().union(*(self.covers(r) for r in mine))

    def deletes(self, key: str | None, before: int) -> list[str]:
        """Deletes of a key begun before a row that may have taken effect."""
        return [
            v
            for v in self.of_key(key)
            if self.ops[self.writes[v]].f == "delete"
            and self.writes[v] < before
            and self.may_have_taken_effect(v)
        ]

    def missed(self, read: int) -> dict[str, set[str]]:
        """By anomaly: the versions that a get neither covers nor may do without."""
        key, process, begin = self.key(read), self.ops[read].process, self.begin[read]
        covered = self.covers(read)
        writers = {v: (self.ops[self.writes[v]].process, key, self.writes[v]) for v in covered}
        owed = {
            "stale-read": self.acknowledged(key, begin),
            "read-your-writes": self.wrote(process, key, begin),
            "monotonic-reads": self.had_read(process, key, begin),
            "monotonic-writes": set().union(*(self.wrote(*writers[v]) for v in covered)),
            "writes-follow-reads": set().union(*(self.had_read(*writers[v]) for v in covered)),
        }
        removed = set().union(*(self.past[d] for d in self.deletes(key, read)))
        return {name: due - covered - removed for name, due in owed.items()}

    def meets(self, read: int, version: str) -> bool:
        """Must the R nodes asked for this get meet the W that acknowledged this write?"""
        begun, write = self.begin[read], self.writes[version]
        ended = self.end.get(write, len(self.ops))
        quiet = [i for i, op in enumerate(self.ops) if op.f == "quiesce" and op.value["quiet"]]
        if any(ended < q < begun for q in quiet):
            return not self.forgettable(version)
        for start, op in enumerate(self.ops):
            number = op.value.get("fault") if isinstance(op.value, dict) else None
            if op.type == "invoke" and op.f == "start-membership":
                proofs = self.of_fault("evidence", number)
                over = self.settled_at(proofs)
                both = [(write, ended), (begun, read)]
                if any(first <= over and start <= last for first, last in both):
                    return False
            if op.type == "invoke" and op.f == "start-wipe":
                stops = [
                    i for i in self.of_fault("stop-wipe", number) if self.ops[i].type == "info"
                ]
                # ended a second time: it may have lasted until then
                if start <= begun and write <= max(stops, default=len(self.ops)):
                    return False
        return True

    def forgettable(self, id: str) -> bool:
        """Have as many nodes been wiped since it was begun as certainly had it (one, where nothing
        else is known), the one that stamped it among them, unless copies moved?"""
        wiped = set()
        for op in self.ops:
            if op.type == "invoke" and op.f == "start-wipe":
                stops = self.of_fault("stop-wipe", op.value["fault"])
                ended = [i for i in stops if self.ops[i].type == "info"]
                if self.writes[id] <= max(ended, default=len(self.ops)):
                    wiped |= {*op.value["nodes"]}
        worth = {}
        if self.outcome(id) == "ok":
            worth = self.ops[self.end[self.writes[id]]].worth or {}
        stamped = worth.get("coordinator", min(wiped, default=None))
        moved = any(op.f == "start-membership" for op in self.ops)
        return len(wiped) >= worth.get("replicas", 1) and (moved or stamped in wiped)

    def settled_at(self, proofs: list[int]) -> int:
        """The first evidence of a bite decides; it must show a layout that has settled."""
        proven = [i for i in proofs if self.ops[i].value["bit"]]
        shown = [self.ops[i].value.get("detail", {}).get("membership", {}) for i in proven[:1]]
        return proven[0] if [view.get("settled") for view in shown] == [True] else len(self.ops)

    def of_fault(self, f: str, number: object) -> list[int]:
        return [i for i, op in enumerate(self.ops) if op.f == f and op.value["fault"] == number]

    def coverage(self) -> tuple[set[Finding], dict[str, int], dict[str, int]]:
        """The findings, how many gets each anomaly has, and how many gets missed how many of
        what had been acknowledged."""
        found: set[Finding] = set()
        counts: dict[str, int] = {}
        k: dict[str, int] = {}
        for r in self.gets():
            missed = self.missed(r)
            much = str(len(missed["stale-read"]))
            k[much] = k.get(much, 0) + 1
            missed["stale-read"] = {v for v in missed["stale-read"] if self.meets(r, v)}
            for name in (name for name, versions in missed.items() if versions):
                found.add((name, self.key(r)))
                counts[name] = counts.get(name, 0) + 1
        return found, counts, k

    def settled(self, key: str | None) -> list[str]:
        final = self.final()
        assert final is not None
        return [v for v in self.of_key(key) if self.took_effect_before(v, final)]

    def below(self, one: str, others: list[str]) -> bool:
        return any(one != other and one in self.past[other] for other in others)

    def cart(self) -> set[Finding]:
        """lost-item and extra-item; a value is {"items": [...]}."""
        found: set[Finding] = set()
        for r in self.final_reads("get"):
            key = self.key(r)
            merged = {
                item
                for s in self.ops[r].siblings or []
                if not s.deleted
                for item in s.value["items"]
            }
            puts = [v for v in self.of_key(key) if self.ops[self.writes[v]].f == "put"]
            possible = [v for v in self.of_key(key) if self.may_have_taken_effect(v)]
            settled = self.settled(key)
            items = {v: set(self.ops[self.writes[v]].value["items"]) for v in puts}
            true = [v for v in puts if v in settled and not self.below(v, possible)]
            current = [v for v in puts if v in possible and not self.below(v, settled)]
            if any(items[v] - merged for v in true):
                found.add(("lost-item", key))
            if merged - set().union(*(items[v] for v in current)):
                found.add(("extra-item", key))
        return found

    def stamp(self, id: str) -> int | None:
        if self.outcome(id) != "ok":
            return None
        return (self.ops[self.end[self.writes[id]]].worth or {}).get("timestamp")

    def lww(self, reap: float | None = None) -> set[Finding]:
        """The final gets of a store where the last write wins; `reap`: s after which it may
        forget a delete."""
        found: set[Finding] = set()
        for r in self.final_reads("get"):
            key, shown = self.key(r), self.known(r)
            if len(shown) > 1:
                found.add(("false-sibling", key))
            settled = self.settled(key)
            deletes = self.deletes(key, len(self.ops))
            puts = [v for v in settled if self.ops[self.writes[v]].f == "put"]
            if not shown and not all(self.may_lose(v, deletes) for v in puts):
                found.add(("lost-write", key))
            one = next(iter(shown)) if len(shown) == 1 else None
            mine = None if one is None else self.stamp(one)
            if one is not None and mine is not None:
                gone = [d for d in deletes if reap and self.time_between(d, one) >= reap * 1e9]
                stamps = {self.stamp(v) for v in settled if not self.may_lose(v, gone)}
                if any(s > mine for s in stamps - {None}):
                    found.add(("lost-write", key))
        for r in self.final_reads("get") + self.final_reads("dump"):
            if any(self.below(s, self.settled(self.key(r))) for s in self.known(r)):
                found.add(("resurrection", self.key(r)))
        return found

    def may_lose(self, version: str, deletes: list[str]) -> bool:
        """Whether one of these deletes is not provably dated earlier."""
        stamps = self.stamp(version), [self.stamp(d) for d in deletes]
        return any(None in (stamps[0], s) or s >= stamps[0] for s in stamps[1])

    def time_between(self, delete: str, acknowledged: str) -> int:
        """ns from the beginning of one to the end of the other."""
        end = self.ops[self.end[self.writes[acknowledged]]]
        return end.time - self.ops[self.writes[delete]].time

    def discarded(self) -> int:
        """Acknowledged writes of keys with a final get that no final read covers."""
        final = self.final_reads("get") + self.final_reads("dump")
        covered = set().union(*(self.past[v] for r in final for v in self.known(r)))
        keys = {self.key(r) for r in self.final_reads("get")}
        return sum(
            self.ops[self.writes[v]].f == "put" and self.outcome(v) == "ok" and v not in covered
            for key in keys
            for v in self.settled(key)
        )

    def returned(self) -> int:
        """Items of the final carts that one of the siblings had itself removed."""
        count = 0
        for r in self.final_reads("get"):
            carts = [s.value for s in self.ops[r].siblings or [] if not s.deleted]
            there = {item for cart in carts for item in cart["items"]}
            count += len({cart["remove"] for cart in carts if "remove" in cart} & there)
        return count

    def has_cycle(self) -> bool:
        """Do read-from, context and process order close a circle? By closing them."""
        before: set[tuple[int, int]] = set()
        for r in self.reads:
            for s in self.ops[r].siblings or []:
                if s.id in self.writes:
                    before.add((self.writes[s.id], self.begin[r]))
        for i, op in enumerate(self.ops):
            if op.type == "invoke" and isinstance(op.basis, int):
                before.add((self.begin[op.basis], i))
        clients = [
            i
            for i, op in enumerate(self.ops)
            if op.type == "invoke" and isinstance(op.process, int)
        ]
        for i in clients:
            later = [j for j in clients if j > i and self.ops[j].process == self.ops[i].process]
            before.update((i, j) for j in later[:1])
        reached = {i: {b for a, b in before if a == i} for i, _ in before}
        for _ in range(len(self.ops)):
            for i, far in reached.items():
                reached[i] = far.union(*(reached.get(j, set()) for j in far))
        return any(i in far for i, far in reached.items())

    def unbounded(self, bounds: dict[str, int]) -> set[Finding]:
        """What showed or reported more than its bound."""
        found: set[Finding] = set()
        for r in self.reads:
            if len(self.ops[r].siblings or []) > bounds["siblings"]:
                found.add(("unbounded", self.key(r)))
        for op in self.ops:
            if op.f == "sizes":
                sizes = {name: size for name, size in op.value.items() if name != "node"}
                if any(size > bounds[name] for name, size in sizes.items() if name in bounds):
                    found.add(("unbounded", None))
        return found

    def without_account(self) -> set[str]:
        """Nodes whose last word on their hints leaves some out."""
        lacking: dict[str, bool] = {}
        for op in self.ops:
            if op.f == "sizes":
                size = {name.removeprefix("hints_"): size for name, size in op.value.items()}
                there = size["handed_off"] + size["given_up"] + size["held"]
                lacking[op.value["node"]] = size["kept"] > there
        return {node for node, lacks in lacking.items() if lacks}

    def is_split(self) -> bool:
        """Whether two nodes report different members or owners after quiescence."""
        quiet = [i for i, op in enumerate(self.ops) if op.f == "quiesce"]
        views = [
            (set(op.value["members"]), op.value["owners"])
            for i, op in enumerate(self.ops)
            if op.f == "membership" and i > quiet[-1]
        ]
        return any(one != other for one, other in permutations(views, 2))


class LastWins(Promises):
    """Where the last writer wins."""

    def missed(self, read: int) -> dict[str, set[str]]:
        """As above, but for what may have lost."""
        key = self.key(read)
        winners = self.known(read) | set(self.deletes(key, read))
        beaten = {v for v in self.of_key(key) if not all(self.certainly(v, w) for w in winners)}
        return {name: due - beaten for name, due in super().missed(read).items()}

    def certainly(self, later: str, earlier: str) -> bool:
        """Whether one was written after the other, by the store's answers."""
        stamps = self.stamp(later), self.stamp(earlier)
        return None not in stamps and stamps[0] > stamps[1]
