"""What one sees while a test runs, counted from its history as that grows."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from dynamesis.checkers.history.op import Op
from dynamesis.harness.run.node_states import UP, NodeStates, struck_nodes

#: Rates are taken over so many ns.
_WINDOW = 1_000_000_000


@dataclass
class ProgressCounts:
    """Counts what happens in a history as it grows. Times in ns since the test began; `limit`:
    how long the load lasts, s, where that is known."""

    limit: float | None = None
    phase: str = ""
    now: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    faults: dict[object, str] = field(default_factory=dict)
    nodes: NodeStates = field(default_factory=NodeStates)
    _loading: int | None = None
    _recent: deque[int] = field(default_factory=deque)

    def observe(self, op: Op) -> None:
        self.now = op.time
        if op.process == "harness" and op.f == "phase":
            self._enter(str(op.value), op.time)
        elif op.process == "nemesis":
            self._observe_nemesis(op)
        elif isinstance(op.process, int) and op.type != "invoke":
            self.counts[op.type] += 1
            self._recent.append(op.time)

    def performed(self, counts: Mapping[str, int], now: int) -> None:
        """So many operations of the load were completed by `now`, by type."""
        self.now = now
        self.counts.update(counts)
        self._recent.extend([now] * sum(counts.values()))

    def rate(self, now: int) -> float:
        """Completions a second, over the last second, at `now`."""
        while self._recent and self._recent[0] < now - _WINDOW:
            self._recent.popleft()
        return len(self._recent) * 1e9 / _WINDOW

    def left(self, now: int) -> float | None:
        """Seconds of load to come, at `now`; None once it is over, or where it has no limit. What
        follows ends when the store is quiet: when is unknown."""
        if self.limit is None or self.phase not in ("", "boot", "load"):
            return None
        spent = 0 if self._loading is None else now - self._loading
        return max(0.0, self.limit - spent / 1e9)

    def _enter(self, phase: str, now: int) -> None:
        self.phase = phase
        if phase == "load":
            self._loading = now
        elif phase != "heal":
            self.nodes.healed()

    def _observe_nemesis(self, op: Op) -> None:
        action, _, family = op.f.partition("-")
        value = op.value if isinstance(op.value, dict) else {}
        fault = value.get("fault", family)
        if op.type != "info" or "skipped" in value:
            return
        if action == "start":
            self.faults[fault] = f"{value.get('member', family)} {struck_nodes(value)}".rstrip()
            self.nodes.start(fault, family, value)
        elif action == "stop":
            self.faults.pop(fault, None)
            self.nodes.stop(fault)
        elif op.f == "found-dead":
            self.nodes.died(map(str, value.get("nodes") or ()))


def alarm(op: Op) -> str | None:
    """What is printed immediately for an event: a process died that no fault ended."""
    if op.f == "found-dead":
        return "\n".join(
            f"{node} died by itself: {last}" for node, last in op.value["last"].items()
        )
    if op.f == "links-restarted":
        return f"links of {op.value['server']} restarted: {op.value['reason']}"
    return None


def figures(tally: ProgressCounts, now: int) -> str:
    """`load     4.2 s, 5.8 s left   98 op/s   ok 402  fail 3  info 8`"""
    counts = "  ".join(f"{kind} {tally.counts[kind]}" for kind in ("ok", "fail", "info"))
    left = tally.left(now)
    to_come = "" if left is None else f", {left:.1f} s left"
    return f"{tally.phase:8}{now / 1e9:6.1f} s{to_come} {tally.rate(now):6.0f} op/s   {counts}"


def line(tally: ProgressCounts, now: int) -> str:
    """All of it in a line: `figures`, the faults that are active, and each node that is not up."""
    faults = ", ".join(tally.faults.values()) or "none"
    struck = [f"{node} {state}" for node, state in tally.nodes.row() if state != UP]
    nodes = f"   nodes: {', '.join(struck)}" if struck else ""
    return f"{figures(tally, now)}   faults: {faults}{nodes}"
