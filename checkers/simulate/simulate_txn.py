"""Transactional histories of any size from a simulated serializable store, for benchmarks
and tests: list-append or read-write registers over keys that are retired as they fill."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from dynamesis.checkers.history.op import JsonObject, Op
from dynamesis.checkers.simulate.simulate import LOST, REFUSED

_ERRORS = {"info": LOST, "fail": REFUSED}


def transactions(
    seed: int,
    count: int,
    append: bool = True,
    clients: int = 10,
    keys: int = 10,
    per_key: int = 32,
    longest: int = 4,
    lost: float = 0.01,
    refused: float = 0.02,
) -> Iterator[Op]:
    """Invocations and completions; each transaction takes effect at one instant between its
    own two, so that the history is strict-serializable. One of `lost` ends in info and may
    or may not have happened; one of `refused` fails."""
    chance = _chances(seed)
    source = _Transactions(chance, append, keys, per_key, longest)
    state: dict[int, Any] = {}
    processes = list(range(clients))
    pending: list[list[Any] | None] = [None] * clients
    index, next_process, left = 0, clients, count
    while left or any(pending):
        slot = int(chance() * clients)
        todo: Any = pending[slot]
        event: JsonObject = {"index": index, "time": index * 1000, "process": processes[slot]}
        if todo is None:
            if not left:
                continue
            left -= 1
            mops = source.draw()
            pending[slot] = ["invoked", mops]
            yield Op(type="invoke", f="txn", value=mops, **event)
        elif todo[0] == "invoked":
            fate = chance()
            if fate < refused:
                todo[0] = "fail"
            elif fate < refused + lost:
                todo[0] = "info"
                if chance() < 0.5:
                    _apply(state, todo[1], append)
            else:
                todo[0], todo[1] = "ok", _apply(state, todo[1], append)
            continue
        else:
            yield Op(type=todo[0], f="txn", value=todo[1], error=_ERRORS.get(todo[0]), **event)
            pending[slot] = None
            if todo[0] == "info":
                processes[slot], next_process = next_process, next_process + 1
        index += 1


def _chances(seed: int) -> Callable[[], float]:
    """Numbers in [0, 1), drawn in blocks."""
    draw = np.random.Generator(np.random.PCG64(seed))
    pool: list[float] = []

    def chance() -> float:
        if not pool:
            pool.extend(draw.random(8192).tolist())
        return pool.pop()

    return chance


class _Transactions:
    """Draws transactions of 1 to `longest` operations on `keys` keys at a time; each key is
    retired after `per_key` writes."""

    def __init__(
        self, chance: Callable[[], float], append: bool, keys: int, per_key: int, longest: int
    ) -> None:
        self._chance = chance
        self._write = "append" if append else "w"
        self._per_key, self._longest = per_key, longest
        self._live, self._fresh = list(range(keys)), keys
        self._written = dict.fromkeys(range(keys), 0)

    def draw(self) -> list[list[Any]]:
        return [self._operation() for _ in range(1 + int(self._chance() * self._longest))]

    def _operation(self) -> list[Any]:
        place = int(self._chance() * len(self._live))
        key = self._live[place]
        if self._chance() < 0.5:
            return ["r", key, None]
        self._written[key] += 1
        value = self._written[key]
        if value == self._per_key:
            self._live[place], self._written[self._fresh] = self._fresh, 0
            self._fresh += 1
        return [self._write, key, value]


def _apply(state: dict[int, Any], mops: list[list[Any]], append: bool) -> list[list[Any]]:
    done = []
    for f, key, value in mops:
        if f == "r":
            seen = state.get(key)
            done.append([f, key, list(seen) if append and seen else seen])
            continue
        if append:
            state.setdefault(key, []).append(value)
        else:
            state[key] = value
        done.append([f, key, value])
    return done


def registers(seed: int, count: int, keys: int = 10, clients: int = 10) -> Iterator[Op]:
    """A linearizable history of reads and writes of unique values, half and half; one write in
    a hundred ends in info."""
    draw = np.random.Generator(np.random.PCG64(seed))
    state: dict[str, int | None] = {}
    processes, pending = list(range(clients)), [None] * clients
    index, next_process, left = 0, clients, count
    while left or any(pending):
        picks = draw.random((4096, 3)).tolist()
        for slot_draw, key_draw, chance in picks:
            slot = int(slot_draw * clients)
            todo: Any = pending[slot]
            if todo is None:
                if not left:
                    continue
                left -= 1
                write, key = chance < 0.5, f"k{int(key_draw * keys)}"
                todo = ["invoke", "write" if write else "read", key, left if write else None]
                pending[slot] = todo
            elif todo[0] == "invoke":
                if todo[1] == "write":
                    state[todo[2]] = todo[3]
                todo[0], todo[3] = "info" if chance < 0.005 else "ok", state.get(todo[2])
                continue
            kind, f, key, value = todo
            event = {"index": index, "time": index * 1000, "process": processes[slot], "f": f}
            shown = None if kind == "info" else value
            yield Op(type=kind, key=key, value=shown, error=_ERRORS.get(kind), **event)
            index += 1
            if kind == "invoke":
                continue
            pending[slot] = None
            if kind == "info":
                processes[slot], next_process = next_process, next_process + 1


def exchanges(seed: int, count: int, keys: int = 100, clients: int = 10) -> Iterator[Op]:
    """A linearizable history of registers of five values: reads, writes and compare-and-sets; one
    operation in a hundred ends in info, having taken effect or not."""
    draw = np.random.Generator(np.random.PCG64(seed))
    state: dict[str, int] = {}
    processes: list[int] = list(range(clients))
    waiting: list[Any] = [None] * clients
    index, left = 0, count
    while left or any(waiting):
        for slot_draw, key_draw, value_draw, chance in draw.random((4096, 4)).tolist():
            slot = int(slot_draw * clients)
            todo = waiting[slot]
            if todo is None and not left:
                continue
            if todo is None:
                left -= 1
                todo = waiting[slot] = _exchange(f"k{int(key_draw * keys)}", value_draw, chance)
            elif todo["type"] == "invoke":
                _take_effect(state, todo, chance)
                continue
            shown = None if todo["type"] == "info" else todo["value"]
            event = {**todo, "value": shown, "error": _ERRORS.get(todo["type"])}
            yield Op(index=index, time=index * 1000, process=processes[slot], **event)
            index += 1
            if todo["type"] == "invoke":
                continue
            waiting[slot] = None
            if todo["type"] == "info":
                processes[slot] = max(processes) + 1


def _exchange(key: str, value_draw: float, chance: float) -> dict[str, Any]:
    drawn = int(value_draw * 25)
    f = "read" if chance < 0.4 else "write" if chance < 0.7 else "cas"
    value: Any = {"read": None, "write": drawn % 5}.get(f, [drawn % 5, drawn // 5])
    return {"type": "invoke", "f": f, "key": key, "value": value}


def _take_effect(state: dict[str, int], todo: dict[str, Any], chance: float) -> None:
    """What becomes of an operation, and how it will end."""
    f, key, value = todo["f"], todo["key"], todo["value"]
    todo["type"] = "info" if chance < 0.01 else "ok"
    if chance < 0.005:
        return
    if f == "read":
        todo["value"] = state.get(key)
    elif f == "write":
        state[key] = value
    elif state.get(key) == value[0]:
        state[key] = value[1]
    elif todo["type"] == "ok":
        todo["type"] = "fail"
