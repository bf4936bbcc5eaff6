"""A whole test for `dynamesis bench checkers`: a storm of all faults, with the logs of its nodes.

The other cases are histories of correct stores without faults, which are easy to judge. Here each
checker has what it works on in earnest: quorums under outages, sessions of clients that were cut
off, versions that may be forgotten, and the nodes' event logs. The test runs in virtual time, so
that it is the same one on every machine and its minutes need not pass; what is measured is what
`dynamesis check` does with its folder.
"""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dynamesis.checkers.history.pairing import INVOKE
from dynamesis.checkers.simulate.bench import Clock, Measurement, alone, cpu

NAME = "storm"
#: operations a second, and the longest test, s: six minutes have some 43,000 operations
RATE, LONGEST = 120.0, 360.0
#: of the test: any would do
SEED = 7


def sizes(asked: Sequence[int]) -> list[int]:
    """The operations of each test to run: as asked for, none longer than LONGEST."""
    return sorted({min(size, round(RATE * LONGEST)) for size in asked})


def run(asked: Sequence[int], clock: Clock) -> Iterator[Measurement]:
    """Record and judge a test of each size, smallest first."""
    for size in sizes(asked):
        with tempfile.TemporaryDirectory() as store:
            folder = alone(record, size / RATE, store)
            yield alone(measure, folder, clock)


def record(seconds: float, store: str) -> Path:
    """Run the test; returns its folder."""
    from dynamesis.harness.worlds.run_test import run_test

    result = run_test(
        world="simulated",
        nemesis=["storm"],
        rate=RATE,
        time_limit=seconds,
        keys=40,
        seed=SEED,
        store=store,
    )
    return result.folder


def measure(folder: Path, clock: Clock) -> Measurement:
    """Load and judge the test in a folder, its nodes' logs with it."""
    from dynamesis.harness.check.evaluate import judge_history, locate, read, stored_test

    within, path = locate(folder)
    test = {} if within is None else stored_test(within)
    start, used = clock(), cpu()
    history = read(path)
    loaded, loaded_cpu = clock(), cpu()
    results = judge_history(history, test)
    done, done_cpu = clock(), cpu()
    begun = int(((history.kind == INVOKE) & (history.process >= 0)).sum())
    return Measurement(
        NAME,
        begun,
        round(loaded - start, 3),
        round(done - loaded, 3),
        round(done_cpu - used, 3),
        round(done_cpu - loaded_cpu, 3),
        round(begun / (done - start)),
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        round(sum(each.stat().st_size for each in _judged(folder, path)) / (1 << 20), 1),
        results["valid"],
    )


def _judged(folder: Path, history: Path) -> list[Path]:
    """What is read: the history and the nodes' logs."""
    from dynamesis.harness.report.nodelog import nodes_of

    return [history, *nodes_of(folder).values()]


#: Cases of whole tests: name -> what measures tests of these sizes
TESTS: dict[str, Callable[[Sequence[int], Clock], Iterator[Measurement]]] = {NAME: run}
