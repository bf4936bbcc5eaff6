"""What a verdict rests on is judged above all models: reasons, floor, figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from dynamesis.checkers.evidence.figures import LEAST, LEAST_WRITES, figures
from dynamesis.checkers.formats.io import read_any
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History, Op, OpError, Sibling, read_history
from dynamesis.checkers.models.dynamo import check
from dynamesis.checkers.models.models import MODELS, ModelOptions, check_model
from dynamesis.checkers.verdict import Verdict
from dynamesis.harness.cli.app import run
from msgspec.structs import replace as replaced

from tests.checkers.test_corpus import HISTORIES, beside

#: prefix of a file in histories/unknown -> part of the reason
REASONS = {
    "died": "n3 was found dead at",
    "heal-failed": "not everything was healed at",
    "nemesis-failed": "the nemesis failed in st",
    "never-again": "put never succeeded once the faults had begun at",
    "too-little": "2 of 21 operations of the load were acknowledged; the floor is 10%",
    "toothless": "no cut fault is known to have taken effect",
    "unread-a-dump": "1 of 3 final dumps did not come back (n2)",
    "unread-a-final-read": "1 final read did not come back: k",
}
#: events of a history beside its operations, and the checker's reasons
BESIDE: dict[str, tuple[list[Op], str]] = {}


def nemesis(f: str, error: str | None = None, **value: Any) -> Op:
    reported = None if error is None else OpError("nemesis-failed", False, error)
    return Op(type="info", process="nemesis", f=f, value=value, error=reported)


def harness(f: str, value: Any) -> Op:
    return Op(type="info", process="harness", f=f, value=value)


BESIDE["toothless"] = (
    [nemesis("start-cut", fault=0), nemesis("evidence", fault=0, bit=False)],
    "no cut fault is known to have taken effect",
)
BESIDE["without-evidence"] = ([nemesis("start-pause", fault=0)], "no pause fault is known")
BESIDE["failed"] = (
    [nemesis("start-kill", error="no such process", nodes=["n1"])] * 5,
    "the nemesis failed in start-kill at",
)
BESIDE["named-failed"] = ([nemesis("nemesis-failed", of="cut")], "failed in nemesis-failed at")
BESIDE["unhealed"] = ([harness("heal-failed", "n3 would not start")], "not everything was healed")
BESIDE["died"] = ([nemesis("found-dead", nodes=["n3"])], "n3 was found dead")


def whole(model: str, kind: str) -> History:
    """A hand-made history that the model judges so without any option."""
    paths = sorted((HISTORIES / "models" / kind / model).iterdir())
    histories = map(read_any, paths)
    return next(h for h in histories if check_model(model, h).verdict.json is (kind == "ok"))


def with_events(history: History, events: list[Op]) -> History:
    """The events, and then the history; without phases they are not a whole test."""
    ops = [*events, *history.ops()]
    shifted = [replaced(op, index=i, time=op.time, basis=op.basis) for i, op in enumerate(ops)]
    return History.of(shifted)


@pytest.mark.parametrize(
    "path", [pytest.param(p, id=p.stem) for p in sorted((HISTORIES / "unknown").glob("*.jsonl"))]
)
def test_what_rests_on_too_little_is_unknown_for_the_reason_it_is_named_for(path: Path) -> None:
    results = check(read_history(path), beside(path))
    (reason_part,) = (text for prefix, text in REASONS.items() if path.stem.startswith(prefix))
    assert (results.verdict, results.counts()) == (Verdict.UNKNOWN, {})
    assert any(reason_part in reason for reason in results.reasons())


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("model", sorted(set(MODELS) - {"dynamo"}))
def test_every_model_is_unknown_for_it_and_none_is_spared(model: str, name: str) -> None:
    events, reason_part = BESIDE[name]
    assert check_model(model, whole(model, "ok")).verdict is Verdict.VALID
    judged = check_model(model, with_events(whole(model, "ok"), events))
    assert judged.verdict is Verdict.UNKNOWN
    assert any(reason_part in reason for reason in judged.reasons())
    assert check_model(model, with_events(whole(model, "bad"), events)).verdict is Verdict.INVALID


def test_each_of_five_failures_is_named() -> None:
    judged = check_model("set-full", with_events(whole("set-full", "ok"), BESIDE["failed"][0]))
    assert sum("start-kill" in reason for reason in judged.reasons()) == 5


def test_a_fault_of_another_tool_need_not_be_proven() -> None:
    start = Op(type="info", process="nemesis", f="start-partition", value="n1 from the rest")
    assert check_model("set", with_events(whole("set", "ok"), [start])).verdict is Verdict.VALID


def test_the_case_of_a_fault_that_did_not_bite(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = HISTORIES / "cases" / "set-fault-did-not-bite.jsonl"
    assert run(["check", "-m", "set-full", "-v", str(path)]) == 3
    reason_part = capsys.readouterr().out.splitlines()
    assert reason_part[0] == f"{path}\tunknown"
    assert "no cut fault is known to have taken effect" in reason_part[2]
    assert reason_part[3].startswith("  evidence: 2 of 2 operations acknowledged: add 1 (")
    bitten = tmp_path / "bitten.jsonl"
    bitten.write_text(path.read_text().replace('"bit":false', '"bit":true'))
    assert run(["check", "-m", "set-full", str(bitten)]) == 0


def load(puts: int, failed: int = 0) -> list[Op]:
    """A test whose load has so many puts, and so many that were refused permanently."""
    ops = [harness("phase", "load")]
    for number in range(puts + failed):
        op = Op(process=number, f="put", key="k", id=f"{number}.1", value=1, basis=None)
        end = {"type": "ok"} if number < puts else {
            "type": "fail", "error": OpError("context-evicted", True)
        }  # fmt: skip
        ops += [op, Op(process=number, f="put", key="k", id=op.id, **end)]  # type: ignore[arg-type]
    shown = [Sibling(f"{number}.1", 1) for number in range(puts)]
    ops += [harness("phase", value) for value in ("heal", "quiesce")]
    ops += [harness("quiesce", {"quiet": True}), harness("phase", "final")]
    ops += [Op(process=999, f="get", key="k")]
    ops += [Op(type="ok", process=999, f="get", key="k", siblings=shown)]
    return [*ops, harness("phase", "stop")]


RUN: Mapping[str, Any] = {"time_limit": 0.3}


@pytest.mark.parametrize(
    ("puts", "test", "valid"),
    [
        (LEAST, RUN, True),
        (LEAST - 1, RUN, "unknown"),
        (LEAST_WRITES, RUN, "unknown"),
        (LEAST_WRITES, {}, True),
        (1, None, True),
    ],
)
def test_the_floor_is_for_tests_that_were_run(puts: int, test: Any, valid: Any) -> None:
    history = History.of(load(puts))
    judged = check(history, test)
    assert judged.verdict.json == valid, judged.reasons()
    if valid == "unknown":
        (reason,) = judged.reasons()
        assert reason == (
            f"too little was acknowledged: {puts} of {puts} operations of the load were "
            f"acknowledged, {puts} of them writes; the floor is {LEAST} operations and "
            f"{LEAST_WRITES} writes"
        )
    model = check_model("unique-ids", history, ModelOptions(test=test))
    assert (model.verdict is Verdict.UNKNOWN) or valid is True


@pytest.mark.parametrize(("failed", "valid"), [(540, True), (541, "unknown")])
def test_a_share_must_have_been_acknowledged(failed: int, valid: Any) -> None:
    judged = check(History.of(load(60, failed)), RUN)
    assert judged.verdict.json == valid, judged.reasons()


def test_the_figures_of_a_whole_test() -> None:
    path = HISTORIES / "ok" / "unavailable-within-the-grace-after-a-burst.jsonl"
    history = read_history(path)
    reported = figures(Run(history, beside(path)))
    assert reported == {
        "tried": 2,
        "acknowledged": 1,
        "writes": 1,
        "writes_since_faults": 0,
        "operations": {
            "put": {"tried": 2, "acknowledged": 1, "during_faults": 0, "after_faults": 0},
            "get": {"tried": 1, "acknowledged": 1, "during_faults": 0, "after_faults": 1},
        },
        "faults": [{"fault": 0, "kind": "load.burst", "index": 4, "took_effect": True}],
        "nemesis_failed": 0,
        "heal_failed": 0,
        "died": [],
        "final_reads": {"asked": 1, "answered": 1, "attempts": 1, "failed_attempts": 0},
        "dumps": {"asked": 3, "answered": 3},
        "compared": {"keys": 1, "replicas": 3, "most_replicas": 3},
        "floor": {"acknowledged": LEAST, "writes": LEAST_WRITES, "share": 0.1, "replicas": 2},
    }
