"""A campaign's file: its cells, and the messages about a wrong one."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest
from dynamesis.harness.campaign.run_campaign import read_campaign
from dynamesis.harness.cli.app import run
from dynamesis.harness.nemesis.catalogue import FAMILIES
from dynamesis.workloads import WORKLOADS

HEAD = "name: mine\ntime_limit: 2s\n"
MATRIX = "matrix: {workload: [cart, register], nemesis: [kill, none], seed: [1, 2]}\n"


def campaign(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return [cell.name for cell in read_campaign(path).cells]


def test_every_combination_seed_by_seed(tmp_path: Path) -> None:
    assert campaign(tmp_path, HEAD + MATRIX) == [
        f"{workload}/{nemesis}/default/{seed}"
        for seed in (1, 2)
        for workload in ("cart", "register")
        for nemesis in ("kill", "none")
    ]


def test_excluded_and_included(tmp_path: Path) -> None:
    more = (
        "exclude: [{workload: cart}, {nemesis: kill, seed: [2]}]\n"
        'include: [{workload: bulk, nemesis: "cut, kill", seed: 9}, {workload: cart, seed: 1}]\n'
    )
    assert campaign(tmp_path, HEAD + MATRIX + more) == [
        "register/kill/default/1",
        "register/none/default/1",
        "register/none/default/2",
        "bulk/cut,kill/default/9",
        "cart/kill/default/1",
        "cart/none/default/1",
    ]


def test_what_cannot_be_is_skipped_and_the_rest_stays(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        HEAD + "matrix: {workload: cart, nemesis: [cut, kill], seed: [1, 2],\n"
        "  config: [default, {name: bare, links: direct}]}\n"
    )
    found = read_campaign(path)
    assert {cell.name for cell in found.cells} == {
        f"cart/{what}/{seed}"
        for seed in (1, 2)
        for what in ("cut/default", "kill/default", "kill/bare")
    }
    assert {cell.name for cell in found.skipped} == {"cart/cut/bare/1", "cart/cut/bare/2"}
    assert all("needs links" in reason for reason in found.skipped.values())


def test_what_a_cell_is_run_with(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        HEAD + "matrix:\n  workload: cart\n  nemesis: cut\n  config:\n"
        "  - default\n  - {name: odd, strict: true, r: 3, rate: 20.5, bug: repair-overwrites}\n"
        "  - {name: sloppy, strict: false}\n"
    )
    found = read_campaign(path)
    assert [found.spec(cell).arguments() for cell in found.cells] == [
        ["--workload=cart", "--nemesis=cut", "--seed=1", "--time-limit=2s"],
        ["--workload=cart", "--nemesis=cut", "--seed=1", "--bug=repair-overwrites", "--r=3",
         "--strict", "--time-limit=2s", "--rate=20.5"],
        ["--workload=cart", "--nemesis=cut", "--seed=1", "--time-limit=2s"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("empty", "matrix")),
        ("a: [", ("not YAML",)),
        ("[]", ("line 1", "mapping", "time_limit")),
        (MATRIX, ("line 1", "'name'")),
        ("name: a/b\n" + MATRIX, ("line 1", "name", "a/b")),
        (HEAD, ("'matrix'",)),
        (HEAD + "matrixx: {}\n", ("line 3", "matrixx", "matrix")),
        ("name: x\ntime_limit: 6\n" + MATRIX, ("line 2", "time_limit", "10s")),
        (HEAD + "matrix: {nemesis: cut}\n", ("line 3", "'workload'")),
        (HEAD + "matrix: {workload: [], nemesis: cut}\n", ("line 3", "workload", "empty")),
        (HEAD + "matrix: {workload: crat, nemesis: cut}\n", ("line 3", "workload", "cart")),
        (HEAD + "matrix:\n  workload: cart\n  nemesis: [kut]\n", ("line 5", "nemesis", "cut")),
        (HEAD + MATRIX.replace("2]", "two]"), ("line 3", "seed", "'two'", "0 to")),
        (HEAD + MATRIX.replace("seed: [1, 2]", "config: strict"), ("config", "default")),
        (HEAD + MATRIX.replace("seed: [1, 2]", "config: {r: 1}"), ("config", "'name'")),
        (HEAD + MATRIX.replace("seed: [1, 2]", "config: {name: x, q: 1}"), ("q", "rate")),
        (HEAD + MATRIX.replace("seed: [1, 2]", "config: {name: x, r: 9}"), ("--r", "3 copies")),
        (HEAD + MATRIX.replace("seed: [1, 2]", "config: {name: x, strict: 1}"), ("true, false",)),
        (HEAD + MATRIX.replace("seed: [1, 2]", "config: {name: x, links: tcp}"), ("embedded",)),
        (HEAD + MATRIX.replace("kill, none", "cut").replace("seed: [1, 2]",
            "config: {name: x, links: direct}"), ("cart/cut/x/1", "needs links", "no test can")),
        (HEAD + MATRIX + "exclude: [{workload: [cart, register]}]\n", ("matrix", "0 tests")),
        (HEAD + MATRIX + "exclude: {workload: cart}\n", ("line 4", "exclude", "list")),
        (HEAD + MATRIX + "include: [{nodes: 3}]\n", ("line 4", "nodes", "workload")),
        (HEAD + MATRIX + "budget: {time: soon}\n", ("line 4", "time", "soon")),
        (HEAD + MATRIX + "budget: {runs: 0}\n", ("line 4", "runs", "1 to")),
        (HEAD + MATRIX + "budget: {minutes: 1}\n", ("line 4", "minutes", "reruns")),
        (HEAD + MATRIX + MATRIX, ("line 4", "matrix", "twice")),
        (HEAD + MATRIX + "budget: !!python/name:os.system\n", ("line 4", "budget")),
    ],
)  # fmt: skip
def test_what_is_wrong_and_where(
    text: str, expected: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert run(["campaign", str(path), "--store", str(tmp_path / "store")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    for word in (str(path), *expected):
        assert word in printed.err
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("/no/such.yaml",), ("/no/such.yaml",)),
        (("FILE", "--jobs", "0"), ("--jobs", "1 to")),
        (("FILE", "--only", "carr"), ("--only", "carr", "did you mean cart")),
        (("FILE", "--junit", "/no/such/x.xml"), ("--junit", "/no/such")),
        (("FILE", "--resume"), ("--resume", "mine")),
    ],
)
def test_wrong_usage(
    arguments: tuple[str, ...],
    expected: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(HEAD + MATRIX)
    given = [str(path) if each == "FILE" else each for each in arguments]
    assert run(["campaign", *given, "--store", str(tmp_path / "store")]) == 2
    printed = capsys.readouterr().err
    for word in expected:
        assert word in printed


ROOT = Path(__file__).parents[3]


def test_smoke_and_tox_know_every_workload_and_family() -> None:
    """What is added to a table belongs into examples/smoke.yaml and tox.ini too; but upgrades need
    a second version of the store, which no file can name."""
    families = set(FAMILIES) - {"upgrade"}
    cells = read_campaign(ROOT / "examples/smoke.yaml").cells
    assert {cell.workload for cell in cells} == set(WORKLOADS)
    assert {cell.nemesis for cell in cells} == families
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini")
    factors = [line.split() for line in tox["testenv"]["set_env"].splitlines()]
    for name, table in (("WORKLOAD", WORKLOADS), ("NEMESIS", families)):
        assert {line[-1] for line in factors if name in line} == set(table)
        assert all(line[0] == line[-1].replace("-", "") + ":" for line in factors if name in line)
    # an environment whose factors no line of commands names runs nothing, and passes
    runs, _, _ = tox["testenv"]["commands"].partition(": dynamesis campaign smoke")
    named = {line[0].removesuffix(":") for line in factors if {"WORKLOAD", "NEMESIS"} & set(line)}
    assert set(runs.split()[-1].split(",")) == named


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*.yaml")))
def test_the_examples_make_sense(path: Path) -> None:
    assert read_campaign(path).name == path.stem
