"""Waits until a store is at rest that has no exchanges to be watched (harness.run.quiesce): by what
it reports, by what its replicas hold, or for so long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.processes.clock import clock
from dynamesis.harness.processes.patience import Patience
from dynamesis.harness.run.quiesce import INTERVAL, QuiesceOutcome
from dynamesis.harness.targets.capabilities import Quiet, ReplicaDumps
from dynamesis.harness.targets.system import TargetMistake, described


async def until_at_rest(
    quiet: Quiet, deadline: float, interval: float = INTERVAL
) -> QuiesceOutcome:
    """Wait, without load, until the store reports that it is at rest, or `deadline` seconds of
    a machine that is not busy have passed. A mistake in the code that asks it ends the wait: it
    would be there the next time too."""
    began, patience = clock().monotonic(), Patience(deadline)
    waiting: JsonObject = {"at_rest": False}
    while waiting and not patience.over:
        try:
            waiting = {} if await quiet.at_rest() else {"at_rest": False}
        except TargetMistake as mistake:
            waiting = {"at_rest": str(mistake)}
            break
        except Exception as failure:
            waiting = {"at_rest": described(failure)}
        if waiting:
            await asyncio.sleep(interval)
    return QuiesceOutcome(not waiting, round(clock().monotonic() - began, 3), waiting)


async def until_alike(
    nodes: Sequence[str], dumps: ReplicaDumps, deadline: float, interval: float = INTERVAL
) -> QuiesceOutcome:
    """Wait, without load, until all nodes hold the same, or `deadline` seconds of a machine that
    is not busy have passed. Where they never do, the dumps that follow show it."""
    began, patience = clock().monotonic(), Patience(deadline)
    while not patience.over and not await _are_alike(nodes, dumps):
        await asyncio.sleep(interval)
    waited = round(clock().monotonic() - began, 3)
    return QuiesceOutcome(True, waited, {}, waited=waited)


async def _are_alike(nodes: Sequence[str], dumps: ReplicaDumps) -> bool:
    answers = await asyncio.gather(*map(dumps.dump, nodes), return_exceptions=True)
    held = [
        {row.key: row.siblings for row in answer}
        for answer in answers
        if not isinstance(answer, BaseException)
    ]
    return len(held) == len(nodes) and all(each == held[0] for each in held)


async def wait_for(seconds: float) -> QuiesceOutcome:
    """Wait for so many s, where a store cannot report that it is at rest."""
    await asyncio.sleep(seconds)
    return QuiesceOutcome(True, seconds, {}, waited=seconds)
