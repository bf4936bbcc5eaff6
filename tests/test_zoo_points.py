"""Planted bugs break the node at points that it declares, never through its private attributes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ZOO = sorted(Path(__file__).parent.parent.joinpath("cluster", "zoo").glob("*.py"))


def private_reads(source: str) -> list[str]:
    """The private attributes read in `source`, such as `self._row`, that no class in it makes."""
    tree = ast.parse(source)
    made = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    touched = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute)]
    private = [n for n in touched if n.attr.startswith("_") and not n.attr.startswith("__")]
    made |= {n.attr for n in private if isinstance(n.ctx, ast.Store)}
    return sorted({ast.unparse(n) for n in private if n.attr not in made})


@pytest.mark.parametrize("path", ZOO, ids=lambda path: path.stem)
def test_a_planted_bug_reads_nothing_private_of_the_node(path: Path) -> None:
    assert private_reads(path.read_text("utf-8")) == []


def test_a_private_read_is_found() -> None:
    source = """
class A(B):
    def f(self):
        self._mine = self._g()
        return self._mine, self._theirs

    def _g(self): ...
"""
    assert private_reads(source) == ["self._theirs"]
