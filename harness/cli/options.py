"""What a test is asked to be, checked before anything is started."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from cluster.storage import ENGINES
from cluster.zoo import BUGS
from harness.cli.exits import Wrong
from harness.cli.values import duration, one_of, within
from harness.links import LINKS
from harness.nemesis import PACKAGES
from workloads import WORKLOADS

#: Ring partitions.
PARTITIONS = 64


@dataclass(frozen=True)
class Options:
    """A test that makes sense. `time_limit` in seconds, `rate` in operations a second."""

    workload: str
    nemesis: tuple[str, ...]
    nodes: tuple[str, ...]
    n: int
    r: int
    w: int
    sloppy: bool
    time_limit: float
    rate: float
    concurrency: int
    keys: int
    seed: int
    links: str
    storage: str
    bugs: tuple[str, ...]
    port_base: int | None

    @property
    def name(self) -> str:
        """The folder of this kind of test, such as cart-cut+kill."""
        return f"{self.workload}-{'+'.join(self.nemesis)}"


def parse(
    *, nemesis: str, nodes: int, time_limit: str, seed: int | None, bugs: list[str], **rest: Any
) -> Options:
    """Raises Wrong for the first value or combination that makes no sense."""
    within("--nodes", nodes, 1, 20)
    if seed is not None:
        within("--seed", seed, 0, 2**63 - 1)
    options = Options(
        nemesis=faults("--nemesis", nemesis),
        nodes=tuple(f"n{i}" for i in range(1, nodes + 1)),
        time_limit=duration("--time-limit", time_limit),
        seed=secrets.randbelow(2**32) if seed is None else seed,
        bugs=tuple(one_of("--bug", bug, BUGS) for bug in bugs),
        **rest,
    )
    one_of("--workload", options.workload, WORKLOADS)
    one_of("--links", options.links, LINKS)
    one_of("--storage", options.storage, ENGINES)
    within("--rate", options.rate, 0.1, 100_000)
    within("--concurrency", options.concurrency, 1, 10_000)
    within("--keys", options.keys, 1, 1_000_000)
    replication(options.n, options.r, options.w, nodes)
    _possible(options)
    return options


def faults(flag: str, text: str) -> tuple[str, ...]:
    """The nemesis packages that `text` names; () for none."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        one_of(flag, name, PACKAGES)
    return names


def replication(n: int, r: int, w: int, nodes: int) -> None:
    """Complain of numbers of copies that no ring of so many nodes can have."""
    within("--n", n, 1, 20)
    if n > nodes:
        raise Wrong(f"--n: {n} copies need {n} nodes, and --nodes is {nodes}")
    for flag, value in (("--r", r), ("--w", w)):
        within(flag, value, 1, 20)
        if value > n:
            raise Wrong(f"{flag}: {value} answers cannot come from {n} copies (--n {n})")


def _possible(options: Options) -> None:
    """Complain of faults that the links cannot do, or that leave nothing to test."""
