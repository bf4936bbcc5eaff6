"""Who may import whom (docs/architecture.md), read from the source of every module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("checkers", "cluster", "harness", "workloads")

#: The first prefix that fits a module decides what else of ours it may import.
ALLOWED: dict[str, tuple[str, ...]] = {
    "checkers": (),
    "cluster.core": (),
    "cluster": ("cluster.core",),
    "harness.cli": OURS,
    "harness": ("checkers",),
    "workloads": ("harness", "checkers", "cluster.client", "cluster.core.errors"),
}

PURE = ("cluster.core", "checkers", "harness.generators")
AMBIENT = {
    "asyncio",
    "datetime",
    "logging",
    "os",
    "random",
    "socket",
    "subprocess",
    "threading",
    "time",
    "uuid",
}


def below(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: str, module: str, is_package: bool) -> Iterator[str]:
    """Every module that the source names in an import, wherever it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: len(module.split(".")) - node.level + is_package]
            parts = [*(base if node.level else ()), *([node.module] if node.module else ())]
            yield from (".".join([*parts, alias.name]) for alias in node.names)


def breaches(module: str, source: str, is_package: bool = False) -> list[str]:
    area = next(prefix for prefix in ALLOWED if below(module, prefix))
    allowed = (area, *ALLOWED[area])
    names = list(imported(source, module, is_package))
    strangers = [
        name
        for name in names
        if name.split(".")[0] in OURS and not any(below(name, each) for each in allowed)
    ]
    pure = any(below(module, package) for package in PURE)
    return strangers + [name for name in names if pure and name.split(".")[0] in AMBIENT]


SOURCES = sorted(path for package in OURS for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_only_what_it_may(path: Path) -> None:
    assert breaches(name_of(path), path.read_text("utf-8"), path.stem == "__init__") == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("checkers.stats", "import harness.store"),
        ("checkers.stats", "def f():\n    import time"),
        ("cluster.core.node", "from cluster.wire import encode"),
        ("cluster.core.node", "from ..wire import encode"),
        ("cluster.core.node", "from os.path import join"),
        ("cluster.server", "from checkers.history import Op"),
        ("harness.runner", "from cluster.supervisor import Cluster"),
        ("harness.generators.base", "import random"),
        ("workloads.cart", "from cluster.core import node"),
    ],
)
def test_a_breach_is_seen(module: str, line: str) -> None:
    assert breaches(module, line) != []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("cluster.server", "from .core.node import Node"),
        ("harness.runner", "import asyncio, checkers.history"),
        ("harness.cli.compose", "from cluster.supervisor import Cluster"),
        ("workloads.client", "from cluster.core.errors import is_definite"),
        ("workloads.client", "import cluster.client"),
    ],
)
def test_what_is_allowed_passes(module: str, line: str) -> None:
    assert breaches(module, line) == []


def test_no_two_test_modules_share_a_name() -> None:
    # pytest imports them by it, and refuses the second
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(set(names)) == sorted(names)
