"""`divergence`: section 6.3 of the paper. How many versions do reads of shopping carts return?

The paper counted them for 24 hours of its shopping cart, and names failures and concurrent writers
as their two sources, of which the second made most. So each is varied here alone, in simulation:
first the clients that write to one cart at about the same time, then faults.
"""

from __future__ import annotations

from collections import Counter
from itertools import count

from dynamesis.checkers.history.counts import counted
from dynamesis.harness.experiments.base import Curve, Findings, Plot, Row, Say, Scale
from dynamesis.harness.worlds.options import plan_test
from dynamesis.harness.worlds.simulated.run import simulate
from dynamesis.harness.worlds.test_spec import TestSpec

#: s of load, operations a second, and tests a row
SECONDS, RATE, TESTS = 20.0, 100.0, 3
#: clients for each cart that is in use: below 1, seldom two at a time
WRITERS = ((1, 400), (4, 2000), (4, 400), (4, 100), (10, 40), (20, 5))
#: families of faults, and how many clients and carts meet them
FAULTS = ("none", "kill", "pause", "cut", "cut,kill,pause")
_MET = (4, 100)
#: s of load, at whatever effort: less has too few reads for a share
_LEAST = 1.0

_PAPER = (
    "section 6.3, 24 hours: 99.94% of the requests saw one version, 0.00057% two, 0.00047% three, "
    "0.00009% four; divergence came from concurrent writers more than from failures"
)


def run(scale: Scale, say: Say) -> Findings:
    """A row for each number of writers a cart, and for each family of faults."""
    rows: list[Row] = []
    for clients, carts in WRITERS:
        say(f"{counted(clients, 'client')} on {carts} carts")
        rows.append(_row("none", clients, carts, scale))
    for faults in FAULTS[1:]:
        say(f"faults: {faults}")
        rows.append(_row(faults, *_MET, scale))
    by_writers = [row for row in rows if row["faults"] == "none"]
    points = sorted((row["clients_a_cart"], 100 - row["one_%"]) for row in by_writers)
    calm = next(row for row in by_writers if (row["clients"], row["carts"]) == _MET)
    faulty = {row["faults"]: row["one_%"] for row in rows if row["faults"] != "none"}
    return Findings(
        rows=rows,
        paper=_PAPER,
        plot=Plot(
            "clients a cart",
            "reads that see several versions, %",
            [Curve("without faults", points)],
            log=True,
        ),
        notes=[
            f"with {_MET[0]} clients on {_MET[1]} carts {calm['one_%']:.4g}% of the reads see one "
            "version without faults, and "
            + ", ".join(f"{share:.4g}% under {faults}" for faults, share in faulty.items()),
            "the paper's carts are millions, each of one customer: the rows of least concurrency "
            "are nearest to it",
        ],
    )


def _row(faults: str, clients: int, carts: int, scale: Scale) -> Row:
    seen: Counter[int] = Counter()
    seconds = max(_LEAST, SECONDS * min(1.0, scale.effort))
    tests = scale.of(TESTS)
    for number in count():
        if number >= tests and seen:  # of shares there are none without a read
            break
        seen += _versions(faults, clients, carts, scale.seed + number, seconds)
    reads = seen.total()

    def share(versions: int) -> float:
        return round(100 * seen[versions] / reads, 4)

    more = sum(times for versions, times in seen.items() if versions > 3)
    return {
        "faults": faults,
        "clients": clients,
        "carts": carts,
        "clients_a_cart": round(clients / carts, 4),
        "reads": reads,
        "one_%": share(1),
        "two_%": share(2),
        "three_%": share(3),
        "more_%": round(100 * more / reads, 4),
    }


def _versions(faults: str, clients: int, carts: int, seed: int, seconds: float) -> Counter[int]:
    """How many reads saw how many versions, of those that saw any, while there was load."""
    options = plan_test(
        TestSpec(
            workload="cart",
            nemesis=tuple(faults.split(",")),
            concurrency=clients,
            keys=carts,
            option=("distribution=uniform",),
            rate=RATE,
            time_limit=seconds,
            seed=seed,
        )
    )
    seen: Counter[int] = Counter()
    for op in simulate(options).history:
        if op.f == "phase" and op.value == "heal":
            break
        if op.f == "get" and op.type == "ok" and op.siblings:
            seen[len(op.siblings)] += 1
    return seen
