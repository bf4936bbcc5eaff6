"""A bank: transfers move money between accounts, every read shows all balances.

Accounts begin with nothing, and may owe: what a store does not know of an account is 0, so that
nothing needs to be set up, and all balances always add up to 0.
Catches reads that see half a transfer, and transfers of which one overwrote the other
(`wrong-total`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dynamesis.checkers.history.op import Op
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import Rng
from dynamesis.harness.generators.distributions import DISTRIBUTIONS
from dynamesis.workloads.base import DISTRIBUTION, Chosen, Workload
from dynamesis.workloads.plain.common import reads_share
from dynamesis.workloads.script.settings import Load, Option
from dynamesis.workloads.script.shared import Drawn, SharedScript


def accounts(chosen: Chosen) -> tuple[str, ...]:
    """The names of all accounts."""
    return tuple(f"a{number}" for number in range(int(chosen["accounts"])))


def read_all(chosen: Chosen) -> Op:
    """A read of all balances, which names the accounts."""
    return gen.invoke("read", value=dict.fromkeys(accounts(chosen)))


def _shared(load: Load) -> SharedScript:
    names = accounts(load.options)
    distribution = DISTRIBUTIONS[str(load.options["distribution"])](names)
    reads, largest = load.number("reads"), int(load.options["largest"])
    read_op = read_all(load.options)

    def draw(rng: Rng, _: int) -> tuple[Op, Rng]:
        read, rng = rng.chance(reads)
        if read:
            return read_op, rng
        giver, rng = distribution.pick(rng)
        taker, rng = rng.choice([name for name in names if name != giver])
        amount, rng = rng.between(1, largest)
        return Op(f="transfer", value={"from": giver, "to": taker, "amount": amount}), rng

    return Drawn(load.rng, draw)


def _facts(chosen: Chosen) -> Mapping[str, Any]:
    return {"accounts": list(accounts(chosen)), "total_amount": 0, "negative_balances": True}


def _final(_: Sequence[str], chosen: Chosen) -> Iterable[Op]:
    return [read_all(chosen)]


BANK = Workload(
    name="bank",
    description="transfers between accounts: catches reads of half a transfer, and transfers that "
    "overwrite each other",
    shared=_shared,
    model="bank",
    facts=_facts,
    operations=("transfer", "read"),
    final=_final,
    options={
        "distribution": DISTRIBUTION,
        "reads": reads_share(0.5),
        "accounts": Option(8, (2, 1000), "how many accounts there are"),
        "largest": Option(5, (1, 1_000_000), "the largest amount of a transfer"),
    },
)
