"""`load-balance`: figures 6 and 8 of the paper, by computation on the store's own ring.

Figure 8 compares the three partitioning strategies by efficiency (mean load of a node over the
largest) at equal metadata. Figure 6 counts the nodes whose load is more than 15% from the mean,
while the load rises: few popular keys hit few nodes, many popular keys spread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate
from random import Random
from statistics import mean

from dynamesis.cluster.core.protocol.messages import Key
from dynamesis.cluster.core.ring.claim import claim
from dynamesis.cluster.core.ring.ring import Ring, position
from dynamesis.cluster.core.ring.strategies import Point, figure_8, random_tokens, walk
from dynamesis.harness.experiments.base import Curve, Findings, Plot, Row, Say, Scale

NODES, N = 30, 3
#: a node is out of balance when its load is this far from the mean
OUT = 0.15
#: requests of one window, from a quiet to a busy one
LOADS = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000)
#: of strategy 1, and partitions of strategy 3 that are as much metadata
TOKENS = 32
#: popularity of the keys of a window: the k-th is asked for with a share like 1/k**S
_SKEW, _KEYS = 0.6, 100_000
#: windows that are averaged
_WINDOWS = 5

_PAPER = (
    "Figure 8 (S=30, N=3): strategy 3 has the best load-balance efficiency, strategy 2 the worst. "
    "Figure 6: some 20% of the nodes are out of balance (by 15%) at low load, 10% at high load."
)

#: key -> the nodes that may coordinate a request for it
Replicas = Callable[[Key], tuple[str, ...]]


def run(scale: Scale, say: Say) -> Findings:
    """Both figures. Rows of figure 8 have `metadata`, those of figure 6 `requests`."""
    tokens = (1, 2, 4, 8, 16, 32, 64) if scale.effort >= 1 else (1, 4, 16)
    say(f"figure 8: {len(tokens)} sizes of metadata")
    eight = figure_8(tokens, NODES, N, scale.of(5))
    say(f"figure 6: {len(LOADS)} loads")
    six = list(_figure_6(scale))
    worst_two = sum(row["2"] <= min(row["1"], row["3"]) for row in eight)
    best_three = sum(row["3"] >= max(row["1"], row["2"]) for row in eight)
    lines = [
        Curve(f"strategy {s}", [(row["metadata"], row[s]) for row in eight])
        for s in ("1", "2", "3")
    ]
    rows: list[Row] = [{"figure": 8, **row} for row in eight]
    rows += [{"figure": 6, **row} for row in six]
    return Findings(
        rows=rows,
        paper=_PAPER,
        plot=Plot("metadata, entries", "load-balance efficiency", lines, log=True),
        notes=[
            f"strategy 3 is best at {best_three} of {len(eight)} sizes, strategy 2 is worst at "
            f"{worst_two}",
            "computed on the ring of the store (cluster.core.ring), keys placed by MD5; popularity "
            f"of keys like 1/k^{_SKEW:g} among {_KEYS:,}",
        ],
        figures={"strategy_3_best": best_three, "strategy_2_worst": worst_two, "sizes": len(eight)},
    )


def _figure_6(scale: Scale) -> Sequence[Row]:
    seeds = [scale.seed + i for i in range(_WINDOWS)]
    three = _by_partitions()
    rows = []
    for requests in LOADS:
        shares: dict[str, list[float]] = {"1": [], "3": []}
        for seed in seeds:
            asked = _window(scale.of(requests, 300), seed)
            one = _by_tokens(random_tokens(NODES, TOKENS, seed))
            shares["1"].append(_out_of_balance(asked, one, seed))
            shares["3"].append(_out_of_balance(asked, three, seed))
        means = {strategy: round(mean(found), 3) for strategy, found in shares.items()}
        rows.append({"requests": scale.of(requests, 300), **means})
    return rows


@cache
def _popularity() -> tuple[float, ...]:
    """The shares of the keys, summed up."""
    return tuple(accumulate(1 / k**_SKEW for k in range(1, _KEYS + 1)))


def _window(requests: int, seed: int) -> Counter[Key]:
    """How often each key is asked for in a window of so many requests."""
    drawn = Random(seed).choices(range(_KEYS), cum_weights=_popularity(), k=requests)
    return Counter(Key(b"key-%d-%d" % (seed, k)) for k in drawn)


def _out_of_balance(asked: Counter[Key], replicas: Replicas, seed: int) -> float:
    """The share of nodes whose load is more than OUT from the mean; each request goes to one of
    its key's replicas, drawn evenly."""
    random, load = Random(seed), Counter[str]()
    for key, times in asked.items():
        load.update(random.choices(replicas(key), k=times))
    mean = load.total() / NODES
    loads = [load[f"n{i}"] for i in range(NODES)]
    return sum(abs(each - mean) > OUT * mean for each in loads) / NODES


def _by_tokens(ring: list[Point]) -> Replicas:
    """Strategy 1."""
    positions = [at for at, _ in ring]
    walks = [walk(ring, i, N) for i in range(len(ring))]
    return lambda key: walks[bisect_left(positions, position(key)) % len(ring)]


def _by_partitions() -> Replicas:
    """Strategy 3, the store's own, with as many partitions as strategy 1 has tokens."""
    names = [f"n{i}" for i in range(NODES)]
    ring = Ring(claim(names, NODES * TOKENS, N + 1), N)
    return lambda key: ring.primaries(ring.partition(key))
