"""Every combinator against simulated completions: whole literal histories."""

from dataclasses import dataclass
from itertools import pairwise

import msgspec
import pytest
from dynamesis.harness import generators as gen
from dynamesis.harness.generators.schedule import start
from dynamesis.harness.generators.simulate import (
    Deadlock,
    imperfect,
    invocations,
    perfect,
    perfect_info,
    quick,
    simulate,
)
from literal import begun, fs, rows

A, B, C = gen.invoke("a"), gen.invoke("b"), gen.invoke("c")
MS = 1_000_000
S = 1_000_000_000


def letters(text):
    return [gen.invoke(f) for f in text]


def ending(op, type):
    return msgspec.structs.replace(op, type=type, time=op.time + 10)


def test_nothing_gives_an_empty_history():
    for source in (None, [], [None, []], gen.limit(0, gen.repeat(A)), gen.mix(gen.Rng(1))):
        assert quick(source) == []


def test_an_op_is_emitted_once():
    assert rows(perfect(gen.invoke("a", value=7))) == [
        (0, "invoke", 0, "a", 7),
        (10, "ok", 0, "a", 7),
    ]


def test_a_sequence_emits_in_order_and_indices_have_no_gaps():
    history = perfect([A, [B, None], C])
    assert rows(history) == [
        (0, "invoke", 0, "a", None),
        (0, "invoke", 1, "b", None),
        (0, "invoke", "nemesis", "c", None),
        (10, "ok", 0, "a", None),
        (10, "ok", 1, "b", None),
        (10, "ok", "nemesis", "c", None),
    ]
    assert [op.index for op in history] == [0, 1, 2, 3, 4, 5]


def test_an_op_waits_for_the_process_it_names_and_lapses_with_it():
    named = gen.invoke("b")
    named.process = 0
    assert begun(perfect(gen.clients([A, named, C]))) == [(0, 0, "a"), (10, 0, "b"), (10, 1, "c")]
    assert begun(perfect_info(gen.clients([A, named, C]))) == [(0, 0, "a"), (10, 1, "c")]


def test_limit_and_once():
    assert fs(quick(gen.limit(3, gen.repeat(A)))) == "aaa"
    assert fs(quick(gen.limit(3, [A, B]))) == "ab"
    assert fs(quick(gen.once([A, B]))) == "a"


def test_repeat_emits_the_first_op_of_a_sequence_and_cycle_the_whole_of_it():
    assert fs(quick(gen.repeat([A, B], 3))) == "aaa"
    assert fs(quick(gen.limit(5, gen.cycle([A, B])))) == "ababa"
    assert fs(quick(gen.cycle([]))) == ""


def test_concat_does_not_wait_but_then_and_phases_do():
    assert begun(perfect(gen.clients(gen.concat(A, B)))) == [(0, 0, "a"), (0, 1, "b")]
    assert begun(perfect(gen.clients(gen.then(A, B)))) == [(0, 0, "a"), (10, 1, "b")]
    assert rows(perfect(gen.clients(gen.phases([A, B], C)))) == [
        (0, "invoke", 0, "a", None),
        (0, "invoke", 1, "b", None),
        (10, "ok", 0, "a", None),
        (10, "ok", 1, "b", None),
        (10, "invoke", 0, "c", None),
        (20, "ok", 0, "c", None),
    ]


def test_a_crashed_process_is_replaced_by_its_number_plus_the_concurrency():
    source = gen.clients(gen.limit(5, gen.repeat(A)))
    assert rows(perfect_info(source)) == [
        (0, "invoke", 0, "a", None),
        (0, "invoke", 1, "a", None),
        (10, "info", 0, "a", None),
        (10, "invoke", 2, "a", None),
        (10, "info", 1, "a", None),
        (10, "invoke", 3, "a", None),
        (20, "info", 2, "a", None),
        (20, "invoke", 4, "a", None),
        (20, "info", 3, "a", None),
        (30, "info", 4, "a", None),
    ]


def test_the_nemesis_is_never_retired():
    source = gen.nemesis(gen.limit(2, gen.repeat(A)))
    assert rows(perfect_info(source)) == [
        (0, "invoke", "nemesis", "a", None),
        (10, "info", "nemesis", "a", None),
        (10, "invoke", "nemesis", "a", None),
        (20, "info", "nemesis", "a", None),
    ]


def test_imperfect_fails_crashes_and_succeeds_in_turn():
    source = gen.clients(gen.limit(4, gen.repeat(A)))
    assert rows(imperfect(source, concurrency=1)) == [
        (0, "invoke", 0, "a", None),
        (10, "fail", 0, "a", None),
        (10, "invoke", 0, "a", None),
        (20, "info", 0, "a", None),
        (20, "invoke", 1, "a", None),
        (30, "ok", 1, "a", None),
        (30, "invoke", 1, "a", None),
        (40, "fail", 1, "a", None),
    ]


def test_clients_and_nemesis_keep_to_their_threads():
    source = gen.nemesis(gen.repeat(B, 2), gen.repeat(A, 4))
    assert begun(perfect(source)) == [
        (0, "nemesis", "b"),
        (0, 0, "a"),
        (0, 1, "a"),
        (10, "nemesis", "b"),
        (10, 0, "a"),
        (10, 1, "a"),
    ]


def test_any_lets_sources_take_turns_so_that_none_starves():
    source = gen.clients(gen.limit(6, gen.any(gen.repeat(A), gen.repeat(B))))
    assert fs(perfect(source)) == "ababab"
    assert fs(perfect(gen.any([A, A], [B], None))) == "aba"


def test_each_thread_gives_every_thread_its_own_copy():
    assert begun(perfect(gen.each_thread([A, B]))) == [
        (0, 0, "a"),
        (0, 1, "a"),
        (0, "nemesis", "a"),
        (10, 0, "b"),
        (10, 1, "b"),
        (10, "nemesis", "b"),
    ]


def test_each_process_begins_anew_after_a_crash_and_each_thread_does_not():
    per_process = gen.clients(gen.limit(6, gen.each_process([A, B])))
    per_thread = gen.clients(gen.limit(6, gen.each_thread([A, B])))
    assert begun(imperfect(per_process, concurrency=1)) == [
        (0, 0, "a"),
        (10, 0, "b"),
        (20, 1, "a"),
        (30, 1, "b"),
    ]
    assert begun(imperfect(per_thread, concurrency=1)) == [(0, 0, "a"), (10, 0, "b")]


def test_reserve_gives_each_source_its_threads():
    source = gen.clients(
        gen.limit(6, gen.reserve((1, gen.repeat(A)), (1, gen.repeat(B)), default=gen.repeat(C)))
    )
    assert begun(perfect(source, concurrency=3)) == [
        (0, 0, "a"),
        (0, 1, "b"),
        (0, 2, "c"),
        (10, 0, "a"),
        (10, 1, "b"),
        (10, 2, "c"),
    ]


def test_on_threads_hides_the_other_threads_and_their_events():
    traced = []
    inner = gen.trace("t", traced.append, [A, B])
    quick(gen.any(gen.on_threads(lambda t: t == 1, inner), gen.on_threads(lambda t: t == 0, C)))
    updates = [line for line in traced if "update" in line]
    assert len(updates) == 2
    assert all("process=1" in line for line in updates)


def test_process_limit_bounds_how_many_processes_are_used_up():
    source = gen.clients(gen.process_limit(3, gen.repeat(A)))
    assert [op.process for op in invocations(perfect_info(source))] == [0, 1, 2]


def test_until_ok_stops_at_the_first_ok():
    source = gen.clients([gen.until_ok(gen.repeat(A)), B])
    assert fs(imperfect(source, concurrency=1)) == "aaab"
    assert fs(perfect_info(gen.clients(gen.until_ok(gen.repeat(A, 3))), concurrency=1)) == "aaa"


def test_until_ok_does_not_take_the_ok_of_another_for_its_own():
    source = gen.any(
        gen.on_threads(lambda t: t == 0, gen.until_ok(gen.repeat(A, 3))),
        gen.on_threads(lambda t: t == 1, gen.repeat(B, 3)),
    )
    history = simulate(
        source,
        lambda op: ending(op, "ok" if op.f == "b" else "fail"),
    )
    assert sorted(fs(history)) == list("aaabbb")


def test_flip_flop_alternates_until_the_next_to_speak_is_exhausted():
    assert fs(quick(gen.flip_flop(gen.repeat(A), letters("xyz")))) == "axayaza"
    assert fs(quick(gen.flip_flop(None, letters("xyz")))) == ""


def test_mix_is_drawn_from_the_seed_and_drops_what_is_exhausted():
    source = gen.mix(gen.Rng(3), gen.repeat(A, 3), gen.repeat(B, 3), C)
    text = fs(quick(source))
    assert sorted(text) == list("aaabbbc")
    assert text == fs(quick(source))
    other = gen.mix(gen.Rng(4), gen.repeat(A, 3), gen.repeat(B, 3), C)
    assert fs(quick(other)) != text


def test_stagger_spreads_operations_over_all_threads():
    source = gen.clients(gen.limit(400, gen.stagger(0.01, gen.repeat(A), gen.Rng(1))))
    times = [op.time for op in invocations(perfect(source, concurrency=4))]
    gaps = [b - a for a, b in pairwise(times)]
    assert times[0] == 0
    assert max(gaps) <= 20 * MS
    assert 9 * MS < sum(gaps) / len(gaps) < 11 * MS


def test_what_is_paced_is_asked_once_until_it_is_due_or_something_happens():
    asked = []

    class Counted:
        def op(self, ctx):
            asked.append(ctx.time)
            return gen.repeat(A).op(ctx)

        def update(self, ctx, event):
            return self

    schedule = start(gen.delay(1, gen.repeat(Counted())), 2)
    op, schedule = schedule.ask(0)
    schedule = schedule.invoked(op)
    for now in (1, 2, 3):
        wanted, schedule = schedule.ask(now)
        assert wanted.until == 1_000_000_000
    assert asked == [0, 1]
    schedule = schedule.completed(msgspec.structs.replace(op, type="ok", time=4))
    schedule.ask(4)
    assert asked == [0, 1, 4]
    op, _ = schedule.ask(1_000_000_000)
    assert op.f == "a"


def test_a_source_without_end_is_asked_only_when_an_operation_is_due():
    asked = []

    class Counted:
        def op(self, ctx):
            asked.append(ctx.time)
            op, _ = gen.repeat(A).op(ctx)
            return op, self

        def update(self, ctx, event):
            return self

    for endless in (False, True):
        asked.clear()
        source = gen.rate(1, Counted(), gen.Rng(1), "fixed", endless=endless)
        times = [op.time for op in invocations(perfect(gen.clients(gen.limit(5, source))))]
        assert times == [0, S, 2 * S, 3 * S, 4 * S]
        assert (set(asked) == {*times}) is endless


def test_rate_is_a_poisson_process_of_so_many_a_second():
    source = gen.clients(gen.time_limit(10, gen.rate(100, gen.repeat(A), gen.Rng(1))))
    times = [op.time for op in invocations(perfect(source))]
    assert 900 < len(times) < 1100
    assert max(b - a for a, b in pairwise(times)) > 40 * MS


def test_clumped_operations_keep_the_rate_and_come_together():
    source = gen.rate(100, gen.repeat(A), gen.Rng(1), "clumped")
    events = perfect(gen.clients(gen.time_limit(20, source)), concurrency=20)
    times = [op.time for op in invocations(events)]
    assert 1750 < len(times) < 2250
    together = sum(a == b for a, b in pairwise(times))
    assert 0.55 < together / len(times) < 0.65


def test_delay_and_sleep_in_virtual_time():
    assert begun(perfect(gen.clients(gen.delay(3, [A, B, C])))) == [
        (0, 0, "a"),
        (3 * S, 1, "b"),
        (6 * S, 0, "c"),
    ]
    assert begun(perfect(gen.nemesis([gen.sleep(5), A, gen.sleep(5), B]))) == [
        (5 * S, "nemesis", "a"),
        (10 * S + 10, "nemesis", "b"),
    ]


def test_a_sleeping_nemesis_does_not_hold_up_the_clients_nor_they_wake_it():
    source = gen.nemesis([gen.sleep(2), B], gen.delay(1, gen.repeat(A, 4)))
    assert begun(perfect(source)) == [
        (0, 0, "a"),
        (1 * S, 1, "a"),
        (2 * S, "nemesis", "b"),
        (2 * S, 0, "a"),
        (3 * S, 1, "a"),
    ]


def test_time_limit_ends_on_time_though_its_source_would_sleep_on():
    source = [
        gen.time_limit(5, gen.nemesis(gen.cycle([gen.sleep(2), B]), gen.delay(3, gen.repeat(A)))),
        C,
    ]
    assert begun(quick(source)) == [
        (0, 0, "a"),
        (2 * S, "nemesis", "b"),
        (3 * S, 1, "a"),
        (4 * S, "nemesis", "b"),
        (5 * S, 0, "c"),
    ]


def test_an_op_of_the_future_waits_and_is_overtaken():
    late = gen.invoke("l", time=50)
    assert begun(perfect(gen.any(late, gen.repeat(A, 3)))) == [
        (0, 0, "a"),
        (0, 1, "a"),
        (0, "nemesis", "a"),
        (50, 0, "l"),
    ]
    assert begun(perfect(gen.time_limit(10e-9, [A, late]))) == [(0, 0, "a")]


def test_cycle_times_lets_sources_speak_by_the_clock():
    source = gen.clients(
        gen.time_limit(7, gen.delay(1, gen.cycle_times((2, gen.repeat(A)), (1, gen.repeat(B)))))
    )
    assert fs(quick(source)) == "aabaaba"


def test_a_change_of_turns_is_not_missed_while_the_source_waits():
    slow = gen.cycle_times((2, gen.clients([A, gen.sleep(60), A])), (1, gen.repeat(B)))
    assert begun(quick(gen.limit(2, slow), concurrency=1)) == [(0, 0, "a"), (2 * S, "nemesis", "b")]


def test_map_f_map_and_filter():
    def double(op):
        return msgspec.structs.replace(op, value=op.value * 2)

    numbers = [gen.invoke("w", value=i) for i in range(4)]
    assert [op.value for op in invocations(quick(gen.map(double, numbers)))] == [0, 2, 4, 6]
    even = gen.filter(lambda op: op.value % 2 == 0, numbers)
    assert [op.value for op in invocations(quick(even))] == [0, 2]
    assert fs(quick(gen.f_map({"a": "x"}, [A, B]))) == "xb"


def test_log_puts_a_remark_into_the_history_and_takes_no_thread():
    assert rows(perfect(gen.clients([A, gen.log("half-way"), B]), concurrency=2)) == [
        (0, "invoke", 0, "a", None),
        (0, "info", "harness", "log", "half-way"),
        (0, "invoke", 1, "b", None),
        (10, "ok", 0, "a", None),
        (10, "ok", 1, "b", None),
    ]


def test_draw_makes_operations_from_its_own_stream():
    def make(rng):
        n, rng = rng.below(100)
        return gen.invoke("w", value=n), rng

    values = [op.value for op in invocations(quick(gen.limit(5, gen.draw(gen.Rng(1), make))))]
    expected, rng = [], gen.Rng(1)
    for _ in range(5):
        n, rng = rng.below(100)
        expected.append(n)
    assert values == expected


def test_a_source_without_threads_is_exhausted_and_holds_none_up():
    assert quick(gen.clients(A), concurrency=0) == []
    assert fs(quick(gen.clients(gen.reserve((2, [A, B]), default=C)))) == "ab"
    assert fs(quick([gen.clients(gen.nemesis(A)), B])) == "b"


@dataclass(frozen=True)
class Never:
    def op(self, ctx):
        return gen.PENDING, self

    def update(self, ctx, event):
        return self


def test_a_generator_that_can_never_continue_is_a_deadlock():
    with pytest.raises(Deadlock, match="waits for ever at 10 ns"):
        perfect([A, Never()])
