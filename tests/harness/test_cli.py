"""Usage errors of the command line: one line, with what would be right."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from dynamesis.harness.cli.app import COMMANDS, run
from dynamesis.harness.cli.catalogue import collect
from dynamesis.harness.targets.dynamo.target import DynamoTarget
from dynamesis.harness.usage.catalogue import catalogue, names
from dynamesis.harness.usage.values import duration
from dynamesis.harness.worlds.options import CHOICES, plan_test
from dynamesis.harness.worlds.test_spec import TestSpec

HEAVY = {"jinja2", "lmdb", "networkx", "numpy", "requests", "scipy", "uvloop", "yaml", "rich.live"}
LINE = '{"index":0,"time":1,"type":"invoke","process":0,"f":"get","key":"k"}\n'


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of complaint that these arguments bring."""
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("dynamesis")
    assert printed.err.count("\n") == 1
    return printed.err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("tset",), ("tset", "test")),
        (("test", "--wrokload", "cart"), ("--wrokload", "--workload")),
        (("test", "surplus"), ("surplus",)),
        (("test", "--keys"), ("--keys",)),
        (("test", "--workload", "crat"), ("--workload", "crat", "did you mean cart", "register")),
        (("test", "--option", "blind"), ("--option", "'blind'", "NAME=VALUE")),
        (("test", "--option", "blind=2"), ("--option", "blind", "'2'", "0 to 1")),
        (("test", "--option", "blnd=1"), ("--option", "cart", "blnd", "distribution", "blind")),
        (
            ("test", "--option", "blind=0", "--option", "blind=1"),
            ("--option", "blind", "twice; give it once"),
        ),
        (("test", "--clocks", "sundial"), ("--clocks", "in-process", "faketime")),
        (("test", "--nemesis", "kut"), ("--nemesis", "kut", "did you mean cut", "pause")),
        (("test", "--nemesis", "cut,none"), ("--nemesis", "write none alone, or drop it")),
        (
            ("test", "--target-version", "x", "--target", "redis"),
            ("--target-version", "leave it out"),
        ),
        (("test", "--target", "redis", "--strict"), ("--strict", "leave it out")),
        (("experiment", "staleness", "--effort", "0"), ("--effort", "allowed: above 0, to 100")),
        (("simulate", "--replay", "x", "--exhaust"), ("--replay", "leave --exhaust out")),
        (("simulate", "--replay", "x", "--jobs", "2"), ("--jobs", "leave it out")),
        (("zoo", "--simulate", "--storm"), ("--simulate", "leave them out")),
        (("test", "--nemesis", "cut", "--links", "direct"), ("--nemesis", "links")),
        (("test", "--links", "string"), ("--links", "toxiproxy")),
        (("test", "--storage", "tape"), ("--storage", "lmdb", "memory")),
        (("test", "--bug", "no-such-bug"), ("--bug", "repair-overwrites")),
        (("test", "--bug", "repair-overwrite"), ("--bug", "did you mean repair-overwrites?")),
        (("test", "--bug", "/no/such.py:f"), ("--bug", "/no/such.py", "no such file")),
        (("test", "--bug", "/no/such:f"), ("--bug", "FILE.py:NAME")),
        (("test", "--schedule", "/no/such.yaml"), ("--schedule", "/no/such.yaml")),
        (("test", "--schedule", "x.yaml", "--nemesis", "cut"), ("--schedule", "--nemesis")),
        (("test", "--nodes", "five"), ("--nodes", "integer")),
        (("test", "--nodes", "0"), ("--nodes", "1 to 100")),
        (("test", "--nodes", "21"), ("--nodes", "1 to 20 on processes", "--world simulated")),
        (("test", "--nodes", "2"), ("--n", "3 copies", "--nodes is 2", "lower --n")),
        (("test", "--r", "4"), ("--r", "3 copies", "allowed: 1 to 3")),
        (("test", "--w", "0"), ("--w", "1 to")),
        (("test", "--time-limit", "10"), ("--time-limit", "10s")),
        (("test", "--time-limit", "0s"), ("--time-limit",)),
        (("test", "--time-limit", "99ms"), ("--time-limit", "0.1 s to 720 h")),
        (("test", "--time-limit", "10000h"), ("--time-limit", "0.1 s to 720 h")),
        (("test", "--port-base", "0"), ("--port-base", "1024 to")),
        (("test", "--port-base", "-1"), ("--port-base", "1024 to")),
        (("test", "--port-base", "80"), ("--port-base", "1024 to")),
        (("test", "--port-base", "31990"), ("--port-base", "1024 to 31959")),
        (("test", "--port-base", "70000"), ("--port-base", "1024 to")),
        (("cluster", "--port-base", "65530"), ("--port-base", "1024 to")),
        (("test", "--nemesis", ""), ("--nemesis", "a name is empty")),
        (("test", "--nemesis=cut,"), ("--nemesis", "a name is empty")),
        (("test", "--store="), ("--store", "empty")),
        (("cluster", "--store", ""), ("--store", "empty")),
        (("simulate", "--store", "a\nb"), ("--store", "'a\\nb' has control characters")),
        (("test", "--store=a\udcff"), ("--store", "'a\\udcff' has", "not UTF-8")),
        (("test", "--rate", "0"), ("--rate", "0.1")),
        (("test", "--rate", "nan"), ("--rate", "0.1")),
        (("test", "--concurrency", "0"), ("--concurrency", "1 to")),
        (("test", "--seed", "-1"), ("--seed", "0 to")),
        (("test", "--junit", "/no/such/folder/x.xml"), ("--junit", "/no/such/folder")),
        (("cluster", "--n", "9"), ("--n", "9 copies")),
        (("campaign",), ("CAMPAIGN",)),
        (("campaign", "smke"), ("CAMPAIGN", "'smke'", "did you mean smoke?", "nightly")),
        (("campaign", "no/smoke"), ("CAMPAIGN", "no/smoke", "no such file", "YAML", "smoke")),
        (("campaign", "no.yaml"), ("CAMPAIGN", "no.yaml", "no such file", "YAML", "smoke")),
        (("campaign", "/"), ("CAMPAIGN", "/", "is a folder", "YAML", "smoke")),
        (("zoo", "--only", "amnesiac"), ("--only", "did you mean amnesia?")),
        (("zoo", "--seeds", "0"), ("--seeds", "1 to")),
        (("zoo", "--storm", "--seeds", "2"), ("goes without --seeds",)),
        (("zoo", "--time-limit", "8"), ("--time-limit", "10s")),
        (("zoo", "--json", "/no/such/x.json"), ("--json", "/no/such")),
        (("check",), ("PATH",)),
        (("check", "x", "--model", "list"), ("--model", "list", "list-append")),
        (("check", "x", "-c", "serializable"), ("--consistency-models", "--model")),
        (("check", "x", "--export", "xml"), ("--export", "edn", "json")),
        (("check", "x", "--format", "xml"), ("--format", "edn", "jsonl")),
        (("bench", "checkers", "--sizes", "many"), ("--sizes", "many", "100 to")),
        (("bench", "checkers", "--only", "dynamos"), ("--only", "did you mean dynamo")),
        (("check", "/no/such/file"), ("/no/such/file",)),
        (("report", "/no/such/folder"), ("/no/such/folder",)),
        (("put", "key", "value", "--context", "nonsense"), ("--context", "nonsense")),
    ],
)
def test_wrong_usage(
    arguments: tuple[str, ...], expected: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    complaint = refused(capsys, *arguments)
    for word in expected:
        assert word in complaint


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ("line 1", "empty")),
        (LINE + "{oops\n", ("line 2", "JSON")),
        (LINE + '{"index":1,"ti', ("line 2", "cut off")),
        (LINE + LINE, ("line 2", "index", "expected 1")),
        (LINE.replace('"get"', "7"), ("line 1", "f", "expected `str`")),
        (LINE.replace('"process":0,', ""), ("line 1", "process", "missing")),
        (LINE.replace("invoke", "began"), ("line 1", "type", "invoke, ok, fail, info")),
    ],
)
def test_a_malformed_history(
    content: str, expected: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(content)
    complaint = refused(capsys, "check", str(tmp_path))
    for word in (str(path), *expected):
        assert word in complaint


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("def wrong(node): pass\ndef _hidden(node): pass\n", ("'bug'", "there are: wrong")),
        ("bug = 7\n", ("'bug'", "none")),
        ("def bug(node:\n", ("cannot be loaded", "SyntaxError")),
        ("import no_such_module\n", ("cannot be loaded", "no_such_module")),
    ],
)
def test_a_bug_from_outside_that_is_none(
    content: str, expected: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(content)
    complaint = refused(capsys, "test", "--bug", f"{path}:bug")
    for word in ("--bug", str(path), *expected):
        assert word in complaint


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("faults:\n- {start: 1, member: kut.one}\n", ("line 2", "member", "kut.one", "cut.one")),
        ("faults:\n- {start: 1, member: kill.one, nodes: [n9]}\n", ("line 2", "nodes", "n5")),
        ("fault: []\n", ("line 1", "fault", "faults")),
    ],
)
def test_a_schedule_that_makes_no_sense(
    content: str, expected: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    complaint = refused(capsys, "test", "--schedule", str(path))
    for word in ("--schedule", str(path), *expected):
        assert word in complaint


def test_a_shipped_campaign_is_named_without_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "storm").mkdir()
    assert "large-values" in refused(capsys, "campaign", "smoke", "--only", "no-such-cell")
    assert "frames" in refused(capsys, "campaign", "storm", "--only", "no-such-cell")
    (tmp_path / "smoke").write_text("nme: mine\n")
    mine = refused(capsys, "campaign", "smoke")
    assert "smoke" in mine
    assert "line 1" in mine


def test_the_list_has_the_shipped_campaigns(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "--json"]) == 0
    shown = {row["name"]: row["about"] for row in json.loads(capsys.readouterr().out)["campaigns"]}
    assert {"busy", "nightly", "smoke", "storm"} <= set(shown)
    assert all(shown.values())


def test_what_is_impossible_is_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    one = refused(capsys, "test", "--nemesis", "cut.bridge", "--links", "direct")
    assert one.count("cut.bridge") == 1
    family = refused(capsys, "test", "--nemesis", "cut", "--nodes", "1", "--n", "1",
                     "--r", "1", "--w", "1")  # fmt: skip
    assert family.count("needs 2 nodes") == 1
    assert "raise --nodes" in family
    assert len(family) < 180
    direct = refused(capsys, "test", "--nemesis", "cut", "--links", "direct")
    assert "needs links" in direct
    assert "use --links embedded" in direct
    assert len(direct) < 180


def test_targets_are_keys_of_the_workload(tmp_path: Path) -> None:
    options = plan_test(TestSpec(links="embedded", workload="bulk", nemesis=("cut.primaries",),
                             time_limit=60, rate=1, concurrency=1, keys=1, seed=3))  # fmt: skip
    aimed = {event.value["key"] for event in options.faults if "key" in event.value}
    assert len(aimed) > 3
    assert all(key.startswith("k0.") for key in aimed)


@pytest.mark.parametrize(("nemesis", "hasty"), [("wipe.one", True), ("wipe.old-disk", False)])
def test_no_tombstone_is_reaped_before_an_old_disk_is_put_back(nemesis: str, hasty: bool) -> None:
    """Two of three tests of deletes under wipe.old-disk were called invalid: the old disk was
    older than tombstones reaped after a second, and brought back what was deleted."""
    options = plan_test(TestSpec(links="embedded", workload="delete", nemesis=(nemesis,),
                             time_limit=8, rate=1, concurrency=1, keys=1, seed=31))  # fmt: skip
    assert isinstance(options.target, DynamoTarget)
    assert ("reap_after" in options.target.node_params) is hasty


def test_a_store_that_takes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_text("")
    complaint = refused(capsys, "test", "--nemesis", "none", "--store", str(file))
    assert str(file) in complaint


def test_no_cluster_is_an_environment_that_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["get", "key", "--store", str(tmp_path)]) == 4
    assert "dynamesis cluster" in capsys.readouterr().err


def test_ctrl_c_leaves_everything_unknown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(store: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dynamesis.harness.local_cluster.local_cluster.find", interrupted)
    assert run(["get", "key"]) == 3
    assert capsys.readouterr().err == "dynamesis get: stopped; nothing was judged\n"


def test_a_lone_history_is_judged_without_its_test(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(LINE)
    assert run(["check", str(path)]) == 3
    assert capsys.readouterr().out.startswith("unknown\n")


GOOD = """{:type :invoke, :process 0, :f :txn, :value [[:append 1 1] [:r 2 nil]]}
{:type :ok, :process 0, :f :txn, :value [[:append 1 1] [:r 2 []]]}
{:type :invoke, :process 0, :f :txn, :value [[:r 1 nil]]}
{:type :ok, :process 0, :f :txn, :value [[:r 1 [1]]]}
"""


def test_foreign_histories_get_a_line_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad, worse = (tmp_path / name for name in ("good.edn", "bad.edn", "worse.edn"))
    good.write_text(GOOD)
    bad.write_text(GOOD.replace("[1]", "[7]"))
    worse.write_text("{:type :began}")
    assert run(["check", "-m", "list-append", str(good), str(bad)]) == 1
    assert capsys.readouterr().out == f"{good}\ttrue\n{bad}\tfalse\n"
    assert run(["check", "-m", "list-append", str(worse), str(good)]) == 2
    printed = capsys.readouterr()
    assert printed.out == f"{good}\ttrue\n"
    assert f"{worse}, line 1, field type" in printed.err
    assert run(["check", "-m", "list-append", str(worse), str(bad)]) == 1
    assert run(["check", "-m", "list-append", "-v", str(bad)]) == 1
    assert "7" in capsys.readouterr().out.partition("\n")[2]


def test_data_is_printed_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.edn"
    path.write_text(GOOD.replace("[1]", "[7]"))
    assert run(["check", "-m", "list-append", str(path), "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["path"], found["valid"]) == (str(path), False)
    assert found["anomalies"]
    assert run(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["workloads"][0]["name"] == "cart"
    assert {row["name"]: row["of"] for row in listed["nemeses"]}["cut.one"] == "cut"


def test_what_elle_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "stale.edn"
    path.write_text(GOOD.replace("[1]", "[]"))
    check = ["check", "--model", "list-append", str(path)]
    assert run(check) == 1
    assert run([*check, "--consistency-models", "serializable"]) == 0
    assert run([*check, "--anomalies", "G1a,G1b"]) == 0
    capsys.readouterr()
    complaint = refused(capsys, *check, "-c", "snapshot-desolation")
    assert "snapshot-desolation" in complaint


def test_an_exported_history_gets_the_same_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.edn"
    path.write_text(GOOD.replace("[1]", "[7]"))
    check = ["check", "--model", "list-append", "-v"]
    assert run([*check, "--export", "json", str(path)]) == 1
    first = capsys.readouterr()
    assert first.err == f"wrote {path.with_suffix('.json')}\n"
    assert run([*check, str(path.with_suffix(".json"))]) == 1
    assert capsys.readouterr().out == first.out.replace(".edn", ".json")
    assert "there already" in refused(capsys, *check, "--export", "json", str(path))


def test_checkers_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = tmp_path / "bench.json"
    assert run(["bench", "checkers", "--sizes", "100,1000", "--only", "register-10",
                "--json", str(figures)]) == 0  # fmt: skip
    written = json.loads(figures.read_text())
    assert [row["operations"] for row in written["rows"]] == [100, 1000]
    assert "register-10" in written["growth"]


def test_a_report_is_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "history.jsonl").write_text(LINE)
    (tmp_path / "test.json").write_text(json.dumps({"name": "<mine>", "command": "dynamesis test"}))
    assert run(["report", str(tmp_path)]) == 3
    page = (tmp_path / "report.html").read_text()
    assert "&lt;mine&gt;" in page
    assert "<mine>" not in page
    assert json.loads((tmp_path / "results.json").read_text())["valid"] == "unknown"


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("10s", 10), ("2m", 120), ("1h", 3600), ("1.5s", 1.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration("--time-limit", text) == seconds


def test_a_seed_is_drawn_when_none_is_given() -> None:
    spec = TestSpec(links="direct", nemesis=("none",), time_limit=1)
    drawn = {plan_test(spec).seed for _ in range(20)}
    assert len(drawn) > 1


def test_no_command_shows_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    alone = capsys.readouterr().out
    assert run(["--help"]) == 0
    assert alone == capsys.readouterr().out


def test_flags_are_in_groups_with_their_choices(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["test", "--help"]) == 0
    shown = capsys.readouterr().out
    groups = [line[:-1] for line in shown.splitlines() if line[:1].isalpha() and line[-1] == ":"]
    assert groups == ["What is tested", "Cluster", "Load", "Output", "Options"]
    words = re.sub(r"(?<=\w)- (?=\w)", "-", " ".join(shown.split()))
    for flag in TestSpec.flags().values():
        assert f"{flag.option} " in words
        if flag.choices is not None:
            assert (
                f"One of: {', '.join(names(flag.choices))}{'; or FILE.py:NAME' * flag.files}."
                in words
            )


def test_the_catalogue_has_what_the_tables_have() -> None:
    """Made anew with: python -m dynamesis.harness.cli.catalogue"""
    assert catalogue() == collect()
    assert {title: set(names(title)) for title in CHOICES} == {
        title: {name for name in allowed if "." not in name} for title, allowed in CHOICES.items()
    }


@pytest.mark.parametrize("arguments", [("list",), ("test", "--help")])
def test_what_only_prints_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    program = (
        "import sys\nfrom dynamesis.harness.cli.app import run\nrun(sys.argv[1:])\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, *arguments]
    loaded = subprocess.run(command, capture_output=True, check=True, text=True).stderr.split()
    assert "dynamesis.harness.cli.app" in loaded
    assert HEAVY & set(loaded) == set()


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    for command in ("test", "campaign", "check", "report", "log", "list", "bench", "cluster",
                    "get", "put", "delete", "status"):  # fmt: skip
        assert f"  {command} " in shown


def test_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list"]) == 0
    shown = capsys.readouterr().out
    for name in ("cart", "cut", "toxiproxy", "lmdb", "repair-overwrites", "evidence"):
        assert f"  {name} " in shown or f"  {name}\n" in shown


def test_docs_lists_and_prints_the_manual(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["docs", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    pages = {row["name"]: row for row in listed}
    assert {"your-store", "cli", "targets/redis"} <= set(pages)
    assert pages["your-store"]["title"] == "Your store: from nothing to a verdict"
    text = Path(pages["your-store"]["file"]).read_text("utf-8")
    for name in ("your-store", "your-store.md", "docs/your-store.md"):
        assert run(["docs", name]) == 0
        assert capsys.readouterr().out == text
    assert run(["docs"]) == 0
    shown = capsys.readouterr().out
    assert [name for name in pages if f"  {name} " not in shown] == []


def test_docs_refuses_a_page_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["docs", "your-stor"]) == 2
    assert "did you mean your-store?" in capsys.readouterr().err


def test_the_help_shows_a_whole_sentence_for_each_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert len(listed) == len(COMMANDS) + 1
    assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []


def test_a_command_imports_no_other() -> None:
    program = (
        "import sys\nfrom dynamesis.harness.cli.app import run\nrun(sys.argv[1:])\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, "list"]
    loaded = subprocess.run(command, capture_output=True, check=True, text=True).stderr.split()
    assert set(COMMANDS.values()) & set(loaded) == {COMMANDS["list"]}


def test_every_command_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        assert run([name, "--help"]) == 0
        shown = capsys.readouterr().out
        assert f"Usage: dynamesis {name}" in shown
        assert "<list[" not in shown


@pytest.mark.parametrize("columns", [80, 120])
def test_no_line_of_the_list_is_wider_than_the_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if len(line) > columns] == []
