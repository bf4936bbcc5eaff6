"""Which tests are run: each bug under what suits it, or all under one storm.

The pair of a bug's test differs from it in nothing but the bug: faults are drawn from
seed, nemesis and options alone. Bugs that share these share the pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dynamesis.harness.campaign.budget import Budget
from dynamesis.harness.campaign.journal import CellRun
from dynamesis.harness.campaign.matrix import Cell
from dynamesis.harness.campaign.spec import Campaign
from dynamesis.harness.worlds.test_spec import overrides

#: s that a bug may take to be caught, by the wall clock, from the start of a test to its
#: verdict: under what suits it, and in a storm over all its tests
SUITED, STORM = 60.0, 440.0
_ONE_COPY = ("--n=1", "--r=1", "--w=1")
_ELEVEN = ("--nodes=11", "--n=11", "--concurrency=22", "--links=embedded")
_ZONES = "--param=zones={n1: a, n2: a, n3: b, n4: b}"
#: with a second fallback in one zone
_FIVE_IN_ZONES = "--param=zones={n1: a, n2: a, n3: b, n4: b, n5: b}"
#: clients that use all that the interface offers
_CLIENTS = tuple(
    f"--option={name}"
    for name in (
        "bodies=0.2", "direct=0.2", "hedges=0.1", "quorums=0.3", "retries=0.5", "timeouts=0.05"
    )
)  # fmt: skip
_DELETES = ("--option=deletes=0.3", "--option=recreate=0.5", "--option=retries=0.5")
_REAPED = ("--keys=20", "--rate=150", "--option=distribution=uniform", "--option=recreate=0.9")
#: What a storm tries one after the other, by workload, nemesis and more options,
#: noted as flags; it knows nothing of any bug. First all faults together. Then fewer faults
#: at a time, which therefore come more often; in clusters in which little hides: one copy of
#: a key has no replica that could heal it, three nodes own it all, eleven all write to it, without
#: anti-entropy nothing is healed behind the readers' backs; and what nodes and clients do
#: rarely, they do often here. What the others cannot show comes before what they may show too.
MIX: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("register", "storm", ("--keys=4", *_CLIENTS)),
    ("bulk", "cut,disk,membership", (*_ONE_COPY, "--links=embedded")),
    ("lww", "clock,cut,kill", ("--nodes=3", "--keys=40", *_DELETES)),
    ("delete", "cut,kill", ("--param=tree_expiry=4", *_REAPED, "--option=old=0.1")),
    ("register", "kill,link",
     ("--keys=6", "--param=durability=buffered", _FIVE_IN_ZONES, *_CLIENTS)),
    ("crowded", "cut,membership",
     (*_ONE_COPY, "--keys=2", "--rate=200", "--links=embedded", "--param=tree_expiry=1")),
    ("register", "cut,disk.lost-writes,disk.power,link,pause",
     (*_ONE_COPY, "--keys=3", "--links=embedded")),
    ("delete", "cut,kill,wipe",
     ("--nodes=4", "--strict", "--param=anti_entropy_interval=0", _ZONES)),
    ("hot-key", "wipe.coordinator,wipe.old-coordinator,wipe.old-disk",
     ("--nodes=3", "--keys=2", "--r=1", "--option=old=0.2", "--option=deletes=0.1")),
    ("register", "cut,membership,membership.three", ("--strict", "--keys=20", *_CLIENTS)),
    ("bulk", "load,pause,wipe", ("--nodes=3",)),
    ("register", "cut,kill.after-pause,kill.after-stop,kill.mid-stop",
     ("--nodes=3", "--strict", "--option=quorums=0.3")),
    ("hot-key", "kill,link", _ELEVEN),
    ("bulk", "cut,disk", ()),
    ("crowded", "cut.exchange,membership.away-and-back,membership.leave-and-back",
     (*_ONE_COPY, "--keys=2", "--rate=200", "--links=embedded")),
    ("lww", "clock.jump,link.slow",
     ("--r=1", "--w=1", "--keys=6", "--rate=200", "--option=direct=0.5", "--option=chained=0.5")),
    ("delete", "cut.one-way,link.jitter,link.slow,pause.one",
     (*_REAPED, "--param=reap_after=0.3", "--param=handoff_interval=2")),
    ("register", "cut,kill", ("--n=4", "--keys=6", _FIVE_IN_ZONES, "--option=quorums=0.8")),
)  # fmt: skip
_CLEAN = "clean"


@dataclass(frozen=True)
class Specimen:
    """A planted bug: what is wrong, the test that suits it (`options`: more options, noted as
    flags of `dynamesis test`), and the anomalies of which one must be found, none where any will
    do. `planted`: FILE.py:NAME of one that is not in the table."""

    name: str
    mechanism: str
    workload: str
    nemesis: str
    anomalies: tuple[str, ...]
    options: tuple[str, ...] = ()
    planted: str = ""

    @property
    def bug(self) -> str:
        """As `--bug` takes it."""
        return self.planted or self.name

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
    configs: dict[str, dict[str, Any]] = {}
    for each in specimens:
        options = overrides(each.options)
        configs |= {each.pair: options, each.config: {**options, "bug": each.bug}}
    return _campaign("zoo", limit, seconds, configs, cells)


def storm(specimens: Sequence[Specimen], seed: int, limit: str, seconds: float) -> Campaign:
    """All bugs in turn through one round after the other; the pairs come last in each, when
    it is known whether they are needed."""
    planted = {each.name: {"bug": each.bug} for each in specimens} | {_CLEAN: {}}
    configs: dict[str, dict[str, Any]] = {}
    cells = []
    for turn, (workload, nemesis, options) in enumerate(MIX):
        for name, bug in planted.items():
            config = " ".join((name, *options))
            configs[config] = {**bug, **overrides(options)}
            cells.append(Cell(workload, nemesis, config, seed + turn))
    return _campaign("zoo-storm", limit, seconds, configs, cells)


def planted_in(cell: Cell) -> str:
    """The name of the bug; "clean" for none."""
    return cell.config.partition(" ")[0]


def _campaign(
    name: str,
    limit: str,
    seconds: float,
    configs: Mapping[str, Mapping[str, Any]],
    cells: list[Cell],
) -> Campaign:
    once = tuple(dict.fromkeys(cells))
    return Campaign(name, limit, seconds, configs, once, Budget(reruns=0))


def needed(cell: Cell, cells: Sequence[Cell], runs: Sequence[CellRun]) -> bool:
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
