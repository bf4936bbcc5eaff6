"""The public page: docs/api.md, `dynamesis.__all__`, and a user's file that uses all of it."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from dynamesis.harness.worlds.flag_kinds import Flag, declared
from dynamesis.harness.worlds.test_spec import TestSpec, overrides

import dynamesis
import dynamesis.targets
from tests.between_workers import strict_types

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/api.md").read_text("utf-8")
HISTORY = sorted((ROOT / "tests/histories/bad").glob("*.jsonl"))[0]
HEAVY = {"jinja2", "lmdb", "networkx", "numpy", "requests", "rich", "scipy", "typer", "uvloop"}

USER = """
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dynamesis import (
    Anomaly,
    CheckerResult,
    Client,
    EnvironmentFailed,
    History,
    Nemesis,
    NoTruthValue,
    Observer,
    Op,
    Results,
    Target,
    TestResult,
    TestSpec,
    UsageError,
    Verdict,
    Workload,
    check,
    run_test,
)
from dynamesis.targets import (
    BlockingClient,
    Command,
    FaultLimits,
    NodeClient,
    NodeSite,
    Site,
    TargetOption,
    connects,
    fail,
    ok,
    unknown,
)


class Loud(Observer):
    def event(self, op: Op) -> None:
        print(op.f)


class Null(Client):
    async def open(self, addresses: Mapping[str, str]) -> None: ...

    async def invoke(self, op: Op) -> Op:
        return op


class ByLibrary(BlockingClient):
    def connect(self, addresses: Mapping[str, str]) -> None:
        self.store: dict[str | None, object] = {}

    def perform(self, op: Op) -> Op:
        return ok(op, self.store.get(op.key)) if op.f == "read" else unknown(op, "gone", "why")


class ByHttp(NodeClient):
    def perform(self, op: Op) -> Op:
        status, text = self.http("GET", f"/{op.key}")
        code, text = self.shell(f"my-cli {self.host} {self.port} {op.key}")
        return ok(op, text, self.node) if status == 200 else fail(op, f"{status}", text)


class Mine(Target):
    name = "mine"
    workloads = ("register",)
    limits = FaultLimits(w=1, volatile=True)
    more: Mapping[str, TargetOption] = {"sync": TargetOption("yes", "whether", ("yes", "no"))}

    async def ready(self, node: NodeSite, site: Site) -> bool:
        return site.options["sync"] == "no" or await connects(node)

    def command(self, node: NodeSite, site: Site) -> Command:
        if site.peers(node.name):
            return Command.line("my-store {port} {peers} {x}", node, site, x=3)
        return Command(["my-store", node.ports["client"], node.data], env={"x": "y"})

    def client(self, site: Site) -> Client:
        return Null()


def survives(store: Path) -> TestResult:
    spec = TestSpec(workload="cart", nemesis=("cut", "kill"), time_limit=10, r=2, w=2)
    return run_test(spec, store=store, observer=Loud())


def found(history: History) -> tuple[Anomaly, ...]:
    results: Results = check(history, model="list-append", consistency_models=["serializable"])
    by_checker: Mapping[str, CheckerResult] = results.verdicts
    return results.anomalies if by_checker and results.verdict is Verdict.INVALID else ()


def name(workload: Workload) -> str:
    return workload.name


def families(nemesis: Nemesis) -> Nemesis:
    return nemesis


def main() -> str:
    try:
        return survives(Path("store")).explain()
    except (EnvironmentFailed, NoTruthValue, UsageError) as error:
        return str(error)
"""


def test_the_page_has_every_name_and_no_other() -> None:
    table, _ = PAGE.split("| name of `dynamesis.targets`")
    rows = re.findall(r"^\| `(\w+)", table, flags=re.MULTILINE)
    assert sorted(rows) == sorted(dynamesis.__all__)
    assert len(rows) <= 20


def test_the_page_has_every_name_for_targets() -> None:
    _, table = PAGE.split("| name of `dynamesis.targets`")
    cells = re.findall(r"^\| (`.*?) \|", table, flags=re.MULTILINE)
    names = {name for cell in cells for name in re.findall(r"`(\w+)", cell)}
    assert names == set(dynamesis.targets.__all__)
    for name in names & set(dynamesis.__all__):
        assert getattr(dynamesis, name) is getattr(dynamesis.targets, name)


def test_every_name_is_there() -> None:
    for name in dynamesis.__all__:
        assert getattr(dynamesis, name) is not None
    assert set(dynamesis.__all__) <= set(dir(dynamesis))
    with pytest.raises(AttributeError, match="no_such_name"):
        dynamesis.no_such_name  # noqa: B018


def test_the_package_imports_nothing_heavy() -> None:
    program = "import sys, dynamesis; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    loaded = set(done.stdout.decode().split())
    assert HEAVY & loaded == set()
    assert not any(name.startswith(("dynamesis.", "asyncio")) for name in loaded)


def test_a_users_file_is_clean_under_mypy_strict(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert set(dynamesis.__all__) <= set(re.findall(r"\w+", USER))
    (tmp_path / "mine.py").write_text(USER)
    done = strict_types(tmp_path_factory, tmp_path, "mine.py")
    assert (done.stdout, done.returncode) == ("Success: no issues found in 1 source file\n", 0)


def test_check_takes_a_file_and_a_history() -> None:
    results = dynamesis.check(HISTORY)
    assert results.verdict is dynamesis.Verdict.INVALID
    assert results.anomalies[0].why
    with pytest.raises(dynamesis.UsageError, match="did you mean"):
        dynamesis.check(HISTORY, model="list-apend")
    with pytest.raises(dynamesis.UsageError, match="model"):
        dynamesis.check(HISTORY, initial=0)


class TestTestSpec:
    @pytest.mark.parametrize("flag", TestSpec.flags().values(), ids=lambda flag: flag.name)
    def test_every_option_has_all_its_forms(self, flag: Flag) -> None:
        """A new option is a field, and the place where it is used: the rest derives."""
        assert flag.help
        assert flag.panel
        assert flag.read(flag.default) == flag.default
        samples = {
            "integer": 4, "number": 2.5, "duration": 2.5, "switch": True, "name": "x",
            "names": ("x", "y"), "repeated": ("a=1", "b=2"), "path": Path("x"),
            "text": "x y",
        }  # fmt: skip
        spec = TestSpec.of({flag.name: samples[flag.kind]})
        assert any(argument.startswith(flag.option) for argument in spec.arguments())
        assert TestSpec.of(spec.to_dict()) == spec
        again = dynamesis.TestSpec.of(overrides(spec.arguments()))
        assert again == spec

    def test_a_new_option_is_one_field(self) -> None:
        @dataclass(frozen=True)
        class More(TestSpec):
            colour: str = declared("red", "Of the nodes.", "name")

        assert More.flags()["colour"].option == "--colour"
        assert More.of({"colour": "blue"}).arguments()[-1] == "--colour=blue"
        assert More().to_dict()["colour"] == "red"

    def test_values_as_users_write_them(self) -> None:
        assert TestSpec.of({"time_limit": "500ms", "nemesis": "cut, kill", "bug": "amnesia"}) == (
            TestSpec(time_limit=0.5, nemesis=("cut", "kill"), bug=("amnesia",))
        )
        assert TestSpec.of({"option": {"blind": 0.5}}).option == ("blind=0.5",)

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"nodes": 0}, "--nodes: 0 is out of range; allowed: 1 to 100"),
            ({"nodes": "few"}, "--nodes: 'few' is not an integer"),
            ({"time_limit": "10"}, "--time-limit: '10' is not a length of time"),
            ({"strict": 1}, "--strict: 1 is not allowed"),
            ({"tls": True}, "--tls: True is not a path"),
            ({"bug": 3}, "--bug: 3 is not a name, and no list of names"),
            ({"param": 1.5}, "--param: 1.5 is not a name, and no list of names"),
            ({"wrokload": "cart"}, "did you mean workload"),
        ],
    )
    def test_what_is_wrong(self, given: dict[str, object], expected: str) -> None:
        with pytest.raises(dynamesis.UsageError, match=re.escape(expected)):
            TestSpec.of(given)
