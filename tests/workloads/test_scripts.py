"""What clients do, read off literal and long histories."""

from collections import Counter
from functools import lru_cache
from hashlib import md5

import msgspec
import pytest
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.op import Op, OpError, Sibling
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import Rng
from dynamesis.harness.generators.distributions import uniform
from dynamesis.harness.generators.simulate import simulate
from dynamesis.workloads import WORKLOADS
from dynamesis.workloads.append import as_transactions
from dynamesis.workloads.cart import change_cart, merge
from dynamesis.workloads.script.colocated_keys import colocated_key
from dynamesis.workloads.script.final_reads import ATTEMPTS, WAIT, final_reads
from dynamesis.workloads.script.modification import (
    REMEMBERED,
    Modification,
    OperationMix,
    ReadModifyWrite,
    SeenValues,
)
from play import play
from stores import Store


@lru_cache
def history(name, seed=1, **options):
    return play(name, Store(Rng(seed)), seed, **{"seconds": 4.0, **options})


def final(events):
    return next(op.index for op in events if op.f == "phase" and op.value == "final")


def invoked(events, *fs):
    return [op for op in events if op.type == "invoke" and op.f in fs]


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_seed_decides_everything(name):
    one, again, other = (play(name, Store(Rng(s)), s, seconds=1) for s in (5, 5, 6))
    assert one == again
    assert one != other


@pytest.mark.parametrize("name", WORKLOADS)
def test_ids_are_unique_and_name_their_process(name):
    writes = invoked(history(name), "put", "delete")
    assert len({op.id for op in writes}) == len(writes) > 100
    assert all(op.id.startswith(f"{op.process}.") for op in writes)
    assert max(op.process for op in writes) > 6, "no process was ever retired"


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_basis_is_an_earlier_ok_of_the_same_key(name):
    events = history(name)
    for op in invoked(events, "put", "delete"):
        if op.basis is not None:
            basis = events[op.basis]
            assert basis.index < op.index
            assert basis.type == "ok"
            assert basis.key == op.key or WORKLOADS[name].options["foreign"].default
            assert basis.f in ("get", "put", "delete")


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_rate_is_kept(name):
    events = history(name)
    load = invoked(events[: final(events)], "put", "get", "delete")
    assert 340 < len(load) < 460


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_key_is_read_in_the_end(name):
    events = history(name)
    read = {op.key for op in events[final(events) :] if op.f == "get" and op.type == "ok"}
    assert read == set(WORKLOADS[name].keys(["k0", "k1", "k2", "k3"]))


def write_number(rng, seen):
    return Modification(seen.number), rng


def script(**shares):
    none = {"blind": 0.0, "stale": 0.0, "chained": 0.0, "unread": 0.0, "foreign": 0.0}
    return ReadModifyWrite(Rng(1), uniform(["k"]), write_number, OperationMix(**{**none, **shares}))


def ended(index, type, process, f, **fields):
    return Op(index=index, type=type, process=process, f=f, key="k", **fields)


GET = Op(f="get", key="k")


def test_read_modify_write_step_by_step():
    op, rest = script().next(3, None)
    assert op == GET
    op, rest = rest.next(3, ended(7, "ok", 3, "get", siblings=[Sibling("1.0", 9)]))
    assert op == Op(f="put", key="k", id="3.0", value=6, basis=7)
    op, rest = rest.next(3, ended(9, "ok", 3, "put", id="3.0"))
    assert op == GET
    op, rest = rest.next(8, ended(11, "info", 3, "get", error=OpError("timeout", False)))
    assert op == GET
    op, rest = rest.next(8, ended(13, "ok", 8, "get", siblings=[]))
    assert (op.id, op.basis) == ("8.1", 13)


def test_a_chained_write_continues_from_the_put_before():
    _, rest = script(chained=1.0).next(0, None)
    op, rest = rest.next(0, ended(1, "ok", 0, "get", siblings=[]))
    op, rest = rest.next(0, ended(3, "ok", 0, "put", id=op.id))
    assert op == Op(f="put", key="k", id="0.1", value=2, basis=3)
    op, rest = rest.next(0, ended(5, "fail", 0, "put", id=op.id))
    assert op == GET


def test_a_blind_write_has_a_null_basis():
    op, _ = script(blind=1.0).next(0, None)
    assert op == Op(f="put", key="k", id="0.0", value=0, basis=None)


def test_a_stale_write_continues_from_what_was_known_before():
    _, rest = script(stale=1.0).next(0, None)
    op, rest = rest.next(0, ended(1, "ok", 0, "get", siblings=[Sibling("9.9", 1)]))
    op, rest = rest.next(0, ended(3, "fail", 0, "put", id=op.id))
    assert (op.f, op.basis) == ("put", 1)


def test_a_failed_read_does_not_keep_the_client_from_writing():
    _, rest = script(unread=1.0).next(0, None)
    op, rest = rest.next(0, ended(1, "fail", 0, "get"))
    assert (op.f, op.basis) == ("put", None)
    op, rest = rest.next(0, ended(3, "ok", 0, "put", id=op.id))
    op, rest = rest.next(0, ended(5, "fail", 0, "get"))
    assert (op.f, op.basis) == ("put", 3)


def test_a_mistaken_write_comes_with_the_context_of_another_key():
    _, rest = script(foreign=1.0).next(0, Op(index=1, type="ok", process=0, f="get", key="a"))
    op, _ = rest.next(0, Op(index=3, type="ok", process=0, f="get", key="b"))
    assert (op.f, op.key, op.basis) == ("put", "b", 1)


def test_colocated_keys_lie_in_one_partition_of_every_ring():
    for key in ("k0", "k1", "cart/7"):
        halves = [int.from_bytes(md5(name.encode()).digest()) for name in (key, colocated_key(key))]
        assert key != colocated_key(key)
        for partitions in (16, 64, 1024, 4096):
            first, second = (half * partitions >> 128 for half in halves)
            assert first == second


def test_the_mistaken_context_is_that_of_the_colocated_key_where_it_is_known():
    rest = script(foreign=1.0)
    for index, key in enumerate(("a", "b", colocated_key("k"), "c", "k")):
        op, rest = rest.next(0, Op(index=index, type="ok", process=0, f="get", key=key))
    assert (op.key, op.basis) == ("k", 2)


def test_what_was_known_of_a_key_long_ago_is_forgotten():
    rest = script()
    for number in range(REMEMBERED + 5):
        key = f"k{number % (REMEMBERED + 1)}"
        _, rest = rest.next(0, Op(index=number, type="ok", process=0, f="get", key=key))
    assert len(rest.known) == REMEMBERED
    assert set(rest.known) == {f"k{i}" for i in range(REMEMBERED + 1)} - {"k4"}


def test_numbers_are_unique():
    seen = [SeenValues(process, serial, ()).number for process in range(40) for serial in range(40)]
    assert len(set(seen)) == 1600


def cart(*items):
    return {"add": "x", "items": list(items)}


def test_a_cart_merges_its_siblings_by_union_and_ignores_what_is_not_a_cart():
    siblings = (
        Sibling("1.0", cart("a", "b")),
        Sibling("2.0", cart("b", "c")),
        Sibling("3.0", cart("z"), deleted=True),
        Sibling("4.0", "garbage"),
        Sibling("5.0", {"items": 7}),
    )
    assert merge(SeenValues(0, 0, siblings)) == ["a", "b", "c"]


def test_a_cart_is_written_as_it_is_after_the_change():
    changes, rng = [], Rng(1)
    for serial in range(200):
        change, rng = change_cart(rng, SeenValues(0, serial, (Sibling("1.0", cart("a", "b")),)))
        changes.append(change.value)
    removed = [value for value in changes if "remove" in value]
    added = [value for value in changes if "add" in value]
    assert 30 < len(removed) < 90
    assert all(sorted([*value["items"], value["remove"]]) == ["a", "b"] for value in removed)
    assert all(sorted(["a", "b", value["add"]]) == value["items"] for value in added)


def test_a_full_cart_is_only_taken_from():
    full = SeenValues(0, 0, (Sibling("1.0", cart(*(f"s{i}" for i in range(40)))),))
    assert all("remove" in change_cart(Rng(seed), full)[0].value for seed in range(20))


def test_the_options_have_their_effect():
    blind = invoked(history("blind", blind=1.0, stale=0.0), "put")
    assert all(op.basis is None for op in blind)
    hot = Counter(op.key for op in invoked(history("cart", distribution="hot-key"), "put"))
    assert hot["k0"] > 4 * (hot["k1"] + hot["k2"] + hot["k3"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blnd": 1}, "workload register has no option 'blnd': it has distribution, blind, stale"),
        ({"blind": 1.5}, "blind: 1.5 is not a number from 0 to 1"),
        ({"blind": "some"}, "blind: 'some' is not a number from"),
        ({"distribution": "bell"}, "'bell' is none of uniform, exponential, zipf, hot-key"),
    ],
)
def test_wrong_options_are_refused_with_what_is_allowed(options, message):
    with pytest.raises(ValueError, match=message):
        WORKLOADS["register"].generator(Rng(1), ["k"], 10, options)


def test_appends_and_reads_are_transactions_of_one_operation():
    value = {"append": 2, "list": [1, 2]}
    events = [
        Op(type="info", process="harness", f="phase", value="load"),
        Op(type="invoke", process=0, f="put", key="k", id="0.1", value=value, basis=None),
        Op(type="invoke", process=1, f="get", key="k"),
        Op(type="info", process=0, f="put", key="k", id="0.1", error=OpError("timeout", False)),
        Op(type="ok", process=1, f="get", key="k", siblings=[
            Sibling("0.0", {"append": 1, "list": [1]}), Sibling("0.1", value),
        ]),
    ]  # fmt: skip
    seen = list(as_transactions(History.of(events)).ops())
    assert [(op.index, op.type, op.process, op.f, op.value) for op in seen] == [
        (0, "info", "harness", "note", None),
        (1, "invoke", 0, "txn", [["append", "k", 2]]),
        (2, "invoke", 1, "txn", [["r", "k", None]]),
        (3, "info", 0, "txn", [["append", "k", 2]]),
        (4, "ok", 1, "txn", [["r", "k", [1, 2]]]),
    ]


def test_a_list_has_one_writer_whose_puts_only_grow():
    lists, writers = {}, {}
    for op in invoked(history("append"), "put"):
        shown = op.value["list"]
        assert shown[-1] == op.value["append"]
        refused = [e for e in lists.get(op.key, []) if e not in shown]
        assert len(refused) <= 1, "only the last append can have been refused"
        lists[op.key] = shown
        writers.setdefault(op.key, set()).add(op.process % 6)
    assert len(writers) == 4
    assert all(len(threads) == 1 for threads in writers.values())


def outcomes(*types):
    """A store whose operations end so, one after the other; then all in ok."""
    rest = list(types)

    def complete(op):
        return Op(
            type=rest.pop(0) if rest else "ok", process=op.process, f=op.f, key=op.key,
            time=op.time + 10,
        )  # fmt: skip

    return complete


def test_final_reads_are_tried_again_until_ok():
    events = simulate(final_reads(["a", "b"]), outcomes("fail", "ok", "info"), concurrency=2)
    assert [(op.type, op.process, op.f, op.key) for op in events] == [
        ("invoke", 0, "get", "a"),
        ("invoke", 1, "get", "b"),
        ("fail", 0, "get", "a"),
        ("ok", 1, "get", "b"),
        ("invoke", 0, "get", "a"),
        ("info", 0, "get", "a"),
        ("invoke", 1, "get", "a"),
        ("ok", 1, "get", "a"),
    ]
    tries = [op.time for op in events if op.type == "invoke" and op.key == "a"]
    assert tries == [0, WAIT + 10, 3 * WAIT + 20]


def test_final_reads_give_up_a_key_that_never_answers():
    events = simulate(final_reads(["a"]), outcomes(*["info"] * 99), concurrency=2)
    assert len(invoked(events, "get")) == ATTEMPTS


def test_final_reads_leave_a_store_with_few_places_in_peace():
    """A store that refuses whatever comes while two requests are in progress, and as many as
    eight clients: each read succeeds, and most of them the first time."""
    busy: list[int] = []

    def complete(op):
        busy[:] = [until for until in busy if until > op.time]
        if len(busy) >= 2:
            refused = OpError(code="overloaded", definite=True, message="2 are in progress")
            return msgspec.structs.replace(op, type="fail", time=op.time + 10, error=refused)
        busy.append(op.time + 1000)
        return msgspec.structs.replace(op, type="ok", time=op.time + 1000)

    keys = [f"k{n}" for n in range(200)]
    events = simulate(final_reads(keys), complete, concurrency=8)
    assert {op.key for op in events if op.type == "ok"} == set(keys)
    assert len(invoked(events, "get")) < 2 * len(keys)


def test_the_final_reads_keep_off_the_nemesis():
    events = simulate(gen.phases(final_reads("abcdef")), outcomes(), concurrency=2)
    assert {op.process for op in events} == {0, 1}
