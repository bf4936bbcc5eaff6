"""Workers get the tests with processes first, in equal shares."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.dealing import dealt

Test = tuple[int, bool, int]


def listed(modules: list[list[bool]]) -> list[Test]:
    """(module, whether it is slow, number) for each."""
    return [
        (number, slow, at)
        for number, module in enumerate(modules)
        for at, slow in enumerate(module)
    ]


def order(tests: list[Test], workers: int) -> list[Test]:
    return dealt(tests, workers, lambda test: test[0], lambda test: test[1])


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=5), max_size=12), st.integers(1, 5))
def test_each_test_is_there_once_and_modules_with_processes_stay_whole(
    modules: list[list[bool]], workers: int
) -> None:
    tests = listed(modules)
    dealt_out = order(tests, workers)
    assert sorted(dealt_out) == sorted(tests)
    for number, module in enumerate(modules):
        at = [i for i, test in enumerate(dealt_out) if test[0] == number]
        assert [dealt_out[i] for i in at] == [test for test in tests if test[0] == number]
        if any(module):
            assert at == list(range(at[0], at[0] + len(at)))


def test_every_worker_begins_with_its_share_and_ends_with_what_is_quick() -> None:
    modules = [[False] * 3] * 20 + [[True, False]] * 8
    blocks = order(listed(modules), 4)
    block = len(blocks) // 4
    assert 4 * block == len(blocks)
    for worker in range(4):
        mine = [slow for _, slow, _ in blocks[worker * block : (worker + 1) * block]]
        assert mine[:4] == [True, False] * 2
        assert not any(mine[4:])
