"""Which room may import from which (tests/rooms.py), read from the source of every module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.definitions import statements
from tests.rooms import PURE, ROOMS, table

ROOT = Path(__file__).parent.parent
OURS = ("checkers", "cluster", "harness", "workloads")
PACKAGE = "dynamesis."
#: most modules in one folder
MOST = 20

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


def room_of(module: str) -> str:
    """The longest room that a module, or a name in one, lies in."""
    parts = module.split(".")
    prefixes = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next(prefix for prefix in prefixes if prefix in ROOMS)


def imported(source: str) -> Iterator[str]:
    """Every module that the source names in an import, at any level."""
    for node in statements(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def breaches(module: str, source: str) -> list[str]:
    room = room_of(module)
    allowed = {room, *ROOMS[room][1]}
    names = list(imported(source))
    ours = [name.removeprefix(PACKAGE) for name in names if name.startswith(PACKAGE)]
    strangers = [name for name in ours if room_of(name) not in allowed]
    outside = [name for name in names if name.split(".")[0] in OURS]
    pure = any(below(module, package) for package in PURE)
    ambient = [name for name in names if pure and name.split(".")[0] in AMBIENT]
    return strangers + outside + ambient


SOURCES = sorted(path for package in OURS for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", OURS)
def test_imports_only_what_it_may(package: str) -> None:
    modules = {name_of(path): path for path in SOURCES if path.is_relative_to(ROOT / package)}
    assert modules
    found = {name: breaches(name, path.read_text("utf-8")) for name, path in modules.items()}
    assert {name: names for name, names in found.items() if names} == {}


def test_a_room_imports_only_from_those_before_it() -> None:
    names = list(ROOMS)
    for place, (_, rooms) in enumerate(ROOMS.values()):
        assert set(rooms) <= set(names[:place])


def test_the_documentation_has_the_table() -> None:
    assert table() in (ROOT / "docs/architecture.md").read_text("utf-8")


def test_no_folder_is_a_heap() -> None:
    for folder in {path.parent for path in SOURCES}:
        modules = [path for path in folder.glob("*.py") if path.stem != "__init__"]
        assert len(modules) <= MOST, f"{folder}: {len(modules)} modules"


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("checkers.measure.stats", "import dynamesis.harness.results.results"),
        ("checkers.measure.stats", "def f():\n    import time"),
        ("checkers.history.op", "from dynamesis.checkers.formats.io import read_any"),
        ("cluster.core.node.node", "from dynamesis.cluster.net.wire import encode"),
        ("cluster.core.ring.ring", "from dynamesis.cluster.core.node.node import Node"),
        ("cluster.core.node.node", "from os.path import join"),
        ("cluster.process.server", "from dynamesis.checkers.history.op import Op"),
        ("harness.run.runner", "from dynamesis.cluster.process.supervisor import Cluster"),
        ("harness.run.runner", "from checkers.history import op"),
        ("harness.generators.base", "import random"),
        ("workloads.cart", "from dynamesis.cluster.core.node import node"),
    ],
)
def test_a_breach_is_seen(module: str, line: str) -> None:
    assert breaches(module, line) != []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("cluster.process.server", "from dynamesis.cluster.net.wire import encode"),
        ("harness.run.runner", "import asyncio, dynamesis.checkers.history.op"),
        (
            "harness.targets.dynamo.target",
            "from dynamesis.cluster.process.supervisor import Cluster",
        ),
        ("workloads.client.client", "import dynamesis.cluster.client.client"),
    ],
)
def test_what_is_allowed_passes(module: str, line: str) -> None:
    assert breaches(module, line) == []


def test_no_two_test_modules_share_a_name() -> None:
    # pytest imports them by it, and refuses the second
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(set(names)) == sorted(names)
