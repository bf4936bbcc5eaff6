"""What all tests share."""

from __future__ import annotations

import gc
import logging
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.dealing import dealt
from tests.examples import examples

# a machine that is busy with other things is slow, and no input is at fault for that
settings.register_profile(
    "any-machine",
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any-machine")

# a worker holds some ten thousand tests, and most of what a test makes is freed without the
# collector: to look for cycles after every 700 objects takes a tenth of the time of a simulation
gc.set_threshold(20_000, 20, 20)

# what is started in the background of a script ignores ctrl-C, and so would what tests start
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Workers of `-n` get tests that follow each other, so that fixtures of a module are made once,
    and one that has nothing left takes from another: some tests take a hundred times as long."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each worker begins with its share of the tests that have processes (tests/dealing.py)."""
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    if workers > 1:
        items[:] = dealt(
            items, workers, lambda item: item.path, lambda item: "cluster" in item.keywords
        )


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """No test leaves a handler behind, or a level, that another would meet."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
