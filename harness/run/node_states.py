"""What state each node is in while a test runs: by the faults that are active now.

A fault that has ended leaves no state behind, and a change of the membership that is done shows
only in which nodes there are: a node that joined is up, one that left or was removed has gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dynamesis.checkers.dynamo.outages import sides
from dynamesis.checkers.history.counts import counted

UP, DEAD = "up", "died"
#: families whose faults name the nodes that they hit, and what such a node is meanwhile
_STATES = {
    "kill": "down", "wipe": "wiped", "pause": "paused", "disk": "bad disk",
    "clock": "wrong clock", "load": "flooded", "upgrade": "upgraded",
}  # fmt: skip
_CHANGES = {"joins": "joining", "leaves": "leaving", "removes": "removed"}


class NodeStates:
    """Follows the nemesis, fault by fault."""

    def __init__(self, nodes: tuple[str, ...] = ()) -> None:
        self._nodes = dict.fromkeys(nodes)
        self._active: dict[object, dict[str, str]] = {}
        self._dead: set[str] = set()

    def start(self, fault: object, family: str, value: Mapping[str, Any]) -> None:
        """A fault is active from now on; `value` is as in the history."""
        struck = dict(_struck(family, value))
        self._active[fault] = struck
        self._nodes |= dict.fromkeys(struck)

    def stop(self, fault: object) -> None:
        """A fault has ended."""
        for node, state in self._active.pop(fault, {}).items():
            if state in ("leaving", "removed"):
                self._nodes.pop(node, None)

    def died(self, nodes: Iterable[str]) -> None:
        """These ended, and no fault did it."""
        self._dead.update(nodes)

    def healed(self) -> None:
        """All that was down has been started."""
        self._dead.clear()

    def row(self) -> list[tuple[str, str]]:
        """(node, state) of each, in the order of their numbers."""
        return [(node, self._state(node)) for node in sorted(self._nodes, key=_number)]

    def _state(self, node: str) -> str:
        if node in self._dead:
            return DEAD
        found = dict.fromkeys(s[node] for s in self._active.values() if node in s)
        return "+".join(found) or UP


def struck_nodes(value: Mapping[str, Any]) -> str:
    """Which nodes a fault is about, in a few words: `n2 | n1,n3`, `n4`, `n6 joins`."""
    if groups := sides(value.get("grudge")):
        return " | ".join(",".join(map(str, sorted(group))) for group in groups)
    if nodes := _names(value.get("nodes")):
        return ",".join(nodes)
    if links := _names(value.get("links")):
        return counted(len(links), "link")
    changes = ((_names(value.get(key)), state) for key, state in _CHANGES.items())
    return ", ".join(f"{','.join(nodes)} {state}" for nodes, state in changes if nodes)


def _struck(family: str, value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if family in _STATES:
        yield from ((node, _STATES[family]) for node in _names(value.get("nodes")))
    elif family == "membership":
        for key, state in _CHANGES.items():
            yield from ((node, state) for node in _names(value.get(key)))
    elif family == "cut":
        yield from ((node, "cut") for node in sorted(_cut_off(value.get("grudge"))))


def _cut_off(grudge: object) -> set[str]:
    """The nodes that do not reach the largest side, or, of a cut without sides, some other."""
    if isinstance(grudge, dict):
        return {str(node) for node, others in grudge.items() if others}
    groups = sorted(sides(grudge), key=len)
    return {node for group in groups[:-1] for node in group}


def _names(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else []


def _number(node: str) -> tuple[int, str]:
    digits = node.lstrip("abcdefghijklmnopqrstuvwxyz")
    return (int(digits) if digits.isascii() and digits.isdigit() else 0, node)
