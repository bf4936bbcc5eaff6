"""A bug of one's own, as docs/zoo.md shows it: both forms load, and both do what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.node.parts import Parts
from dynamesis.cluster.core.runtime.runtime import Runtime
from dynamesis.cluster.zoo import resolve
from simulator import Simulator

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "own_bug.py"
PAGE = (
    (ROOT / "docs" / "zoo.md").read_text().partition("## Plant your own")[2].partition("\n## ")[0]
)
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
KEY = b"cart"


def siblings(node_class: type[Node]) -> int:
    """How many siblings two puts without a context leave."""
    sim = Simulator(node_class=node_class)
    for value in (b"a", b"b"):
        sim.put("n1", KEY, value, w=3)
    return len(sim.get("n1", KEY, r=3).siblings)


def test_the_sound_node_keeps_both() -> None:
    assert siblings(Node) == 2


@pytest.mark.parametrize("name", ["Overwrite", "overwrite"])
def test_the_example_shows(name: str) -> None:
    assert siblings(resolve(f"{EXAMPLE}:{name}")) == 1


@pytest.mark.parametrize(("form", "name"), list(enumerate(["Overwrite", "overwrite"])))
def test_the_code_of_the_page_shows(tmp_path: Path, form: int, name: str) -> None:
    assert len(BLOCKS) == 2
    file = tmp_path / "mine.py"
    file.write_text(BLOCKS[form])
    assert siblings(resolve(f"{file}:{name}")) == 1


def test_the_page_names_parts_that_exist() -> None:
    named = set(re.findall(r"^\| `(\w+)`", PAGE, re.MULTILINE))
    assert named - {"part"} == set(vars(Parts())), "the table of parts in docs/zoo.md"


@pytest.mark.parametrize("line", re.findall(r"^\| `(\w+)` \|.*\| (.*)\|$", PAGE, re.MULTILINE))
def test_the_page_names_methods_that_exist(line: tuple[str, str]) -> None:
    part, methods = line
    for method in re.findall(r"`(\w+)`", methods):
        assert hasattr(getattr(Parts(), part), method), f"{part}.{method}"


def test_what_is_durable_is_reported_through_the_runtime() -> None:
    """Where `log-tail` is planted: a short cut around that method made the bug act nowhere."""
    reported: list[int] = []

    class Counting(Runtime):
        def persisted(self, token: int, reason: str | None = None) -> None:
            reported.append(token)
            super().persisted(token, reason)

    class Counted(Node):
        parts = Parts(runtime=Counting)

    sim = Simulator(3, node_class=Counted)
    reported.clear()
    sim.put("n1", b"k", b"v")
    assert reported
