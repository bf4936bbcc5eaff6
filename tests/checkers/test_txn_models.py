"""list-append and rw-register on small literal histories: anomaly by name, model by model."""

from __future__ import annotations

from itertools import pairwise

import pytest
from dynamesis.checkers.elle.consistency import (
    UnknownModel,
    canonical,
    forbidden,
    impossible,
    meaning,
)
from dynamesis.checkers.elle.elle import check_list_append, check_rw_register
from dynamesis.checkers.history.history import History, Op
from dynamesis.checkers.models.models import check_model
from dynamesis.checkers.verdict import CheckerResult, Verdict


def events(*lines: str) -> History:
    """Each line is "process type mop mop ...": a mop is ax1 (append), wx1 (write), or rx12
    (read the list 1, 2; for registers the value), rx (nil)."""
    ops = []
    for line in lines:
        process, kind, *mops = line.split()
        value = [mop_of(mop, kind) for mop in mops]
        ops.append(Op(process=int(process), type=kind, f="txn", value=value))  # type: ignore[arg-type]
    return History.of(ops)


def mop_of(mop: str, kind: str) -> list:
    f, key, rest = mop[0], mop[1], mop[2:]
    if f == "a":
        return ["append", key, int(rest)]
    if f == "w":
        return ["w", key, int(rest)]
    return ["r", key, None if kind == "invoke" else [int(digit) for digit in rest]]


def sequence(*txns: str) -> History:
    """Transactions one after the other, each by a process of its own."""
    lines = []
    for process, txn in enumerate(txns):
        lines += [f"{process} invoke {txn}", f"{process} ok {txn}"]
    return events(*lines)


def together(*txns: str) -> History:
    """Transactions that all overlap."""
    begin = [f"{p} invoke {txn}" for p, txn in enumerate(txns)]
    return events(*begin, *[f"{p} ok {txn}" for p, txn in enumerate(txns)])


def names(verdict: CheckerResult) -> set[str]:
    return set(verdict.details["found"])


LISTS = {
    "G0": (together("ax1 ay1", "ax2 ay2", "rx12 ry21"), {"G0"}),
    "G1c": (together("ax1 ry1", "ay1 rx1"), {"G1c"}),
    "G-single": (together("ax1 ay1", "rx1 ry", "rx1 ry1"), {"G-single"}),
    "G2-item": (together("rx ay1", "ry ax1", "rx1 ry1"), {"G2-item"}),
    "G-single-realtime": (sequence("ax1", "rx", "rx1"), {"G-single-realtime"}),
    "G0-realtime": (sequence("ax1", "ax2", "rx21"), {"G0-realtime"}),
    "G1b": (together("ax1 ax2", "rx1", "rx12"), {"G1b", "G-single"}),
    "internal": (together("ax1 rx", "rx1"), {"internal"}),
    "lost-update": (together("rx ax1", "rx ax2", "rx12"), {"lost-update", "G-single"}),
    "incompatible-order": (together("ax1", "ax2", "rx12", "rx21"), {"incompatible-order"}),
    "duplicate-elements": (together("ax1", "rx11"), {"duplicate-elements"}),
    "phantom": (together("ax1", "rx9"), {"phantom"}),
    "future-read": (together("rx1 ax1", "rx1"), {"future-read"}),
}  # fmt: skip


@pytest.mark.parametrize(("history", "expected"), LISTS.values(), ids=LISTS.keys())
def test_a_list_append_anomaly_is_named(history: History, expected: set[str]) -> None:
    found = names(check_list_append(history))
    assert expected <= found
    cycles = {n for n in found if n.startswith("G") and n not in ("G1a", "G1b")}
    assert cycles == {n for n in expected if n in cycles}


def test_an_aborted_read_and_a_dirty_update() -> None:
    history = events(
        "0 invoke ax1", "0 fail ax1", "1 invoke ax2", "1 ok ax2", "2 invoke rx", "2 ok rx12"
    )
    assert {"G1a", "dirty-update"} <= names(check_list_append(history))


def test_what_is_not_known_may_have_happened() -> None:
    history = events(
        "0 invoke ax1", "0 info ax1", "1 invoke rx", "1 ok rx", "2 invoke rx", "2 ok rx1"
    )
    assert check_list_append(history).verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("model", "valid"),
    [("snapshot-isolation", True), ("repeatable-read", False), ("serializable", False)],
)
def test_write_skew_is_judged_by_the_consistency_model(model: str, valid: bool) -> None:
    history = LISTS["G2-item"][0]
    assert check_list_append(history, [model]).verdict.json is valid


def test_a_stale_read_is_serializable_and_not_strictly_so() -> None:
    history = LISTS["G-single-realtime"][0]
    assert check_list_append(history, ["serializable"]).verdict is Verdict.VALID
    assert check_list_append(history, ["strict-serializable"]).verdict is Verdict.INVALID


def test_one_anomaly_may_be_asked_for() -> None:
    history = LISTS["G2-item"][0]
    assert check_list_append(history, (), ["G1"]).verdict is Verdict.VALID
    assert check_list_append(history, (), ["G2"]).verdict is Verdict.INVALID


def test_a_cycle_is_explained_edge_by_edge() -> None:
    verdict = check_list_append(LISTS["G-single"][0], ["serializable"])
    [anomaly] = verdict.anomalies
    assert anomaly.ops == (3, 4)
    assert "T1 did not see T2's append of 1 to key 'y'" in anomaly.why.replace(
        "T2 did not see T1's", "T1 did not see T2's"
    )
    assert [step["kind"] for step in anomaly.data["cycle"]] in (["wr", "rw"], ["rw", "wr"])


def test_a_history_that_is_not_list_append_is_unknown_by_index_and_field() -> None:
    bad = History.of([Op(process=0, f="txn", value=[["cas", "x", 1]])])
    verdict = check_list_append(bad)
    assert verdict.verdict is Verdict.UNKNOWN
    assert "index 0, field value: expected micro-operations 'append' and 'r'" in verdict.reasons[0]


def test_an_element_appended_twice_is_unknown() -> None:
    assert check_list_append(together("ax1", "ax1", "rx1")).verdict is Verdict.UNKNOWN


def register(*lines: str) -> History:
    """As `events`, reads giving one value."""
    history = events(*lines)
    ops = list(history.ops())
    for op in ops:
        op.value = [
            [f, k, (v[0] if v else None) if isinstance(v, list) else v] for f, k, v in op.value
        ]
    return History.of(ops)


def stale_register() -> History:
    return register(
        "0 invoke wx1", "0 ok wx1", "0 invoke wx2", "0 ok wx2", "1 invoke rx", "1 ok rx1"
    )


@pytest.mark.parametrize(
    ("model", "assume", "found"),
    [
        ("strict-serializable", (), {"G-single-realtime"}),
        ("strict-serializable", ("sequential",), {"G-single-realtime"}),
        ("strict-serializable", ("linearizable",), {"cyclic-versions"}),
        ("serializable", ("linearizable",), {"cyclic-versions"}),
        ("strong-snapshot-isolation", (), {"G-single-realtime"}),
    ],
)
def test_registers_are_ordered_by_the_model_and_by_what_is_assumed(
    model: str, assume: tuple[str, ...], found: set[str]
) -> None:
    verdict = check_rw_register(stale_register(), [model], (), assume)
    assert (verdict.verdict, set(verdict.counts())) == (Verdict.INVALID, found)


@pytest.mark.parametrize(
    "model",
    ["serializable", "snapshot-isolation", "read-uncommitted", "read-committed", "causal-cerone"],
)
def test_registers_without_any_order_of_versions_are_unknown(model: str) -> None:
    verdict = check_rw_register(stale_register(), [model])
    assert verdict.verdict is Verdict.UNKNOWN
    assert "no order of the versions of key 'x' could be inferred" in verdict.reasons[0]


def test_versions_that_contradict_themselves() -> None:
    history = register(
        "0 invoke wx1", "0 ok wx1", "0 invoke wx2", "0 ok wx2",
        "1 invoke rx", "1 ok rx2", "1 invoke rx", "1 ok rx1",
    )  # fmt: skip
    verdict = check_rw_register(history, (), (), ["sequential"])
    assert "cyclic-versions" in names(verdict)


def test_what_a_transaction_reads_comes_before_what_it_writes() -> None:
    history = register(
        "0 invoke rx wx1", "1 invoke rx wx2", "0 ok rx wx1", "1 ok rx wx2",
    )  # fmt: skip
    assert {"lost-update"} <= names(check_rw_register(history, (), (), ["wfr"]))


@pytest.mark.parametrize("model", ["linearizable", "sequential", "causal", "view-serializable"])
def test_a_model_that_forbids_nothing_here_is_refused(model: str) -> None:
    with pytest.raises(UnknownModel, match="forbids nothing"):
        forbidden([model])


def test_an_unknown_model_is_refused_with_what_is_known() -> None:
    with pytest.raises(UnknownModel, match="strict-serializable"):
        canonical("strictly-serialisable")


def test_stronger_models_forbid_more() -> None:
    chain = ("read-uncommitted", "read-committed", "snapshot-isolation", "serializable")
    sets = [forbidden([m]) for m in (*chain, "strict-serializable")]
    assert all(weak < strong for weak, strong in pairwise(sets))


def test_the_weakest_models_that_an_anomaly_rules_out() -> None:
    assert impossible(["G1c"]) == ("read-committed",)
    assert impossible(["G-single-realtime"]) == ("strong-snapshot-isolation",)


def test_legal_cycles_do_not_hide_an_illegal_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small write skews are legal under snapshot isolation; the one G0 is not."""
    monkeypatch.setattr("dynamesis.checkers.graph.cycle_search.NAMED", 2)
    ops: list[Op] = []
    for i in range(8):
        x, y = f"x{i}", f"y{i}"
        skew = [[["r", x, []], ["append", y, 1]], [["r", y, []], ["append", x, 1]]]
        reads = [[["r", x, [1]], ["r", y, [1]]]]
        ops += overlapping([*skew, *reads], 3 * i)
    both = [["append", "x", 1], ["append", "y", 1]], [["append", "x", 2], ["append", "y", 2]]
    ops += overlapping([*both, [["r", "x", [1, 2]], ["r", "y", [2, 1]], ["r", "z", []]]], 90)
    verdict = check_list_append(History.of(ops), ["snapshot-isolation"])
    assert verdict.verdict is Verdict.INVALID
    assert verdict.details["found"] == {"G0": 1, "G2-item": 8}


def overlapping(txns: list[list], first: int) -> list[Op]:
    """Transactions that all overlap, by processes of their own."""
    begun = [
        Op(process=first + i, f="txn", value=[[f, k, None if f == "r" else v] for f, k, v in txn])
        for i, txn in enumerate(txns)
    ]
    done = [Op(type="ok", process=first + i, f="txn", value=txn) for i, txn in enumerate(txns)]
    return begun + done


def test_a_read_that_is_not_a_prefix_and_then_one_that_is() -> None:
    """Equal lengths must not pass for equal lists."""
    history = together("ax1", "ax2", "rx12", "rx21 rx12")
    assert "internal" in names(check_list_append(history))


@pytest.mark.parametrize(("model", "f"), [("list-append", "append"), ("rw-register", "w")])
def test_nil_cannot_be_written(model: str, f: str) -> None:
    ops = [
        Op(type=end, process=0, f="txn", value=[[f, "x", None]])  # type: ignore[arg-type]
        for end in ("invoke", "ok")
    ]
    results = check_model(model, History.of(ops))
    assert results.verdict is Verdict.UNKNOWN
    assert "index 1, field value: expected a value to be written to key 'x'" in results.reasons()[0]


def test_an_internal_anomaly_is_reported_with_what_came_before() -> None:
    mops = [["append", "x", 1], ["r", "x", []]]
    ops = [Op(process=0, f="txn", value=mops), Op(type="ok", process=0, f="txn", value=mops)]
    [anomaly] = check_model("list-append", History.of(ops)).anomalies
    assert anomaly.name == "internal"
    assert "read key 'x' as []" in anomaly.why
    assert "it appended 1 to key 'x'" in anomaly.why


#: history, models that forbid what it shows, models that do not
SHAPES = {
    "fractured, then whole": (
        together("ax1 ay1", "ry rx1"),
        ["read-atomic", "ROLA", "causal-cerone", "prefix", "parallel-snapshot-isolation"],
        ["monotonic-atomic-view", "read-committed", "cursor-stability"],
    ),
    "seen, then vanished": (
        together("ax1 ay1", "rx1 ry"),
        ["monotonic-atomic-view", "read-atomic", "prefix", "update-serializable"],
        ["read-committed", "cursor-stability"],
    ),
    "a cause unseen": (
        together("ax1", "rx1 ay1", "ry1 rx"),
        ["causal-cerone", "prefix", "parallel-snapshot-isolation", "update-serializable"],
        ["read-atomic", "ROLA", "cursor-stability"],
    ),
    "long fork": (
        together("ax1", "ay1", "rx1 ry", "ry1 rx"),
        ["prefix", "snapshot-isolation", "serializable"],
        ["causal-cerone", "parallel-snapshot-isolation", "update-serializable"],
    ),
    "lost update by a blind append": (
        together("rx ax1", "ax2", "rx21"),
        ["cursor-stability", "consistent-view", "parallel-snapshot-isolation"],
        ["read-atomic", "prefix", "causal-cerone"],
    ),
    "write skew": (
        LISTS["G2-item"][0],
        ["update-serializable", "serializable", "repeatable-read"],
        ["snapshot-isolation", "prefix", "forward-consistent-view"],
    ),
    "own updates are seen": (
        together("rx ax1", "rx1 ax2 rx12"),
        [],
        ["causal-cerone", "cursor-stability", "read-atomic", "strict-serializable"],
    ),
}


@pytest.mark.parametrize(
    ("history", "forbid", "allow"), SHAPES.values(), ids=[name.replace(" ", "-") for name in SHAPES]
)
def test_models_weaker_than_consistent_view(
    history: History, forbid: list[str], allow: list[str]
) -> None:
    assert {m: check_list_append(history, [m]).verdict.json for m in forbid} == dict.fromkeys(
        forbid, False
    )
    assert {m: check_list_append(history, [m]).verdict.json for m in allow} == dict.fromkeys(
        allow, True
    )


@pytest.mark.parametrize(
    ("asked", "lines"),
    [
        ("G1c", together("ax1 ay1", "ax2 ay2 rz1", "rx12 ry21", "az1 rx12")),
        ("G-single", together("ax1 ay1", "ax2 ay2 az1", "rx12 ry21", "rx1 rz1")),
        ("G2-item", together("ax1 ay1 az1", "ax2 ay2", "rx12 ry21 rz1 rv", "rx1 av1")),
        (
            "G-single-process",
            events(
                "0 invoke ax1 ay1", "1 invoke ax2 ay2", "0 ok ax1 ay1", "1 ok ax2 ay2",
                "1 invoke rx1", "1 ok rx1", "2 invoke rx ry", "2 ok rx12 ry21",
            ),
        ),
        (
            "G-single-realtime",
            events(
                "0 invoke ax1 ay1", "1 invoke ax2 ay2", "0 ok ax1 ay1", "1 ok ax2 ay2",
                "3 invoke rx1", "3 ok rx1", "2 invoke rx ry", "2 ok rx12 ry21",
            ),
        ),
    ],
)  # fmt: skip
def test_what_is_asked_for_is_found_beside_a_g0(asked: str, lines: History) -> None:
    assert check_list_append(lines, (), ["G0"]).verdict is Verdict.INVALID
    verdict = check_list_append(lines, (), [asked])
    assert verdict.verdict is Verdict.INVALID
    assert set(verdict.counts()) <= meaning([asked])


@pytest.mark.parametrize("asked", ["G-single", "G2-item", "G-nonadjacent-realtime"])
def test_what_is_not_there_is_not_found_beside_a_g0(asked: str) -> None:
    assert check_list_append(LISTS["G0"][0], (), [asked]).verdict is Verdict.VALID


ODD = ["1", 1, 1.0, True, [1], -(2**63), 2**70, {"id": 1}]


@pytest.mark.parametrize(("model", "f"), [("list-append", "append"), ("rw-register", "w")])
def test_values_and_keys_that_look_alike_are_different(model: str, f: str) -> None:
    ops: list[Op] = []
    for as_key in (False, True):
        for p, odd in enumerate(ODD):
            key, value = (odd, 7) if as_key else ("k", odd)
            seen = [value] if f == "append" else value
            ops += overlapping([[[f, key, value]]], 100 * as_key + 2 * p)
            if as_key:
                ops += overlapping([[["r", key, seen]]], 100 * as_key + 2 * p + 1)
    history = History.of(ops)
    assert check_model(model, history).verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("model", "mops", "shown"),
    [
        ("list-append", [["r", "x", [None]]], "null was never appended"),
        ("list-append", [["r", "x", [True]]], "true was never appended"),
        ("list-append", [["r", [1], [[2, "a"]]]], 'read key [1] as [[2,"a"]]'),
        ("rw-register", [["r", "x", {"a": None}]], "read key 'x' as {\"a\":null}"),
    ],
)
def test_values_in_proofs_are_spelled_as_in_the_history(model: str, mops: list, shown: str) -> None:
    [anomaly] = check_model(model, History.of(overlapping([mops], 0))).anomalies
    assert anomaly.name == "phantom"
    assert shown in anomaly.why


@pytest.mark.parametrize("model", ["list-append", "rw-register"])
@pytest.mark.parametrize(
    "mops", [[["cas", "x", [1, 2]]], [["r", "x"]], [["r", "x", None, 1]], "r", [7], [{"f": "r"}]]
)
def test_malformed_micro_operations_are_unknown(model: str, mops: object) -> None:
    for end in ("ok", "fail", "info"):
        ops = [Op(process=0, f="txn", value=mops), Op(type=end, process=0, f="txn", value=mops)]  # type: ignore[arg-type]
        ops += overlapping([[["r", "y", None]]], 1)
        assert check_model(model, History.of(ops)).verdict is Verdict.UNKNOWN


def test_a_read_of_what_was_aborted_later_is_not_an_aborted_read() -> None:
    history = events("0 invoke rx", "0 ok rx1", "1 invoke ax1", "1 fail ax1")
    assert names(check_list_append(history)) == {"phantom"}


@pytest.mark.parametrize("model", ["list-append", "rw-register"])
@pytest.mark.parametrize(
    ("asked", "end", "valid"),
    [
        ([["r", "x", None]], "ok", "unknown"),
        (None, "ok", "unknown"),
        (None, "info", "unknown"),
        (None, "fail", True),
        ([["r", "x", None]], "info", True),
    ],
)
def test_a_completion_without_value(model: str, asked: object, end: str, valid: object) -> None:
    f, seen = ("append", [1]) if model == "list-append" else ("w", 1)
    ops = [Op(process=0, f="txn", value=asked), Op(type=end, process=0, f="txn")]  # type: ignore[arg-type]
    ops += overlapping([[[f, "y", 1]], [["r", "y", seen]]], 1)
    assert check_model(model, History.of(ops)).verdict.json == valid


def test_appends_that_no_read_shows_must_fit_in_some_order() -> None:
    """Write skew, by two that also append to one list: one of them must come first there."""
    skew = together("rx ay1 az1", "ry ax1 az2")
    assert check_list_append(skew, ["snapshot-isolation"]).verdict is Verdict.UNKNOWN
    apart = together("rx ay1 az1", "ry ax1 av2")
    assert check_list_append(apart, ["snapshot-isolation"]).verdict is Verdict.VALID


@pytest.mark.parametrize(
    "model", ["consistent-view", "update-serializable", "repeatable-read", "serializable"]
)
def test_a_read_that_does_not_repeat_is_a_g_single(model: str) -> None:
    h = History.of(
        [
            Op(process=p, type=type, f="txn", value=value)
            for p, type, value in (
                (0, "invoke", [["w", "x", 1]]),
                (1, "invoke", [["r", "x", None], ["r", "x", None]]),
                (0, "ok", [["w", "x", 1]]),
                (1, "ok", [["r", "x", 1], ["r", "x", None]]),
            )
        ]
    )
    (anomaly,) = check_rw_register(h, (model,)).anomalies
    assert anomaly.name == ("internal" if model == "serializable" else "G-single")
    assert ("two versions of it" in anomaly.why) == (model != "serializable")
    assert check_rw_register(h, ("cursor-stability",)).verdict is not Verdict.INVALID


@pytest.mark.parametrize("model", ["cursor-stability", "monotonic-atomic-view"])
@pytest.mark.parametrize("own", [["ax1"], ["ax1", "ax3"]])
def test_a_read_that_lacks_an_own_append_shows_all_of_others(model: str, own: list[str]) -> None:
    """That is `internal`: no version of others is between what it read and what it wrote."""
    asked, shown = " ".join([*own, "rx"]), " ".join([*own, "rx2"])
    h = events(
        f"0 invoke {asked}", "1 invoke ax2 ay2", f"0 ok {shown}", "1 ok ax2 ay2"
    )  # fmt: skip
    assert check_list_append(h, (model,)).verdict is not Verdict.INVALID
    assert check_list_append(h, ("read-atomic",)).verdict is Verdict.INVALID


def short(status: str, shown: list) -> CheckerResult:
    """A transaction whose invocation has [r, x] for a read, and one that reads what it appended."""
    asked = [["r", "x"], ["append", "x", 1]]
    ops = [
        Op(process=0, type="invoke", f="txn", value=asked),
        Op(process=0, type=status, f="txn", value=asked if status != "ok" else shown),  # type: ignore[arg-type]
        Op(process=1, type="invoke", f="txn", value=[["r", "x"]]),
        Op(process=1, type="ok", f="txn", value=[["r", "x", [1]]]),
    ]
    return check_list_append(History.of(ops))


def test_the_invocation_of_a_read_may_lack_what_it_will_show() -> None:
    """As Elle's own histories have it; the completion may not."""
    assert short("ok", [["r", "x", []], ["append", "x", 1]]).verdict is Verdict.VALID
    assert short("info", []).verdict is Verdict.VALID
    assert {a.name for a in short("fail", []).anomalies} >= {"G1a"}
    unknown = short("ok", [["r", "x"], ["append", "x", 1]])
    assert unknown.verdict is Verdict.UNKNOWN
    assert "index 1, field value: expected a list of micro-operations" in unknown.reasons[0]


@pytest.mark.parametrize("level", ["", "-process", "-realtime"])
def test_anomalies_have_the_names_of_elle_too(level: str) -> None:
    for family in ("G-single", "G-nonadjacent"):
        assert meaning([f"{family}-item{level}"]) == meaning([family + level])
