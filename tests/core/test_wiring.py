"""No line of a node's wiring can be deleted unnoticed.

The source of the assembly is mutated mechanically: each statement is deleted, and each
argument of each call that builds a part. A mutant must fail to build, or behave
differently in one run of a cluster that goes through all that the assembly connects.
"""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
from dynamesis.cluster.core.node import assembly
from dynamesis.cluster.core.node.assembly import Assembly
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.messages import Change, Entry, Get, Put, ReplicaPut
from dynamesis.cluster.core.storage.row_keys import object_row
from simulator import Simulator

#: what is built by its own name, beside the parts
BUILT = {"Services", "Placement"}
METHODS = [name for name, value in vars(Assembly).items() if inspect.isfunction(value)]


def function(name: str) -> ast.FunctionDef:
    """The syntax tree of one method."""
    source = textwrap.dedent(inspect.getsource(vars(Assembly)[name]))
    (found,) = ast.parse(source).body
    assert isinstance(found, ast.FunctionDef)
    return found


def is_wiring(statement: ast.AST) -> bool:
    """Whether deleting this statement cuts a connection: not a docstring, not a branch."""
    if isinstance(statement, ast.Expr):
        return not isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Assign | ast.AugAssign) or (
        isinstance(statement, ast.AnnAssign) and statement.value is not None
    )


def statements(tree: ast.FunctionDef) -> list[ast.stmt]:
    return [n for n in ast.walk(tree) if isinstance(n, ast.stmt) and is_wiring(n)]


def without_statement(tree: ast.FunctionDef, line: int) -> ast.FunctionDef:
    class Delete(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            if isinstance(node, ast.stmt) and is_wiring(node) and node.lineno == line:
                return ast.copy_location(ast.Pass(), node)
            return self.generic_visit(node)

    mutant: ast.FunctionDef = Delete().visit(copy.deepcopy(tree))
    return mutant


def compiled(tree: ast.FunctionDef) -> Callable[..., Any]:
    tree.decorator_list = []
    scope: dict[str, Any] = {}
    module = ast.fix_missing_locations(ast.Module([tree], []))
    exec(compile(module, "mutant", "exec"), vars(assembly), scope)
    return scope[tree.name]  # type: ignore[no-any-return]


class General(Node):
    """A node without short ways: all that it does goes through what the assembly connects."""


def delete(sim: Simulator, name: str, key: bytes) -> None:
    sim._sequence += 1
    context = sim.get(name, key).context
    sim.call(name, Put(1, f"r{sim._sequence}", key, b"", context, deleted=True))


def trace() -> list[str]:
    """Everything that a small cluster logs and answers while it goes through writes, hints,
    repair, deletes, a joining and a leaving node, and a second life."""
    sim = Simulator(
        3,
        node_class=General,
        partitions=8,
        n=2,
        reap_after=1.0,
        anti_entropy_interval=0.5,
        handoff_interval=0.3,
        weights={"n1": 2.0},
        zones={"n1": "a", "n2": "b", "n3": "a", "n4": "b"},
        zone_replicas={"a": 1, "b": 1},
    )
    for i in range(12):
        sim.put("n1", b"k%d" % i, b"v")
    sim.isolate("n3")
    seen = write_with_barriers(sim)
    sim.heal()
    sim.until(sim.quiet)
    delete(sim, "n2", b"k1")
    sim.add("n4")
    asked = [sim.ask("n4", Get(1, b"k1")), sim.ask("n4", ReplicaPut(1, b"k1", {}))]
    sim.admin("n1", "join", node="n4")
    sim.run(4)
    sim.admin("n2", "leave", node="n1")
    sim.run(6)
    asked += [sim.ask("n1", Get(1, b"k1"))]
    sim.stop("n3")
    sim.boot("n3")
    sim.run(2)
    sim.nodes["n2"].membership.on_passed_over(Change("c", "join", "n9"), "for the test")
    sim.run(1)
    seen += [str(sim.replies.get(channel)) for channel in asked]
    seen += [repr(sim.nodes["n2"].rules)]
    log = [f"{at:.6f} {name} {emit.event} {emit.fields}" for at, name, emit in sim.log]
    return [*log, *seen, *discard(sim)]


def write_with_barriers(sim: Simulator) -> list[str]:
    """Set a barrier for each key, have a hint for it stored, and look whether it is unbroken."""
    seen = []
    for node in (sim.nodes["n1"], sim.nodes["n2"]):
        for i in range(12):
            key = b"k%d" % i
            node.barriers.set(key, "n1 1")
            node.replica.put(key, {"n9:1:1": Entry(i + 1)}, "n3", "put", lambda code: None)
            seen.append(f"{key!r} {node.barriers.unbroken(key, 'n1 1')}")
    return seen


def discard(sim: Simulator) -> list[str]:
    """The status of two nodes, before and after one has thrown away what it holds."""
    sim.isolate("n4")
    node = sim.nodes["n2"]
    node.replica.put(b"k2", {"n9:1:1": Entry(1)}, "n4", "put", lambda code: None)
    view = node.view
    seen = [str(sim.admin("n2", "status"))]
    strange = next(p for p in view.partitions if not view.holds("n2", p))
    row = object_row(strange, b"strange")
    node.objects.merge(row, {"n9:1:1": Entry(1)}, "put", lambda code: None)
    node.decommission.discard()
    sim.run(0.1)
    return [*seen, *(str(sim.admin(name, "status")) for name in sim.nodes)]


@pytest.fixture(scope="module")
def expected() -> list[str]:
    return trace()


def deleted_statements() -> list[Any]:
    return [
        pytest.param(name, statement.lineno, id=f"{name}: {ast.unparse(statement)[:50]!r}")
        for name in METHODS
        for statement in statements(function(name))
    ]


@pytest.mark.parametrize(("name", "line"), deleted_statements())
def test_a_deleted_statement_shows(
    monkeypatch: pytest.MonkeyPatch, expected: list[str], name: str, line: int
) -> None:
    mutant = compiled(without_statement(function(name), line))
    assert run(monkeypatch, name, mutant) != expected


def calls(tree: ast.FunctionDef) -> list[ast.Call]:
    """The calls that build parts, in order."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (ast.unparse(node.func).startswith("self.parts.") or ast.unparse(node.func) in BUILT)
    ]


def without_argument(tree: ast.FunctionDef, call: int, argument: int) -> ast.FunctionDef:
    mutant = copy.deepcopy(tree)
    found = calls(mutant)[call]
    position = argument - len(found.args)
    if position < 0:
        del found.args[argument]
    else:
        del found.keywords[position]
    return mutant


def deleted_arguments() -> list[Any]:
    return [
        pytest.param(name, i, j, id=f"{ast.unparse(call.func)}: {ast.unparse(argument)[:50]!r}")
        for name in METHODS
        for i, call in enumerate(calls(function(name)))
        for j, argument in enumerate([*call.args, *call.keywords])
    ]


@pytest.mark.parametrize(("name", "call", "argument"), deleted_arguments())
def test_a_deleted_argument_shows(
    monkeypatch: pytest.MonkeyPatch, expected: list[str], name: str, call: int, argument: int
) -> None:
    mutant = compiled(without_argument(function(name), call, argument))
    assert run(monkeypatch, name, mutant) != expected


def run(monkeypatch: pytest.MonkeyPatch, name: str, mutant: Callable[..., Any]) -> list[str] | None:
    """The trace with one method of the assembly replaced; None if the cluster then fails."""
    monkeypatch.setattr(Assembly, name, mutant)
    try:
        return trace()
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        NameError,
        TypeError,
        StopIteration,
    ):
        return None
