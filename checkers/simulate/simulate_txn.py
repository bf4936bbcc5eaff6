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
