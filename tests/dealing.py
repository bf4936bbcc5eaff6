"""The order in which the workers of `pytest -n` get the tests.

xdist gives each worker a block of tests that follow each other, and a worker that has nothing left
takes half of what another still has, from its end. Tests with processes wait most of their time,
the others compute, and some take a hundred times as long. So each worker begins with its share of
the modules that have processes, which wait beside each other, and ends with tests that take
milliseconds: the processors are never idle, and at the end no worker waits for another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TypeVar

Test = TypeVar("Test")


def dealt(
    tests: Sequence[Test],
    workers: int,
    module: Callable[[Test], object],
    slow: Callable[[Test], bool],
) -> list[Test]:
    """The same tests in such an order, for blocks of equal length. Modules with slow tests stay
    whole, so that what is made once for a module is; a test that comes twice comes twice."""
    modules = [list(group) for _, group in groupby(tests, module)]
    blocks: list[list[Test]] = [[] for _ in range(workers)]
    load = [0] * workers
    for tests_of_module in sorted(filter(_any(slow), modules), key=lambda m: -sum(map(slow, m))):
        least = load.index(min(load))
        blocks[least] += tests_of_module
        load[least] += sum(map(slow, tests_of_module))
    quick = [test for each in modules if not _any(slow)(each) for test in each]
    for number, block in enumerate(blocks):
        left = workers - number
        wanted = (len(quick) + sum(map(len, blocks[number:]))) // left - len(block)
        block += quick[: max(0, wanted)]
        del quick[: max(0, wanted)]
    return [*(test for block in blocks for test in block), *quick]


def _any(slow: Callable[[Test], bool]) -> Callable[[Sequence[Test]], bool]:
    return lambda tests: any(map(slow, tests))
