"""A counter that goes up and down, kept as the paper's clients would have to: by siblings.

The value of a version holds for every process how much it has added and taken away in all
(a PN-counter, Shapiro et al. 2011); siblings are merged by the greater of each. A process
writes only its own entry, and knows it without reading. Catches counts that were
acknowledged and are gone (lost-count) or that were never made (phantom-count): the entry
of a process in the final merge must be what its last acknowledged write set, or what one
later write in doubt did.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.op import Op
from dynamesis.checkers.verdict import Anomaly, CheckerResult, judge
from dynamesis.harness.generators import Rng
from dynamesis.harness.generators.distributions import Weighted
from dynamesis.workloads.base import DISTRIBUTION, REQUEST_OPTIONS, Load, Option, Workload
from dynamesis.workloads.check_helpers import final_merges, owed_writes, own_check
from dynamesis.workloads.script.script import Script

#: How much a process has added, and taken away.
Entry = tuple[int, int]


def entries(value: object) -> dict[str, Entry]:
    """The entries of a version's value by process; none of a value that is not a counter."""
    counts = value.get("counts") if isinstance(value, dict) else None
    if not isinstance(counts, dict):
        return {}
    return {str(p): (e[0], e[1]) for p, e in counts.items() if _is_entry(e)}


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, list | tuple)
        and len(entry) == 2
        and all(isinstance(n, int) for n in entry)
    )


def merge(values: Iterable[object]) -> dict[str, Entry]:
    """Process by process the greater of each count."""
    merged: dict[str, Entry] = {}
    for value in values:
        for process, (up, down) in entries(value).items():
            old = merged.get(process, (0, 0))
            merged[process] = (max(old[0], up), max(old[1], down))
    return merged


class Counting(msgspec.Struct, frozen=True):
    """`own`: by key the entry that this process's last ok put left; `trying`: the entry of
    the put in flight; `unread`: the share of failed gets upon which is counted all the same."""

    rng: Rng
    keys: Weighted[str]
    unread: float
    serial: int = 0
    process: int = -1
    own: Mapping[str, Entry] = {}
    trying: Entry = (0, 0)

    def next(self, process: int, last: Op | None, now: int = 0) -> tuple[Op, Script]:
        """Read a counter, and then add to it, or take away from it."""
        script = (
            self
            if process == self.process
            else msgspec.structs.replace(self, process=process, own={})
        )
        if last is not None and last.key is not None:
            if last.f == "get":
                unread, rng = script.rng.chance(self.unread)
                script = msgspec.structs.replace(script, rng=rng)
                if last.type == "ok" or unread:
                    return script._write(last.key, last)
            elif last.type == "ok":
                script = msgspec.structs.replace(
                    script, own={**script.own, last.key: script.trying}
                )
        key, rng = script.keys.pick(script.rng)
        return Op(f="get", key=key), msgspec.structs.replace(script, rng=rng)

    def _write(self, key: str, read: Op) -> tuple[Op, Script]:
        """On a failed read nothing is known but the own entry, and the write is blind."""
        amount, rng = self.rng.between(1, 9)
        down, rng = rng.chance(0.4)
        up_so_far, down_so_far = self.own.get(key, (0, 0))
        mine = (up_so_far, down_so_far + amount) if down else (up_so_far + amount, down_so_far)
        shown = [s.value for s in read.siblings or () if not s.deleted]
        counts = {**merge(shown), str(self.process): mine}
        value = {"delta": -amount if down else amount, "counts": counts}
        basis = read.index if read.type == "ok" else None
        op = Op(f="put", key=key, id=f"{self.process}.{self.serial}", value=value, basis=basis)
        return op, msgspec.structs.replace(self, rng=rng, serial=self.serial + 1, trying=mine)


def _script(load: Load) -> Script:
    return Counting(load.rng, load.distribution(), load.number("unread"))


@own_check
def check_counter(run: Run) -> CheckerResult:
    """Compare, key by key and process by process, the final merge with what was done."""
    acked: dict[str, dict[str, tuple[int, Entry]]] = {}
    tried: dict[str, dict[str, set[Entry]]] = {}
    for write in owed_writes(run):
        mine = entries(write.value).get(str(write.process))
        if mine is None or write.end == "fail":
            continue
        tried.setdefault(write.key, {}).setdefault(str(write.process), set()).add(mine)
        if write.end == "ok":
            acked.setdefault(write.key, {})[str(write.process)] = (write.row, mine)
    found: list[Anomaly] = []
    values: dict[str, int] = {}
    for key, final in final_merges(run).items():
        merged = merge(final.values)
        values[key] = sum(up - down for up, down in merged.values())
        found += _lost(key, final.row, merged, acked.get(key, {}))
        found += _phantom(key, final.row, merged, tried.get(key, {}))
    return judge(found, (), {"values": values})


def _lost(
    key: str, row: int, merged: Mapping[str, Entry], acked: Mapping[str, tuple[int, Entry]]
) -> Iterable[Anomaly]:
    for process, (written, entry) in acked.items():
        got = merged.get(process, (0, 0))
        if got[0] < entry[0] or got[1] < entry[1]:
            why = (
                f"process {process} had added {entry[0]} to {key} and taken away {entry[1]}, "
                f"acknowledged at index {written}; the final merge (index {row}) has "
                f"{got[0]} and {got[1]} of it."
            )
            data: dict[str, object] = {"process": process, "acknowledged": entry, "final": got}
            yield Anomaly("lost-count", why, key, (written, row), data)


def _phantom(
    key: str, row: int, merged: Mapping[str, Entry], tried: Mapping[str, set[Entry]]
) -> Iterable[Anomaly]:
    for process, entry in merged.items():
        if entry not in tried.get(process, set()):
            why = (
                f"the final merge of {key} (index {row}) has process {process} add {entry[0]} "
                f"and take away {entry[1]}, which it never wrote, or was refused."
            )
            yield Anomaly("phantom-count", why, key, (row,), {"process": process, "final": entry})


COUNTER = Workload(
    name="counter",
    description="a counter merged from siblings: catches counts that are lost or were never made",
    script=_script,
    options={
        "distribution": DISTRIBUTION,
        "unread": Option(
            0.5, (0.0, 1.0), "share of failed gets upon which is written all the same"
        ),
        **REQUEST_OPTIONS,
    },
    check=check_counter,
)
