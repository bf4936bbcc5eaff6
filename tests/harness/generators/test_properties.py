"""What holds of every generator, however it is put together."""

from collections import Counter

import msgspec
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import Rng
from dynamesis.harness.generators.simulate import simulate
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples

LETTERS = st.sampled_from("abcd").map(gen.invoke)
SECONDS = st.sampled_from([0.0, 1e-8, 3e-8, 1.0])
RNGS = st.integers(0, 3).map(Rng)
COUNTS = st.integers(0, 4)


def _even(op):
    return op.f in "ac"


def _branches(inner):
    several = st.lists(inner, max_size=3)
    paced = st.sampled_from(["uniform", "exponential", "clumped"])
    return st.one_of(
        several,
        several.map(lambda gens: gen.any(*gens)),
        several.map(lambda gens: gen.phases(*gens)),
        st.builds(lambda rng, gens: gen.mix(rng, *gens), RNGS, several),
        st.builds(gen.limit, COUNTS, inner),
        st.builds(gen.once, inner),
        st.builds(gen.repeat, inner, COUNTS),
        st.builds(gen.cycle, inner),
        st.builds(gen.process_limit, COUNTS, inner),
        st.builds(gen.until_ok, inner),
        st.builds(gen.flip_flop, inner, inner),
        st.builds(gen.clients, inner, inner),
        st.builds(lambda n, a, b: gen.reserve((n, a), default=b), COUNTS, inner, inner),
        st.builds(gen.each_thread, inner),
        st.builds(gen.each_process, inner),
        st.builds(gen.synchronize, inner),
        st.builds(gen.delay, SECONDS, inner),
        st.builds(gen.stagger, SECONDS, inner, RNGS, paced),
        st.builds(gen.time_limit, SECONDS, inner),
        st.builds(lambda a, b: gen.cycle_times((2e-8, a), (1e-8, b)), inner, inner),
        inner.map(lambda g: gen.filter(_even, gen.limit(5, g))),
        st.builds(gen.f_map, st.just({"a": "x"}), inner),
    )


LEAVES = st.one_of(LETTERS, st.none(), SECONDS.map(gen.sleep), st.just("hm").map(gen.log))
SOURCES = st.recursive(LEAVES, _branches, max_leaves=12)


def play(source, seed, concurrency):
    rng = Rng(seed)

    def complete(op):
        nonlocal rng
        ending, rng = rng.choice(("ok", "fail", "info"))
        latency, rng = rng.below(30)
        return msgspec.structs.replace(op, type=ending, time=op.time + latency)

    return simulate(gen.time_limit(2e-6, gen.limit(60, source)), complete, concurrency)


@settings(max_examples=examples(50), deadline=None)
@given(SOURCES, st.integers(0, 9), st.integers(1, 3))
def test_every_history_is_well_formed_and_decided_by_its_seed(source, seed, concurrency):
    history = play(source, seed, concurrency)
    assert history == play(source, seed, concurrency)
    assert [op.index for op in history] == list(range(len(history)))
    assert [op.time for op in history] == sorted(op.time for op in history)
    open_ops, retired = Counter(), set()
    for op in history:
        if op.f == "log":
            continue
        assert op.process not in retired
        open_ops[op.process] += 1 if op.type == "invoke" else -1
        assert 0 <= open_ops[op.process] <= 1
        if op.type == "info" and op.process != "nemesis":
            retired.add(op.process)
    assert not +open_ops
    assert len({p % concurrency for p in open_ops if isinstance(p, int)}) <= concurrency
