"""The classes and functions of a source file: each file is parsed once for all tests that ask."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

#: where a statement has others
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


@dataclass(frozen=True)
class Definition:
    """Without its tree: those of a thousand files would be looked at by each garbage collection."""

    name: str
    line: int
    last: int
    is_class: bool


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """All statements at any depth: an expression has none, and most of a tree is expressions."""
    for block in _BLOCKS:
        for each in getattr(tree, block, ()):
            yield each
            yield from statements(each)


def definitions_of(text: str) -> list[Definition]:
    """All that a source text defines, nested ones too."""
    return [
        Definition(node.name, node.lineno, node.end_lineno or 0, isinstance(node, ast.ClassDef))
        for node in statements(ast.parse(text))
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]


@cache
def definitions(path: Path) -> list[Definition]:
    """The same of a file, which does not change while tests run."""
    return definitions_of(path.read_text("utf-8"))
