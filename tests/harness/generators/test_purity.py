"""Calls of a generator change nothing in it, and the seed decides everything."""

import msgspec
import pytest
from dynamesis.harness import generators as gen
from dynamesis.harness.generators.base import Cast, Context, Pending
from dynamesis.harness.generators.schedule import Schedule, start
from dynamesis.harness.generators.simulate import imperfect, perfect

A, B = gen.invoke("a"), gen.invoke("b")
ENDLESS = gen.repeat(A)

SOURCES = {
    "concat": [A, B, A],
    "limit": gen.limit(9, ENDLESS),
    "cycle": gen.limit(9, gen.cycle([A, B])),
    "mix": gen.limit(9, gen.mix(gen.Rng(1), ENDLESS, gen.repeat(B, 3))),
    "any": gen.limit(9, gen.any(ENDLESS, gen.repeat(B))),
    "each_thread": gen.each_thread([A, B, gen.sleep(1e-9), A]),
    "each_process": gen.limit(9, gen.each_process([A, B])),
    "reserve": gen.limit(9, gen.reserve((1, ENDLESS), default=gen.repeat(B))),
    "phases": gen.phases([A, B], [B, gen.sleep(1), A]),
    "until_ok": gen.until_ok(ENDLESS),
    "flip_flop": gen.flip_flop(gen.repeat(A, 3), gen.repeat(B)),
    "process_limit": gen.limit(9, gen.process_limit(4, ENDLESS)),
    "stagger": gen.limit(9, gen.stagger(1e-8, ENDLESS, gen.Rng(1))),
    "rate": gen.limit(9, gen.rate(1e8, ENDLESS, gen.Rng(1))),
    "delay": gen.limit(9, gen.delay(1e-8, ENDLESS)),
    "time_limit": gen.time_limit(1e-7, gen.delay(1e-8, ENDLESS)),
    "cycle_times": gen.limit(9, gen.cycle_times((1e-8, ENDLESS), (1e-8, gen.repeat(B)))),
    "nemesis": gen.nemesis([gen.sleep(1e-8), B], gen.repeat(A, 5)),
    "log": [A, gen.log("x"), B],
    "map": gen.f_map({"a": "x"}, [A, B]),
    "filter": gen.filter(lambda op: op.f == "a", [A, B, A]),
    "draw": gen.limit(3, gen.draw(gen.Rng(1), lambda rng: (A, rng.next()[1]))),
}


def unchanged(schedule, transition, argument):
    """What the transition gives, after a check that it gives it twice and leaves no trace."""
    before = repr(schedule)
    result = transition(schedule, argument)
    assert repr(transition(schedule, argument)) == repr(result)
    assert repr(schedule) == before
    return result


@pytest.mark.parametrize("name", SOURCES)
def test_op_and_update_leave_every_state_as_it_was(name):
    """Walk a whole run; at each state call `op` and `update` twice, and compare what the state
    looks like before and after."""
    schedule, busy, now = start(SOURCES[name], concurrency=2), [], 0
    for index in range(200):
        step = unchanged(schedule, Schedule.ask, now)
        if step is None and not busy:
            return
        if step is not None and not isinstance(step[0], Pending):
            event, after = msgspec.structs.replace(step[0], index=index), step[1]
            schedule = unchanged(after, Schedule.invoked, event)
            busy = [*busy, event] if event.type == "invoke" else busy
        elif busy:
            after, now = schedule if step is None else step[1], now + 10
            ends = "info" if index % 3 == 2 else "ok"
            event = msgspec.structs.replace(busy.pop(0), type=ends, time=now, index=index)
            schedule = unchanged(after, Schedule.completed, event)
        else:
            now, schedule = step[0].until, step[1]
    pytest.fail("did not end")


@pytest.mark.parametrize("name", SOURCES)
def test_the_same_source_gives_the_same_history(name):
    assert perfect(SOURCES[name]) == perfect(SOURCES[name])
    assert imperfect(SOURCES[name]) == imperfect(SOURCES[name])


def test_another_seed_gives_another_history():
    def staggered(seed):
        return gen.limit(5, gen.stagger(1, ENDLESS, gen.Rng(seed)))

    assert perfect(staggered(1)) != perfect(staggered(2))


def test_a_context_restricted_to_some_threads_knows_no_others():
    ctx = Context(5, (1, "nemesis"), Cast({0: 4, 1: 1, "nemesis": "nemesis"}))
    others = Cast({1: 1, "nemesis": "nemesis"})
    assert ctx.alone(0) == Context(5, (), Cast({0: 4}))
    assert ctx.only(lambda t: t != 0) == Context(5, (1, "nemesis"), others)
    assert ctx.thread(4) == 0
    assert ctx.thread(0) is None
    assert not ctx.idle
    assert ctx.only(lambda t: t != 0).idle
