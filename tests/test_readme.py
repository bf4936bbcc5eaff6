"""The README is what a reader runs first: its commands, its Python, its picture."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ET
from pathlib import Path

from dynamesis.cluster.zoo import BUGS
from dynamesis.workloads import WORKLOADS

import dynamesis

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_two_commands_are_one_line_each_and_come_first() -> None:
    lines = [line for line in blocks("sh")[0].splitlines() if line and not line.startswith("#")]
    run, test = lines
    assert run.startswith("python3 -m venv .venv && .venv/bin/pip install -q -e . && .venv/bin/dyn")
    assert test.endswith("&& .venv/bin/pytest -n 6")
    # .ci/run takes the first line with it as the command of the tests
    assert next(line for line in README.splitlines() if ".venv/bin/pytest" in line) == test


def test_its_python_compiles_and_imports_public_names() -> None:
    public = getattr(dynamesis, "__all__", None)
    for block in blocks("python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "dynamesis" and public:
                assert {alias.name for alias in node.names} <= set(public)


def test_what_its_commands_name_exists() -> None:
    named = re.findall(r"--(workload|bug)[ =]([\w-]+)", README)
    assert named
    for flag, name in named:
        assert name in {"workload": WORKLOADS, "bug": BUGS}[flag]


def test_its_pictures_are_svg_that_loads_nothing_from_elsewhere() -> None:
    names = re.findall(r"!\[.*?\]\((.*?)\)", README)
    assert len(names) == 2
    for name in names:
        picture = (ROOT / name).read_text("utf-8")
        assert ET.fromstring(picture).tag.endswith("svg")
        assert len(picture) < 60_000
        assert "url(http" not in picture
        assert "@import" not in picture
