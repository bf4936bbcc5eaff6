"""The installed package is one, `dynamesis`, and hides no other package."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLOTS = ("data.js", "figures.js", "page.js", "page.css")
FOLDERS = ("checkers", "cluster", "docs", "examples", "harness", "workloads")


def test_every_folder_is_listed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    found = {
        ".".join(("dynamesis", *path.parent.relative_to(ROOT).parts))
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert listed["packages"] == ["dynamesis", *sorted(found)]


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_what_mypy_reads_is_what_is_installed() -> None:
    links = {path.name: path.resolve() for path in (ROOT / ".typing/dynamesis").iterdir()}
    assert links == {
        **{
            file: ROOT / "dynamesis" / file for file in ("__init__.py", "__main__.py", "targets.py")
        },
        **{folder: ROOT / folder for folder in FOLDERS},
    }


@pytest.mark.parametrize("module", ["dynamesis", "dynamesis.harness"])
def test_the_command_is_a_module_too(module: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", module, "--version"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert shown.stdout.startswith("dynamesis "), shown.stderr


def test_the_tests_own_extra_has_the_tools_that_they_start() -> None:
    """tox installs that extra alone for them (`py311-unit`)."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
        "optional-dependencies"
    ]

    def names(extra: str) -> set[str]:
        inner = {match[1] for each in extras[extra] if (match := re.match(r".*\[(.+)\]", each))}
        own = {re.split(r"[<>=\[]", each)[0].lower() for each in extras[extra]}
        return own.union(*map(names, inner))

    start = re.compile(r'(?:"-m", |\brun\(\w+, )"(mypy|ruff|tox|pytest|distributed)"')
    started = {
        tool
        for path in (ROOT / "tests").rglob("*.py")
        for tool in start.findall(path.read_text("utf-8"))
    }
    assert {"mypy", "ruff", "tox"} <= started <= names("test")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(into), str(ROOT)]
    subprocess.run(build, check=True, timeout=300)
    return next(into.glob("*.whl"))


@pytest.mark.nightly
def test_the_wheel_has_one_top_level_package_and_is_typed(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"dynamesis"}
    assert "dynamesis/py.typed" in names
    assert "dynamesis/harness/report/page.html.j2" in names
    assert {f"dynamesis/harness/report/plots/{n}" for n in PLOTS} <= set(names)
    folders = (ROOT / "examples", ROOT / "examples/kv_http")
    examples = {path.name for folder in folders for path in folder.iterdir() if path.is_file()}
    assert examples <= {name.rpartition("/")[2] for name in names if "/examples/" in name}
    manual = {f"dynamesis/{path.relative_to(ROOT)}" for path in (ROOT / "docs").rglob("*.md")}
    assert manual <= set(names)


@pytest.mark.nightly
def test_it_lives_beside_pypis_cluster_and_folders_of_its_names(
    wheel: Path, tmp_path: Path
) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    install = [python, "-m", "pip", "install", "-q", "cluster", "pytest", str(wheel)]
    subprocess.run(install, check=True, timeout=600)
    project = tmp_path / "project"
    for folder in ("harness", "cluster", "checkers", "workloads"):
        (project / folder).mkdir(parents=True)
        (project / folder / "__init__.py").write_text(f"NAME = {folder!r}\n", encoding="utf-8")
    (project / "test_names.py").write_text(
        "import harness, cluster\n\ndef test_names():\n"
        "    assert (harness.NAME, cluster.NAME) == ('harness', 'cluster')\n",
        encoding="utf-8",
    )
    run = [python, "-m", "pytest", "-q", "test_names.py"]
    subprocess.run(run, check=True, timeout=120, cwd=project)
    both = "import cluster, dynamesis.cluster; print(cluster.HierarchicalClustering)"
    subprocess.run([python, "-c", both], check=True, timeout=60, cwd=tmp_path)
    campaign = [tmp_path / "venv/bin/dynamesis", "campaign", "smoke", "--only", "no-such-cell"]
    refused = subprocess.run(
        campaign, cwd=project, capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode == 2, refused.stderr
    assert "large-values" in refused.stderr
