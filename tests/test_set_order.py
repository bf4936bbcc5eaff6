"""Nothing that a simulated test is made of takes the elements of a set in the set's own order.

That order differs from process to process (PYTHONHASHSEED, addresses of objects), and what is done
in it (messages, draws, events) would make a seed's history another one each time.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import dynamesis.cluster
import pytest

ROOT = Path(dynamesis.cluster.__file__).parent.parent
#: where an order can reach a message, a draw or an event
ROOMS = (
    *("cluster/core", "cluster/client", "cluster/zoo", "harness/generators", "harness/nemesis"),
    *("harness/run", "harness/simulation", "harness/worlds", "workloads"),
)
_MAKE = {"set", "frozenset"}
_DERIVE = {"intersection", "union", "difference", "symmetric_difference"}
#: functions in which the order is lost again
_FREE = {"sorted", "set", "frozenset", "any", "all", "len", "sum", "min", "max", "isinstance"}
#: functions that take elements in order
_ORDERED = {"list", "tuple", "map", "filter", "enumerate", "iter", "fromkeys", "join", "deque"}
#: (file, line as written): lists that have the name of a set in another function
ALLOWED = {
    (
        "harness/nemesis/nemesis.py",
        "started = await asyncio.gather(*map(processes.start, down), return_exceptions=True)",
    ),
    (
        "harness/nemesis/network.py",
        "counted = {(a, b): links[a][b].bytes_in for a, b in pairs if b in links.get(a, {})}",
    ),
    (
        "harness/nemesis/network.py",
        "askable = [a for a in dict.fromkeys(a for a, _ in pairs) "
        'if observed.state(a) == "running"]',
    ),
}


def _is_annotation(node: ast.expr | None) -> bool:
    """Of a set whose order differs: numbers are in the same order in every process."""
    text = "" if node is None else ast.unparse(node)
    kinds = ("set[", "frozenset[", "Set[")
    return text.startswith(kinds) and not text.startswith(tuple(f"{kind}int]" for kind in kinds))


class _Sets:
    """Which expressions of a file are sets, as far as the file shows."""

    def __init__(self, tree: ast.Module) -> None:
        self._names: set[str] = set()
        for node in ast.walk(tree):
            match node:
                case ast.AnnAssign() if _is_annotation(node.annotation):
                    self._names.add(ast.unparse(node.target).removeprefix("self."))
                case ast.arg() if _is_annotation(node.annotation):
                    self._names.add(node.arg)
                case ast.FunctionDef() if _is_annotation(node.returns):
                    self._names.add(f"{node.name}()")
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and self.has(node.value):
                self._names.update(t.id for t in node.targets if isinstance(t, ast.Name))

    def has(self, node: ast.expr) -> bool:
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Call(func=ast.Name(id=name)):
                return name in _MAKE or f"{name}()" in self._names
            case ast.Call(func=ast.Attribute(attr=name)):
                return name in _DERIVE or f"{name}()" in self._names
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr() | ast.Sub() | ast.BitXor()):
                return self.has(node.left) or self.has(node.right)
            case ast.IfExp():
                return self.has(node.body) or self.has(node.orelse)
            case ast.Name(id=name) | ast.Attribute(attr=name):
                return name in self._names
        return False


def _name(call: ast.Call) -> str:
    return getattr(call.func, "id", "") or getattr(call.func, "attr", "")


def _iterated(tree: ast.Module) -> Iterator[ast.expr]:
    """Every expression whose elements are taken in order."""
    free = {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _name(node) in _FREE
        for argument in node.args
    }
    for node in ast.walk(tree):
        match node:
            case ast.For() | ast.AsyncFor():
                yield node.iter
            case ast.ListComp() | ast.GeneratorExp() | ast.DictComp() if id(node) not in free:
                yield from (each.iter for each in node.generators)
            case ast.List() | ast.Tuple():
                yield from (each.value for each in node.elts if isinstance(each, ast.Starred))
            case ast.Call() if id(node) not in free and _name(node) not in _FREE:
                yield from (each.value for each in node.args if isinstance(each, ast.Starred))
                if _name(node) in _ORDERED:
                    yield from node.args


def _taken_in_order(text: str) -> list[str]:
    tree = ast.parse(text)
    sets, lines = _Sets(tree), text.splitlines()
    return [lines[node.lineno - 1].strip() for node in _iterated(tree) if sets.has(node)]


def test_no_set_is_taken_in_its_own_order() -> None:
    found = []
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            name = file.relative_to(ROOT).as_posix()
            lines = _taken_in_order(file.read_text(encoding="utf-8"))
            found += [(name, line) for line in lines if (name, line) not in ALLOWED]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "for node in self._bad.intersection(nodes): mend(node)",
        "await gather(*map(act, known - {me}))",
        "asked = [ask(node) for node in set(nodes)]",
        "asked = {node: ask(node) for node in {*up, *down}}",
        "asked = (*first, *bad)",
        "text = ', '.join(bad)",
    ],
)
def test_it_finds_a_set_taken_in_its_own_order(line: str) -> None:
    text = f"async def act(bad: set[str]) -> None:\n    {line}"
    assert _taken_in_order(text) == [line]


@pytest.mark.parametrize(
    "line",
    [
        "for node in sorted(self._bad.intersection(nodes)): mend(node)",
        "await gather(*map(act, sorted(known - {me})))",
        "down = any(node in up for node in set(nodes))",
        "text = ', '.join(sorted(bad))",
    ],
)
def test_it_passes_one_whose_order_is_lost_again(line: str) -> None:
    assert _taken_in_order(f"async def act(bad: set[str]) -> None:\n    {line}") == []


def test_nothing_waits_by_a_function_that_takes_other_steps_on_other_versions() -> None:
    """asyncio.wait_for ends one step of the loop later on Python 3.11: of two things at one virtual
    time, another would come first."""
    virtual = [file for room in ROOMS for file in (ROOT / room).rglob("*.py")]
    found = [file.name for file in virtual if "asyncio.wait_for(" in file.read_text("utf-8")]
    assert found == ["symptoms.py"]  # of real sockets
