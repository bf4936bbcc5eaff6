"""Stand-ins that live in memory, for the logic of the runner where no process matters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from dynamesis.checkers.history.op import Op, Sibling
from dynamesis.harness.targets.reports import DumpRow, NodeStatus, RingView, dump_rows

RING = RingView.of({"partitions": 4, "owners": ["n1", "n2", "n3", "n1"], "n": 2, "r": 1, "w": 2})


def decode(value: bytes, deleted: bool) -> Sibling:
    return Sibling(id=value.decode(), deleted=deleted)


class FakeSystem:
    """Nodes that are names; `statuses` and `dumps` say what they answer."""

    def __init__(self, nodes: tuple[str, ...] = ("n1", "n2", "n3")) -> None:
        self.nodes = nodes
        self.calls: list[str] = []
        self.dumps: dict[str, list[dict[str, Any]] | None] = {node: [] for node in nodes}
        self.statuses: Callable[[str], dict[str, Any] | None] = self._quiet()

    def _quiet(self) -> Callable[[str], dict[str, Any]]:
        """Every look finds each exchange two clean rounds further."""
        rounds: dict[str, int] = dict.fromkeys(self.nodes, 0)

        def status(node: str) -> dict[str, Any]:
            rounds[node] += 2
            done = {"rounds": rounds[node], "clean": rounds[node]}
            peers = {peer: done for peer in self.nodes if peer != node}
            return {"hints": 0, "transfers": 0, "exchanges": peers}

        return status

    async def start_all(self) -> None:
        self.calls.append("start_all")

    async def start(self, node: str) -> None:
        self.calls.append(f"start {node}")

    async def kill(self, node: str) -> int:
        return 1

    async def stop(self, node: str) -> None:
        self.calls.append(f"stop {node}")

    async def pause(self, node: str) -> bool:
        return True

    async def resume(self, node: str) -> None:
        self.calls.append(f"resume {node}")

    async def wipe(self, node: str) -> None:
        self.calls.append(f"wipe {node}")

    def state(self, node: str) -> str:
        return "running"

    def exit_code(self, node: str) -> int | None:
        return None

    def last_words(self, node: str) -> str:
        return f"{node} logged nothing"

    async def status(self, node: str) -> NodeStatus | None:
        answer = self.statuses(node)
        return None if answer is None else NodeStatus.of(answer)

    async def dump(self, node: str) -> list[DumpRow]:
        rows = self.dumps[node]
        if rows is None:
            raise ConnectionRefusedError(node)
        return dump_rows(rows)

    async def copy_data(self, node: str) -> None:
        self.calls.append(f"copy {node}")

    async def restore_data(self, node: str) -> None:
        self.calls.append(f"restore {node}")

    async def disk(self, node: str, fault: str, **settings: float) -> None:
        self.calls.append(f"disk {node} {fault}")

    async def repair(self, node: str) -> None:
        self.calls.append(f"repair {node}")

    async def clock(self, node: str, **settings: int) -> None:
        self.calls.append(f"clock {node} {settings}")

    async def metrics(self, node: str) -> str | None:
        return f"node_up 1 # {node}"

    async def change(self, kind: str, node: str) -> None:
        self.calls.append(f"{kind} {node}")

    async def retire(self, node: str) -> None:
        self.calls.append(f"retire {node}")

    async def ring(self, node: str | None = None) -> RingView:
        return RING

    async def stop_all(self) -> None:
        self.calls.append("stop_all")

    def collect(self, into: Path) -> None:
        self.calls.append("collect")


class FakeLinks:
    kinds: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def start(self, routes: Any) -> None:
        self.calls.append("start")

    def address(self, source: str, dest: str) -> str:
        return "127.0.0.1:1"

    async def add(self, routes: Any) -> None:
        self.calls.append("add")

    async def apply(self, faults: Any) -> None:
        self.calls.append("apply")

    async def revive(self) -> None:
        """Nothing ever dies."""

    async def heal(self, names: Any = None) -> None:
        self.calls.append("heal")

    async def stop(self) -> None:
        self.calls.append("stop")


class FakeNemesis:
    def __init__(self) -> None:
        self.calls: list[str] = []

    async def invoke(self, op: Op, record: Callable[[Op], Op]) -> Op:
        self.calls.append(op.f)
        return msgspec.structs.replace(op, type="info")

    def look(self, record: Callable[[Op], Op]) -> None:
        """No process ever dies."""

    async def heal_all(self) -> None:
        self.calls.append("heal_all")


class Scripted:
    """A client whose completions are written beforehand; the last one is repeated."""

    def __init__(self, *types: str) -> None:
        self.types = list(types)
        self.completions: list[Op] = []
        self.closed = False

    async def invoke(self, op: Op) -> Op:
        ending = self.types.pop(0) if len(self.types) > 1 else self.types[0]
        if ending == "raise":
            raise ValueError("broken")
        siblings = [] if op.f == "get" else None
        return msgspec.structs.replace(op, type=ending, siblings=siblings)

    def recorded(self, completion: Op) -> None:
        self.completions.append(completion)

    async def close(self) -> None:
        self.closed = True


def events(recorder_path: Path) -> list[Op]:
    """What a recorder has written."""
    return msgspec.json.Decoder(Op).decode_lines(recorder_path.read_bytes())


__all__ = [
    "RING",
    "FakeLinks",
    "FakeNemesis",
    "FakeSystem",
    "Scripted",
    "decode",
    "events",
]
