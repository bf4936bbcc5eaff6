"""What single requests ask for, read off the histories of simulated stores."""

from __future__ import annotations

from hashlib import md5

import pytest
from dynamesis.checkers.history.op import Op, Sibling
from dynamesis.checkers.verdict import Verdict
from dynamesis.harness.generators import Rng
from dynamesis.harness.generators.distributions import uniform
from dynamesis.workloads import WORKLOADS
from dynamesis.workloads.base import Setting
from dynamesis.workloads.script.modification import (
    Modification,
    OperationMix,
    ReadModifyWrite,
    deleting,
)
from dynamesis.workloads.script.requests import REQUEST_OPTIONS, TO_NODES, Asking
from play import judge, play
from stores import right_store

ALL = dict.fromkeys(REQUEST_OPTIONS, 0.5)
NONE = {"blind": 0.0, "stale": 0.0, "chained": 0.0, "unread": 0.0, "foreign": 0.0}


def invoked(events, *fs):
    return [op for op in events if op.type == "invoke" and op.f in fs and op.process != "harness"]


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_workload_can_ask_and_stays_valid(name):
    fewer = {"fill": 0.1} if name == "crowded" else {}
    events = play(name, right_store(WORKLOADS[name], 2), 2, seconds=4.0, **ALL, **fewer)
    asked = [op.options for op in invoked(events, "get", "put", "delete") if op.options]
    assert {key for options in asked for key in options} == {
        *(set(TO_NODES) - {"local"}), "retry", "direct", "hedge"
    }  # fmt: skip
    for options in asked:
        n = options.get("n", 3)
        numbers = [options[name] for name in ("r", "w", "pr", "pw", "dw") if name in options]
        assert all(1 <= number <= n <= 3 for number in numbers)
        assert 0.002 <= options.get("timeout", 1.0) <= 1.0
    results = judge(name, events)
    assert results.verdict is Verdict.VALID, (results.counts(), results.reasons())


@pytest.mark.parametrize("name", WORKLOADS)
def test_nothing_is_asked_for_unless_it_is_chosen(name):
    events = play(name, right_store(WORKLOADS[name], 2), 2, seconds=1.0)
    assert not any(op.options for op in events)


def test_what_is_asked_for_changes_nothing_else():
    plain = play("register", right_store(WORKLOADS["register"], 2), 2, seconds=1.0)
    asking = play("register", right_store(WORKLOADS["register"], 2), 2, seconds=1.0, quorums=0.5)
    assert [(op.f, op.key, op.id, op.basis) for op in plain] == [
        (op.f, op.key, op.id, op.basis) for op in asking
    ]


class Reads:
    """A script that only reads, or only writes."""

    def __init__(self, op):
        self.op = op

    def next(self, process, last, now=0):
        return self.op, self


def options_of(op, setting, count=200):
    shares = {**dict.fromkeys(REQUEST_OPTIONS, 0.0), "quorums": 1.0}
    limits = (setting.n, setting.compares, setting.durable, setting.local)
    script = Asking(Reads(op), Rng(1), shares, *limits)
    for _ in range(count):
        asked, script = script.next(0, None)
        yield asked.options


def test_a_get_and_a_put_ask_for_what_makes_sense():
    gets = list(options_of(Op(f="get", key="k"), Setting()))
    puts = list(options_of(Op(f="put", key="k", id="0.0"), Setting()))
    assert {name for options in gets for name in options} == {"n", "r", "pr"}
    assert {name for options in puts for name in options} == {"n", "w", "pw", "dw"}


def test_nothing_is_asked_for_that_the_cluster_cannot_give():
    """Copies on disks where there are none; fewer primaries where nothing repairs the others."""
    puts = options_of(Op(f="put", key="k", id="0.0"), Setting(durable=False, compares=False, n=2))
    assert {name for options in puts for name in options} == {"w", "pw"}
    one = options_of(Op(f="get", key="k"), Setting(n=1))
    assert {number for options in one for number in options.values()} == {1}


def test_answers_of_one_zone_are_asked_for_where_each_zone_has_them():
    asked = list(options_of(Op(f="get", key="k"), Setting(n=4, local=2)))
    assert {options.get("local") for options in asked} == {None, 1, 2}
    assert not any("n" in options and "local" in options for options in asked)


def write_number(rng, seen):
    return Modification(seen.number), rng


def script(modify=write_number, **shares):
    return ReadModifyWrite(Rng(1), uniform(["k"]), modify, OperationMix(**{**NONE, **shares}))


def ended(index, f, time=0, **fields):
    return Op(index=index, type="ok", process=0, f=f, key="k", time=time, **fields)


def test_a_write_continues_from_all_that_the_answer_before_showed():
    seen = []

    def modify(rng, what):
        seen.append(what.siblings)
        return Modification(what.number), rng

    _, rest = script(modify, chained=1.0).next(0, None)
    op, rest = rest.next(0, ended(1, "get", siblings=[]))
    both = [Sibling("9.9", 4), Sibling(op.id, op.value)]
    op, _ = rest.next(0, ended(3, "put", id=op.id, siblings=both))
    assert (op.f, op.basis, seen[-1]) == ("put", 3, tuple(both))


def test_an_old_write_has_the_first_context_that_showed_anything():
    _, rest = script(old=1.0).next(0, None)
    op, rest = rest.next(0, ended(1, "get", siblings=[]))
    assert op.basis == 1
    for index in (3, 5, 7):
        op, rest = rest.next(0, ended(index, "get", siblings=[Sibling("9.9", 1)]))
        assert op.basis == 3


def test_a_share_of_writes_deletes_what_is_there_or_not():
    op, _ = script(deleting(1.0, write_number), blind=1.0).next(0, None)
    assert (op.f, op.value, op.basis) == ("delete", None, None)
    assert deleting(0.0, write_number) is write_number


SECOND = 1_000_000_000


def test_a_key_is_created_again_when_its_tombstone_falls_due():
    rest = script(deleting(1.0, write_number), blind=1.0, recreate=1.0)
    rest = ReadModifyWrite(
        Rng(1), uniform(["k"]), rest.modify, rest.shares, setting=Setting(reap_after=2.0)
    )
    op, rest = rest.next(0, None)
    _, rest = rest.next(0, ended(1, "delete", 5 * SECOND, id=op.id), 5 * SECOND)
    (grave,) = rest.graves
    assert 5 + 2 * 0.97 <= grave.due / SECOND <= 5 + 2 * 1.35
    get = ended(3, "get", 6 * SECOND, siblings=[])
    _, early = rest.next(0, get, grave.due - 1)
    assert early.graves == (grave,)
    op, due = rest.next(0, get, grave.due)
    assert (op.key, due.graves) == ("k", ())
    # what is written meanwhile by the client itself is not a tombstone any more
    _, written = rest.next(0, ended(5, "put", 6 * SECOND, id="0.7"), grave.due - 1)
    assert written.graves == ()


def test_crowded_keys_lie_in_one_partition_of_64_and_are_written_first():
    keys = WORKLOADS["crowded"].keys(["k0", "k1"])
    of = {key: int.from_bytes(md5(key.encode()).digest()) * 64 >> 128 for key in keys}
    assert len(set(keys)) == 600
    for given, used in (("k0", keys[:300]), ("k1", keys[300:])):
        assert {of[key] for key in used} == {of[used[0]]}
        assert all(key.startswith(f"{given}.") for key in used)
    store = right_store(WORKLOADS["crowded"], 1)
    events = play("crowded", store, 1, seconds=4.0, keys=1, rate=200.0)
    first = [op.key for op in invoked(events, "get", "put")][:250]
    assert len(set(first)) > 240


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lww_with_deletes_is_valid_on_a_correct_store(seed):
    store = right_store(WORKLOADS["lww"], seed)
    events = play("lww", store, seed, deletes=0.4, recreate=0.5)
    assert sum(op.f == "delete" for op in invoked(events, "delete")) > 50
    results = judge("lww", events)
    assert results.verdict is Verdict.VALID, (results.counts(), results.reasons())
