"""Shards of a campaign, and what `dynamesis merge` makes of them, on real folders."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from dynamesis.harness.campaign.journal import CellRun, Journal
from dynamesis.harness.campaign.matrix import Cell
from dynamesis.harness.campaign.plan import Plan, read_plan
from dynamesis.harness.campaign.results import collect
from dynamesis.harness.campaign.run_campaign import dealt, read_campaign, save_results
from dynamesis.harness.campaign.shard import WHOLE, Shard
from dynamesis.harness.campaign.spec import Campaign
from dynamesis.harness.cli.app import run
from dynamesis.harness.results.results import Folder, create
from dynamesis.harness.usage.exits import UsageError

FILE = """
name: mine
time_limit: 2s
matrix:
  workload: [cart, register]
  nemesis: [none, kill, cut]
  config: [default, {name: bare, links: direct}]
  seed: [1, 2]
"""


@pytest.mark.parametrize("of", [1, 2, 3, 7, 24, 25, 1000])
def test_every_cell_is_in_one_shard_and_shards_are_even(of: int) -> None:
    cells = [Cell("cart", n, "default", seed) for seed in range(6) for n in "abcd"]
    shards = [Shard(number, of).deal(cells) for number in range(1, of + 1)]
    assert sorted(c.name for shard in shards for c in shard) == sorted(c.name for c in cells)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    assert all(list(shard) == [c for c in cells if c in shard] for shard in shards)
    assert shards[0] == Shard(1, of).deal(tuple(cells)), "the same on every machine"


def test_no_shard_has_all_of_one_kind() -> None:
    """Neighbours in the matrix would: every fourth cell has the same nemesis."""
    cells = [Cell("cart", n, "default", seed) for seed in range(25) for n in "abcd"]
    for number in range(1, 5):
        assert len({cell.nemesis for cell in Shard(number, 4).deal(cells)}) == 4


@pytest.mark.parametrize("text", ["4/3", "0/3", "1/0", "a", "x/y", "1", "1/3/4", "-1/3", "1/3x",
                                  "1/999999999999", "", "/", "\u0661/\u0663", "1.0/3"])  # fmt: skip
def test_a_shard_that_is_none(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(FILE)
    assert run(["campaign", "mine.yaml", f"--shard={text}"]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "--shard" in printed
    assert "such as 2/3" in printed
    assert not (tmp_path / "store").exists()


class Machine:
    """Where one shard was run: leaves what `dynamesis campaign --shard` does, without the tests."""

    def __init__(self, root: Path, shard: str, text: str = FILE, start: str = "2026-01-01") -> None:
        root.mkdir(parents=True, exist_ok=True)
        (root / "mine.yaml").write_text(text)
        self.shard, self.start = Shard.parse(shard), start
        self.whole = read_campaign(root / "mine.yaml")
        self.campaign: Campaign = dealt(self.whole, self.shard)
        self.folder = create(root / "store/campaigns", self.whole.name)
        self.path = self.folder.path
        place = str(self.path.resolve())
        plan = Plan.of(self.whole, self.shard, start, file="mine.yaml", folder=place)
        plan.save(self.folder)
        self.journal = Journal(self.path / "runs.jsonl")

    def test(self, cell: Cell, verdict: str, rerun: bool = False) -> None:
        number = len(self.journal.runs) + 1
        at = f"runs/{number:04}/x/2026"
        (self.path / at).mkdir(parents=True)
        (self.path / at / "report.html").write_text(f"{cell.name} {number}")
        (self.path / at / "schedule.yaml").write_text("faults: []\n")
        (self.path / f"runs/{number:04}/output.txt").write_text("output\n")
        (self.path / f"runs/{number:04}/x/latest").symlink_to("2026")
        more = (f"--schedule={self.path.resolve()}/runs/0001/x/2026/schedule.yaml",)
        arguments = ("test", *(more if rerun else ()))
        self.journal.add(
            CellRun(number, cell.name, arguments, rerun, verdict, 0, 2.0, number * 2.0,
                    f"runs/{number:04}/output.txt", at, shlex.join(("dynamesis", *arguments)))
        )  # fmt: skip

    def all(self, verdict: str = "valid") -> Machine:
        for cell in self.campaign.cells:
            self.test(cell, verdict)
        return self

    def end(self, interrupted: bool = False) -> Machine:
        """Write what a campaign writes at its end."""
        omitted: dict[str, str] = {}
        found = collect(self.campaign, self.journal.runs, self.start, 9.0, interrupted, omitted)
        shard = None if self.shard == WHOLE else str(self.shard)
        save_results(self.folder, found | {"shard": shard, "ended_by": None})
        return self


def merged(store: Path) -> tuple[Path, dict[str, Any]]:
    folder = (store / "campaigns/mine/latest").resolve()
    return folder, json.loads((folder / "campaign.json").read_text())


def test_three_shards_are_one_campaign(tmp_path: Path) -> None:
    machines = [Machine(tmp_path / f"m{i}", f"{i}/3").all().end() for i in (1, 2, 3)]
    moved = tmp_path / "elsewhere"  # the folders come from other machines: theirs are gone
    for i in (1, 2, 3):
        shutil.move(tmp_path / f"m{i}/store", moved / f"artifact-{i}")
    assert run(["merge", str(moved), "--store", str(tmp_path / "all"),
                "--junit", str(tmp_path / "j.xml")]) == 0  # fmt: skip
    folder, found = merged(tmp_path / "all")
    whole = machines[0].whole
    assert found["verdict"] == "valid"
    assert [c["cell"] for c in found["cells"]] == [c.name for c in (*whole.cells, *whole.skipped)]
    assert found["counts"]["valid"] == len(whole.cells)
    assert not found["interrupted"]
    for cell in found["cells"]:
        for one in cell["runs"]:
            report = (folder / one["folder"] / "report.html").read_text()
            assert report.split()[0] == cell["cell"], "each run has its own files"
    numbers = [one["number"] for cell in found["cells"] for one in cell["runs"]]
    assert sorted(numbers) == list(range(1, len(whole.cells) + 1))
    suite = ET.parse(tmp_path / "j.xml").getroot()
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    every = len(whole.cells) + len(whole.skipped)
    assert counts == {"tests": str(every), "failures": "0", "errors": "0",
                      "skipped": str(len(whole.skipped))}  # fmt: skip
    assert {"index.html", "summary.md", "nightly.json", "runs.jsonl"} <= {
        path.name for path in folder.iterdir()
    }
    site = json.loads((folder / "nightly.json").read_text())
    assert len(site["nights"]) == 1, "a shard does not count as a night"


def test_files_that_a_run_names_are_those_of_the_merged_campaign(tmp_path: Path) -> None:
    first, second = (Machine(tmp_path / f"m{i}", f"{i}/2") for i in (1, 2))
    first.all().end()
    cell = second.campaign.cells[0]
    second.test(cell, "invalid")
    second.test(cell, "valid", rerun=True)
    for other in second.campaign.cells[1:]:
        second.test(other, "valid")
    second.end()
    shutil.move(tmp_path / "m2", tmp_path / "moved")
    assert run(["merge", str(first.path), str(tmp_path / "moved"), "--store",
                str(tmp_path / "all")]) == 1  # fmt: skip
    folder, found = merged(tmp_path / "all")
    (bad,) = (each for each in found["cells"] if each["verdict"] == "invalid")
    failed, again = bad["runs"]
    schedule = folder / failed["folder"] / "schedule.yaml"
    assert again["arguments"] == ["test", f"--schedule={schedule}"]
    assert schedule.is_file()
    assert str(schedule) in again["command"]
    assert bad["rate"]["tried"] == 1


@pytest.mark.parametrize(("place", "store"), [("a", "b c"), ("a b", "it's"), ("it's", "c"),
                                          ("caf\u00e9 $HOME", "\u96ea `x`")])  # fmt: skip
def test_a_merged_command_names_its_file_whatever_is_in_the_path(
    place: str, store: str, tmp_path: Path
) -> None:
    first, second = (Machine(tmp_path / place / f"m{i}", f"{i}/2").all() for i in (1, 2))
    first.test(cell := first.campaign.cells[0], "valid", rerun=True)
    first.end()
    second.end()
    assert run(["merge", str(tmp_path / place), "--store", str(tmp_path / store)]) == 0
    folder, found = merged(tmp_path / store)
    runs = next(each["runs"] for each in found["cells"] if each["cell"] == cell.name)
    schedule = folder / runs[0]["folder"] / "schedule.yaml"
    assert schedule.is_file()
    assert shlex.split(runs[1]["command"]) == ["dynamesis", "test", f"--schedule={schedule}"]
    assert runs[1]["arguments"] == ["test", f"--schedule={schedule}"]


def test_a_missing_shard_is_named_and_never_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, third = (Machine(tmp_path / f"m{i}", f"{i}/3").all().end() for i in (1, 3))
    folders = [str(each.path) for each in (first, third)]
    assert run(["merge", *folders, "--store", str(tmp_path / "all"),
                "--junit", str(tmp_path / "j.xml")]) == 3  # fmt: skip
    folder, found = merged(tmp_path / "all")
    lost = {cell.name for cell in Shard(2, 3).deal(first.whole.cells)}
    assert found["verdict"] == "unknown"
    assert [row["state"] for row in found["shards"]] == ["complete", "missing", "complete"]
    assert {cell["cell"] for cell in found["cells"] if cell["verdict"] == "not run"} >= lost
    assert set(found["omitted"]) == lost
    expected = f"shard 2/3 is missing: {len(lost)} of {len(lost)} tests were not run"
    assert expected in capsys.readouterr().out.replace("\n", " ")
    assert expected in (folder / "summary.md").read_text()
    assert expected in (folder / "index.html").read_text()
    suite = ET.parse(tmp_path / "j.xml").getroot()
    assert suite.get("errors") == str(len(lost) + 1)
    errors = {case.get("name") for case in suite if case.find("error") is not None}
    assert errors == lost | {"shard 2/3"}


@pytest.mark.parametrize(("verdict", "code"), [("invalid", 1), ("error", 4), ("unknown", 3)])
def test_a_shard_that_died_masks_nothing(verdict: str, code: int, tmp_path: Path) -> None:
    """It has no campaign.json, and the last line of its journal is torn."""
    first = Machine(tmp_path / "m1", "1/2").all().end()
    second = Machine(tmp_path / "m2", "2/2")
    second.test(second.campaign.cells[0], verdict)
    second.test(second.campaign.cells[1], "valid")
    journal = second.path / "runs.jsonl"
    torn = journal.read_bytes()[:-20]
    journal.write_bytes(torn)
    assert (
        run(["merge", str(first.path), str(second.path), "--store", str(tmp_path / "all")]) == code
    )
    _, found = merged(tmp_path / "all")
    row = found["shards"][1]
    assert row["state"] == "died"
    assert row["not_run"] == [cell.name for cell in second.campaign.cells[1:]]
    assert found["verdict"] == verdict
    assert journal.read_bytes() == torn, "what is merged is not changed"


def test_an_interrupted_shard_is_named(tmp_path: Path) -> None:
    first = Machine(tmp_path / "m1", "1/2").all().end()
    second = Machine(tmp_path / "m2", "2/2")
    second.test(second.campaign.cells[0], "valid")
    second.end(interrupted=True)
    assert run(["merge", str(first.path), str(second.path), "--store", str(tmp_path / "all")]) == 3
    _, found = merged(tmp_path / "all")
    assert found["shards"][1]["state"] == "interrupted"


def test_shards_without_a_cell_lack_nothing(tmp_path: Path) -> None:
    text = "name: mine\nmatrix: {workload: cart, nemesis: none, seed: [1, 2]}\n"
    paths = []
    for number in (1, 2, 3, 4):
        machine = Machine(tmp_path / f"m{number}", f"{number}/5", text)
        paths.append(str(machine.all().end().path))
    assert run(["merge", *paths, "--store", str(tmp_path / "all")]) == 0
    _, found = merged(tmp_path / "all")
    assert found["shards"][4]["state"] == "complete", "it had nothing to run"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    store = ["--store", str(Path(str(arguments[0])) / "no-store")]
    assert run(["merge", *map(str, arguments), *store]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    return printed


def test_the_same_shard_twice_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = Machine(tmp_path / "m1", "1/2").all().end()
    shutil.copytree(one.path, tmp_path / "copy")
    printed = refused(capsys, one.path, tmp_path / "copy")
    assert f"{one.path} and {tmp_path / 'copy'} are both shard 1/2" in printed
    latest = one.path.parent / "latest"
    assert run(["merge", str(one.path), str(latest), "--store", str(tmp_path / "all")]) == 3


def test_a_store_may_have_runs_already(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The merged campaign is one more there; it is not taken for a shard the next time."""
    shards = [Machine(tmp_path / "both", f"{i}/2").all().end().path for i in (1, 2)]
    store = tmp_path / "both/store"
    assert run(["merge", str(store), "--store", str(store)]) == 0
    first, found = merged(store)
    assert found["counts"]["valid"] == sum(each["tests"] for each in found["shards"])
    capsys.readouterr()
    printed = refused(capsys, store)
    assert str(first) in printed
    assert "is a whole campaign" in printed
    assert run(["merge", *map(str, shards), "--store", str(store)]) == 0
    second, again = merged(store)
    assert second != first
    assert again["counts"] == found["counts"]
    assert len(list((store / "campaigns/mine").glob("2*"))) == 4


def test_a_campaign_that_is_merged_again_is_compared_with_the_one_before(tmp_path: Path) -> None:
    """What was merged of the same shards, all or some of them, is the same night."""
    store = tmp_path / "all"
    before = Machine(tmp_path / "b", "1/1", start="2025-12-31").all().end().path
    one = Machine(tmp_path / "m1", "1/2", start="2026-01-01").all().end().path
    two = Machine(tmp_path / "m2", "2/2", start="2026-01-02").all("invalid").end().path
    for paths, code in (([before], 0), ([two], 1), ([one], 3), ([one, two], 1), ([two, one], 1)):
        assert run(["merge", *map(str, paths), "--store", str(store)]) == code
    folder, found = merged(store)
    site = json.loads((folder / "nightly.json").read_text())
    assert site["compared"] == "2025-12-31"
    failed = [cell["cell"] for cell in found["cells"] if cell["verdict"] == "invalid"]
    assert [each["cell"] for each in site["new"]] == failed
    assert [each["start"] for each in site["nights"]] == ["2025-12-31", "2026-01-01"]


def test_a_budget_that_ended_a_shard_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = (Machine(tmp_path / f"m{i}", f"{i}/2").all().end() for i in (1, 2))
    file = two.path / "campaign.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"ended_by": "the budget of 9 s"}))
    assert run(["merge", str(one.path), str(two.path), "--store", str(tmp_path / "all")]) == 0
    assert "It ended early: shard 2/2: the budget of 9 s." in capsys.readouterr().out
    _, found = merged(tmp_path / "all")
    assert found["ended_by"] == "shard 2/2: the budget of 9 s"
    assert set(found) - {"shards"} == set(json.loads(file.read_text())), "as of one run"


def test_a_second_place_that_takes_nothing_is_named_after_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only = Machine(tmp_path / "m", "1/1").all("invalid").end()
    where = ["merge", str(only.path), "--store", str(tmp_path / "all"), "--junit", "/dev/full"]
    assert run(where) == 4
    printed = capsys.readouterr()
    assert "Campaign mine: invalid" in printed.out
    assert "--junit: /dev/full was not written: No space left on device" in printed.err


def test_a_shard_that_was_half_copied_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = (Machine(tmp_path / f"m{i}", f"{i}/2").all().end() for i in (1, 2))
    where = ["merge", str(one.path), str(two.path), "--store", str(tmp_path / "all")]
    shutil.rmtree(two.path / "runs/0001")  # in the journal, but its files did not come
    (two.path / "runs/0099/x").mkdir(parents=True)  # and files of a test that did not end
    file = two.path / "campaign.json"
    file.write_bytes(file.read_bytes()[:100])
    assert run(where) == 3
    folder, found = merged(tmp_path / "all")
    assert [shard["state"] for shard in found["shards"]] == ["complete", "died"]
    runs = [one for cell in found["cells"] for one in cell["runs"]]
    assert [one["folder"] for one in runs].count(None) == 1
    assert len(list((folder / "runs").iterdir())) == len(runs) - 1
    plan = two.path / "plan.json"
    plan.write_bytes(plan.read_bytes()[:100])
    capsys.readouterr()
    assert str(plan) in refused(capsys, one.path, two.path)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("2s", "3s"), "hash of its tests"),
        (("cart, register", "cart"), "number of tests"),
        (("name: mine", "name: other"), "name is other"),
    ],
)
def test_another_campaign_is_refused(
    change: tuple[str, str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = Machine(tmp_path / "m1", "1/2").all().end()
    two = Machine(tmp_path / "m2", "2/2", FILE.replace(*change)).all().end()
    printed = refused(capsys, one.path, two.path)
    assert (
        f"{two.path} (shard 2/2) is not of the same campaign as {one.path} (shard 1/2)" in printed
    )
    assert expected in printed


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [("version", "9.9", "dynamesis 9.9"), ("shard", "2/4", "shards is 4, not 2"),
     ("only", "cart", "--only is cart")],
)  # fmt: skip
def test_another_version_or_number_of_shards_is_refused(
    key: str, value: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = Machine(tmp_path / "m1", "1/2").all().end()
    two = Machine(tmp_path / "m2", "2/2").all().end()
    plan = json.loads((two.path / "plan.json").read_text())
    (two.path / "plan.json").write_text(json.dumps(plan | {key: value}))
    assert expected in refused(capsys, one.path, two.path)


def test_what_is_not_a_campaign_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no such folder" in refused(capsys, tmp_path / "none")
    (tmp_path / "empty").mkdir()
    assert "no plan.json" in refused(capsys, tmp_path / "empty")
    one = Machine(tmp_path / "m1", "1/2").all().end()
    for text in ("[", "{}", '{"format": 99}', '{"format": 1}'):
        (one.path / "plan.json").write_text(text)
        assert "plan.json" in refused(capsys, one.path)
    two = Machine(tmp_path / "m2", "2/2").all().end()
    (two.path / "runs.jsonl").write_text('{"number": 1}\n')
    assert "runs.jsonl, line 1" in refused(capsys, two.path)


def test_a_run_of_a_cell_of_another_shard_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = (Machine(tmp_path / f"m{i}", f"{i}/2") for i in (1, 2))
    one.test(two.campaign.cells[0], "valid")
    assert two.campaign.cells[0].name in refused(capsys, one.end().path)


def test_an_empty_folder_beside_shards_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = Machine(tmp_path / "m1", "1/2").all().end()
    (tmp_path / "lost").mkdir()
    assert (
        run(["merge", str(one.path), str(tmp_path / "lost"), "--store", str(tmp_path / "s")]) == 3
    )
    assert "nothing of a campaign" in capsys.readouterr().out


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    one = Machine(tmp_path / "m1", "2/3")
    plan = read_plan(one.folder)
    assert plan is not None
    assert plan.cells == one.whole.cells
    assert plan.skipped == one.whole.skipped
    assert plan.mine() == one.campaign.cells
    assert read_plan(Folder(tmp_path)) is None


def test_runs_of_a_budget_are_shared_out(tmp_path: Path) -> None:
    text = FILE + "budget: {runs: 5}\n"
    machines = [Machine(tmp_path / f"m{i}", f"{i}/3", text) for i in (1, 2, 3)]
    assert [each.campaign.budget.runs for each in machines] == [2, 2, 1]
    with pytest.raises(UsageError):
        Shard.parse("3/2")


@pytest.mark.parametrize(
    ("file", "change", "code"),
    [
        ("campaign.json", {"seconds": None}, 3),
        ("campaign.json", {"seconds": float("nan")}, 3),
        ("campaign.json", {"ended_by": 7}, 3),
        ("runs.jsonl", {"output": "output.txt"}, 2),
        ("runs.jsonl", {"folder": "x"}, 2),
        ("runs.jsonl", {"folder": "runs/0001/../../.."}, 2),
        ("runs.jsonl", {"at": float("nan")}, 2),
        ("plan.json", {"start": None}, 2),
        ("plan.json", {"folder": 7}, 2),
        ("plan.json", {"tests": None}, 2),
        ("plan.json", {"budget": {"runs": "x"}}, 2),
        ("plan.json", {"name": "../../elsewhere"}, 2),
    ],
)
def test_files_that_no_campaign_writes(
    file: str, change: dict[str, Any], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A campaign.json in which figures are wrong is as none: the shard died."""
    only = Machine(tmp_path / "m", "1/1").all().end()
    path = only.path / file
    first, *rest = path.read_text().splitlines() if file == "runs.jsonl" else [path.read_text()]
    path.write_text("\n".join([json.dumps(json.loads(first) | change), *rest, ""]))
    assert run(["merge", str(only.path), "--store", str(tmp_path / "all")]) == code
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == (code == 2)
    assert all(str(only.path) in line for line in errors)


def test_two_runs_of_one_number_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when the journals of two machines were written into one."""
    machine = Machine(tmp_path / "m", "1/2").all().end()
    journal = machine.path / "runs.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([*lines, lines[0]]))
    assert run(["merge", str(tmp_path / "m"), "--store", str(tmp_path / "all")]) == 2
    assert "2 runs in runs.jsonl have the number 1" in capsys.readouterr().err
    assert not (tmp_path / "all").exists()
