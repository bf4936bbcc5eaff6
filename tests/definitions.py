"""The classes and functions of a source file: each file is parsed once for all tests that ask."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def definitions_of(text: str) -> list[Definition]:
    """All that a source text defines, nested ones too."""
    found = ast.walk(ast.parse(text))
    return [node for node in found if isinstance(node, (ast.ClassDef, *FUNCTIONS))]


@cache
def definitions(path: Path) -> list[Definition]:
    """The same of a file, which does not change while tests run."""
    return definitions_of(path.read_text("utf-8"))
