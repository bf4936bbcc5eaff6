"""Which tests are run: each bug under what suits it, or all under one storm.

The pair of a bug's test differs from it in nothing but the bug: faults are drawn from
seed, nemesis and options alone. Bugs that share these share the pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.campaign.journal import Run
from harness.campaign.matrix import Cell
from harness.campaign.spec import Budget, Campaign

#: s that a bug may take to be caught, by the wall clock, from the start of a test to its
#: verdict: under what suits it, and in a storm over all its tests
SUITED, STORM = 60.0, 180.0
_ONE_COPY = ("--n=1", "--r=1", "--w=1")
_ELEVEN = ("--nodes=11", "--n=11", "--concurrency=22", "--links=embedded")
#: What a storm tries one after the other, by workload, nemesis and more arguments of
#: `dynamesis test`; it knows nothing of any bug. First everything at once. Then fewer faults
#: at a time, which therefore come more often; in clusters in which little hides: one copy of
#: a key has nobody who could heal it, three nodes own it all, eleven all write to it; and
#: what nodes do rarely, they do often here.
MIX: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("register", "storm", ("--keys=4",)),
    ("bulk", "cut,disk,membership", (*_ONE_COPY, "--links=embedded")),
    ("delete", "cut,kill", ("--strict", "--param=tree_expiry=4")),
    ("lww", "clock,cut,kill", ("--nodes=3", "--keys=40")),
    ("bulk", "load,pause,wipe", ("--nodes=3",)),
    ("hot-key", "kill,link", _ELEVEN),
    ("bulk", "cut,disk", ()),
    ("bulk", "cut,membership", (*_ONE_COPY, "--links=embedded")),
)
_CLEAN = "clean"


@dataclass(frozen=True)
class Specimen:
    """A planted bug: what is wrong, the test that suits it (`options`: more arguments of
    `dynamesis test`), and the anomalies of which one must be found."""

    name: str
    mechanism: str
    workload: str
    nemesis: str
    anomalies: tuple[str, ...]
    options: tuple[str, ...] = ()

    @property
    def config(self) -> str:
        """The configuration with the bug."""
        return " ".join((self.name, *self.options))

    @property
    def pair(self) -> str:
        """The configuration without the bug."""
        return " ".join((_CLEAN, *self.options))


def is_clean(cell: Cell) -> bool:
    """Whether nothing is planted in this test."""
    return planted_in(cell) == _CLEAN


def suited(
    specimens: Sequence[Specimen], seeds: Iterable[int], limit: str, seconds: float
) -> Campaign:
    """Each bug under what suits it, seed by seed, each test after its pair. `limit`: how
    long the load lasts, which is so many `seconds`."""
    cells = [
        Cell(each.workload, each.nemesis, config, seed)
        for seed in seeds
        for each in specimens
        for config in (each.pair, each.config)
    ]
    configs: dict[str, tuple[str, ...]] = {}
    for each in specimens:
        configs |= {each.pair: each.options, each.config: (f"--bug={each.name}", *each.options)}
    return _campaign("zoo", limit, seconds, configs, cells)


def storm(specimens: Sequence[Specimen], seed: int, limit: str, seconds: float) -> Campaign:
    """All bugs in turn through one round after the other; the pairs come last in each, when
    it is known whether they are needed."""
    planted = {each.name: (f"--bug={each.name}",) for each in specimens} | {_CLEAN: ()}
    configs: dict[str, tuple[str, ...]] = {}
    cells = []
    for turn, (workload, nemesis, options) in enumerate(MIX):
        for name, bug in planted.items():
            config = " ".join((name, *options))
            configs[config] = (*bug, *options)
            cells.append(Cell(workload, nemesis, config, seed + turn))
    return _campaign("zoo-storm", limit, seconds, configs, cells)


def planted_in(cell: Cell) -> str:
    """The name of the bug; "clean" for none."""
    return cell.config.partition(" ")[0]


def _campaign(
    name: str,
    limit: str,
    seconds: float,
    configs: dict[str, tuple[str, ...]],
    cells: list[Cell],
) -> Campaign:
    once = tuple(dict.fromkeys(cells))
    return Campaign(name, limit, seconds, configs, once, Budget(reruns=0))


def needed(cell: Cell, cells: Sequence[Cell], runs: Sequence[Run]) -> bool:
    """Whether a storm still wants this test: the bug is free and has time left; a pair has
    something to be the pair of."""
    if is_clean(cell):
        paired = (each.name for each in cells if not is_clean(each) and _same(each, cell))
        return bool({run.cell for run in runs} & set(paired))
    mine = {each.name for each in cells if planted_in(each) == planted_in(cell)}
    tried = [run for run in runs if run.cell in mine]
    if any(run.verdict == "invalid" for run in tried):
        return False
    another = max((run.seconds for run in tried), default=0.0)
    return sum(run.seconds for run in tried) + another <= STORM


def _same(a: Cell, b: Cell) -> bool:
    """Whether two tests of a storm are of one round: each round has its own seed."""
    return a.seed == b.seed
