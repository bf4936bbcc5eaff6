"""Scripts continue whatever a store answers, and with any number of keys and clients."""

import pytest
from dynamesis.checkers.history.op import Op, OpError, Sibling
from dynamesis.checkers.verdict import Verdict
from dynamesis.harness.generators import Rng
from dynamesis.workloads import WORKLOADS
from dynamesis.workloads.base import Load
from dynamesis.workloads.client.client import encode
from hypothesis import given, settings
from hypothesis import strategies as st
from play import judge, play
from stores import right_store

from tests.examples import examples

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text("ab"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["items", "elements", "list", "counts", "3"]), inner)
    ),
    max_leaves=6,
)
SIBLINGS = st.lists(st.builds(Sibling, st.sampled_from(["1.0", "2.0", "?"]), JSON, st.booleans()))
ENDINGS = st.lists(st.tuples(st.sampled_from(["ok", "ok", "fail", "info"]), SIBLINGS), max_size=12)


@pytest.mark.parametrize("name", WORKLOADS)
@settings(max_examples=examples(6), deadline=None)
@given(st.integers(0, 99), ENDINGS)
def test_no_answer_breaks_a_script(name, seed, endings):
    workload = WORKLOADS[name]
    keys = workload.keys(["k0", "k1"])
    script, last = workload.script(Load(Rng(seed), 0, keys, workload.configure())), None
    for number, (ending, siblings) in enumerate(endings):
        op, script = script.next(3, last)
        assert op.key in keys
        assert op.f in ("get", "put", "delete")
        assert (op.f == "get") == (op.id is None)
        encode(op.id or "", op.value)
        last = Op(
            index=2 * number + 1, type=ending, process=3, f=op.f, key=op.key, id=op.id,
            siblings=siblings if (op.f, ending) == ("get", "ok") else None,
            error=None if ending == "ok" else OpError("overloaded", ending == "fail"),
        )  # fmt: skip


@pytest.mark.parametrize(("keys", "concurrency"), [(1, 1), (1, 5), (5, 6)])
@pytest.mark.parametrize("name", WORKLOADS)
def test_any_number_of_keys_and_clients_will_do(name, keys, concurrency):
    store = right_store(WORKLOADS[name], 3)
    events = play(name, store, 3, seconds=2, keys=keys, concurrency=concurrency)
    results = judge(name, events)
    assert results.verdict is Verdict.VALID, (results.counts(), results.reasons())
