"""cas-register, mutex, kv and queue: logs, proofs, budgets, keys, and inputs that mean harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dynamesis.checkers.formats.io import read_any
from dynamesis.checkers.history.history import History, Op
from dynamesis.checkers.history.source import HistoryError
from dynamesis.checkers.models.cas_register import check_cas_register, check_mutex
from dynamesis.checkers.models.kv import check_kv
from dynamesis.checkers.models.models import ModelOptions, check_model
from dynamesis.checkers.models.operations import FS
from dynamesis.checkers.simulate.simulate_txn import exchanges
from dynamesis.checkers.verdict import Verdict
from test_jepsen_models import done, history, judged
from test_odd_values import GOOD

#: a log of Jepsen as it was in 2014, with other lines in it
LOG = """\
INFO  jepsen.core - Worker 0 starting
INFO  jepsen.util - 0\t:invoke\t:write\t3
INFO  jepsen.util - 0\t:ok\t:write\t3
INFO  jepsen.util - :nemesis\t:info\t:start\tnil
INFO  jepsen.util - 1   :invoke :cas    [3 0]
INFO  jepsen.util - 1   :info   :cas    :timed-out
INFO  jepsen.util - 2\t:invoke\t:read\tnil
INFO  jepsen.util - 2\t:fail\t:read\t:timed-out
INFO  jepsen.util - 2\t:invoke\t:read\tnil
INFO  jepsen.util - 2\t:ok\t:read\t0
"""


def read_text(tmp_path: Path, name: str, text: str) -> History:
    path = tmp_path / name
    path.write_text(text)
    return read_any(path)


@pytest.mark.parametrize("name", ["etcd.log", "etcd.txt", "etcd"])
def test_a_log_of_jepsen_is_a_history(tmp_path: Path, name: str) -> None:
    h = read_text(tmp_path, name, LOG)
    assert [op.type for op in h.ops()].count("invoke") == 4
    assert check_model("cas-register", h).verdict is Verdict.VALID
    wrong = read_text(tmp_path, name, LOG.replace(":ok\t:read\t0", ":ok\t:read\tnil"))
    assert check_model("cas-register", wrong).counts() == {"nonlinearizable": 1}


def test_newer_logs_and_history_txt_are_read(tmp_path: Path) -> None:
    newer = (
        "2026-01-02 03:04:05,678{GMT}\tINFO\t[jepsen worker 1] jepsen.util: 1\t:invoke\t:write\t4\n"
        "2026-01-02 03:04:05,699{GMT}\tINFO\t[jepsen worker 1] jepsen.util: 1\t:info\t:write\t4\t"
        ":timed-out\n"
    )
    plain = "1\t:invoke\t:write\t4\n1\t:info\t:write\t4\t:timed-out\n"
    for text in (newer, plain):
        ops = list(read_text(tmp_path, "jepsen.log", text).ops())
        assert [(op.process, op.type, op.f, op.value) for op in ops] == [
            (1, "invoke", "write", 4),
            (1, "info", "write", 4),
        ]
        assert ops[1].error is not None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("INFO  jepsen.util - 0\t:began\t:write\t3", "line 11, field (line): expected an event"),
        ("INFO  jepsen.util - 0\t:invoke\t:write\t[3", "line 11"),
        ("INFO  jepsen.util - 9\t:ok\t:write\t3", "line 11, field process"),
    ],
)
def test_a_line_that_is_not_an_event_is_refused(tmp_path: Path, line: str, why: str) -> None:
    with pytest.raises(HistoryError, match=r"etcd\.log") as caught:
        read_text(tmp_path, "etcd.log", LOG + line + "\n")
    assert why in str(caught.value)


def test_a_proof_has_what_a_picture_needs() -> None:
    found = judged(
        "cas-register",
        *done(0, "write", 1),
        *done(0, "write", 2),
        *done(0, "write", 1),
        (1, "invoke", "cas", [3, 2]),
        *done(2, "read", seen=2),
    )
    (anomaly,) = found.anomalies
    assert anomaly.ops == (5, 8)
    assert "the read 2 at index 8" in anomaly.why
    assert "the register held 1 (since the write 1 at index 5)" in anomaly.why
    data = anomaly.data
    assert (data["step"], data["prefix"], data["open"]) == (7, 3, [6, 7])
    assert data["orders"] == [{"state": "held 1", "order": [0, 2, 4]}]
    assert {each["row"]: each["what"] for each in data["operations"]} == {  # type: ignore[attr-defined]
        0: "write 1", 2: "write 2", 4: "write 1", 6: "cas [3,2]", 7: "read 2",
    }  # fmt: skip


def _crowd(count: int) -> list[tuple[Any, ...]]:
    """Many exchanges open at the same time, and a read that none of them explains."""
    begun = [(i, "invoke", "cas", [i % 4, (i * 3 + 1) % 4]) for i in range(count)]
    wrong = [(999, "invoke", "write", 7), (999, "info", "write", 7), *done(1000, "read", seen=7)]
    ends = [(i, "ok", "cas", [i % 4, (i * 3 + 1) % 4]) for i in range(count)]
    return [*done(998, "write", 0), *begun, *wrong, *ends]


def test_a_search_that_gets_too_long_is_unknown_and_names_its_key() -> None:
    h = history(*_crowd(14))
    found = check_cas_register(h, budget=50)
    assert found.verdict is Verdict.UNKNOWN
    assert "given up after 51 configurations (BUDGET 50 a key" in found.reasons[0]
    assert check_cas_register(h).verdict is not Verdict.UNKNOWN


@pytest.mark.parametrize("check", [check_mutex, check_kv])
def test_the_budget_of_the_other_models_is_named_too(check: Any) -> None:
    f, g = ("acquire", "release") if check is check_mutex else ("append", "put")
    value = None if check is check_mutex else "a"
    begun = [(i, "invoke", (f, g)[i % 2], value) for i in range(12)]
    ends = [(i, "ok", (f, g)[i % 2], value) for i in range(12)]
    found = check(history(*begun, *ends), budget=3)
    assert found.verdict is Verdict.UNKNOWN
    assert any("BUDGET 3" in reason for reason in found.reasons)


def test_a_key_beyond_the_budget_hides_no_other() -> None:
    bad = [*done(0, "write", 1), *done(0, "write", 1), *done(1, "read", seen=5)]
    crowd = [Op(process=e[0], type=e[1], f=e[2], value=e[3], key="crowd") for e in _crowd(14)]
    wrong = [
        Op(process=2000 + e[0], type=e[1], f=e[2], value=e[3] if e[3:] else None, key="wrong")
        for e in bad
    ]
    found = check_cas_register(History.of([*crowd, *wrong]), budget=50)
    assert found.verdict is Verdict.INVALID
    assert [a.key for a in found.anomalies] == ["wrong"]
    assert found.reasons[0].startswith("key crowd: ")


@pytest.mark.parametrize("value", [[], {}, "x" * 10_000, [[1, 2], [3]], 1e308, -(2**70), True])
@pytest.mark.parametrize("model", ["cas-register", "mutex", "kv", "queue"])
def test_odd_values_crash_nothing(model: str, value: Any) -> None:
    for f in sorted(FS[model]):
        good, options = GOOD[model]
        events = [*good, *done(5, f, value), (6, "invoke", f, value), *done(7, f, None, seen=value)]
        assert not any("crashed" in r for r in judged(model, *events, **options).reasons())


@pytest.mark.parametrize("seed", range(3))
def test_a_right_store_is_valid(seed: int) -> None:
    h = History.of(exchanges(seed, 3000, keys=5))
    assert check_model("cas-register", h).verdict is Verdict.VALID


def test_many_operations_of_unknown_outcome_in_one_key_are_decided() -> None:
    """A thrifty search alone gets stuck here, and goes back."""
    h = History.of(exchanges(3, 2500, keys=1))
    found = check_model("cas-register", h)
    assert found.verdict is Verdict.VALID, found.reasons()


def test_a_read_that_is_changed_in_a_long_history_is_found() -> None:
    ops = list(exchanges(1, 3000, keys=5))
    reads = [i for i, op in enumerate(ops) if op.f == "read" and op.type == "ok"]
    ops[reads[-5]].value = 9
    assert check_model("cas-register", History.of(ops)).counts() == {"phantom": 1}


KEYED = sorted(GOOD.keys() - {"list-append", "rw-register", "long-fork", "bank"})


@pytest.mark.parametrize("model", [*KEYED, "long-fork", "bank"])
def test_each_model_takes_a_test_of_a_store_without_contexts(model: str) -> None:
    """Events as the harness writes them: phases, nemesis, keys; and what is right in one key
    is not made wrong by another."""
    good, options = GOOD[model]

    def phase(name: str) -> Op:
        return Op(process="harness", type="info", f="phase", value=name)

    ops = [phase("load")]
    for shift, key in enumerate(("a", "b")):
        for process, kind, f, *value in good:
            shown = value[0] if value else None
            ops.append(Op(process=process + 10 * shift, type=kind, f=f, key=key, value=shown))
    h = History.of(ops)
    assert check_model(model, h, ModelOptions(**options)).verdict is Verdict.VALID


def test_puts_without_versions_are_for_kv_only(tmp_path: Path) -> None:
    text = (
        '{:process 0, :type :invoke, :f :put, :key "k", :value "a"}\n'
        '{:process 0, :type :ok, :f :put, :key "k", :value "a"}\n'
        '{:process 0, :type :invoke, :f :get, :key "k", :value nil}\n'
        '{:process 0, :type :ok, :f :get, :key "k", :value "a"}\n'
    )
    h = read_text(tmp_path, "kv.txt", text)
    assert check_model("kv", h).verdict is Verdict.VALID
    results = check_model("dynamo", h)
    assert results.verdict is Verdict.UNKNOWN
    assert "model dynamo expects the version" in results.reasons()[0]
