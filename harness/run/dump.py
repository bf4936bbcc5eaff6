"""The final dumps: what every replica of every key holds, read without repairing it.

They go into the history as operations, so that a history judged alone still holds its
own evidence. A primary that lacks a key is shown with no siblings; a node that is no
primary of a key is shown only when it holds it.

A cluster that did not get quiet may still be handing hints off, and a hint is deleted only
after its target holds it. So all hints are dumped before any object: what moves meanwhile
is seen twice, and never not at all. What the nemesis wrote to load the nodes is not of the
clients; it is compared beside (extra_keys).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.history.op import Op, OpError
from dynamesis.harness.nemesis.loads import EXTRA
from dynamesis.harness.run.extra_keys import EXTRA_KEYS, extra_keys
from dynamesis.harness.run.node_answers import node_answers
from dynamesis.harness.run.recorder import Recorder
from dynamesis.harness.targets.capabilities import Decode, Processes, ReplicaDumps, Status
from dynamesis.harness.targets.reports import DumpRow, dump_rows

log = logging.getLogger(__name__)

#: The rows of each node by key; None for one that did not answer.
Held = dict[str, dict[str, list[DumpRow]] | None]


async def dump_all(
    nodes: Sequence[str],
    dumps: ReplicaDumps,
    ring: CheckedRing,
    keys: Iterable[str],
    decode: Decode,
    recorder: Recorder,
    prompt: bool = False,
    compared: bool = True,
) -> Held:
    """Dump every node, and record a pair of events for each key and replica; then which nodes
    answered: what no node holds, in a record or a hint, is nowhere. Returns what it found.
    `prompt` is as in `node_answers`; `compared`: whether replicas compare what they hold, so that
    the copies of all keys agree."""
    hints = await _dumps(nodes, dumps, prompt)
    # where all nodes answer without a wait, nothing can have moved meanwhile
    every = hints if prompt else await _dumps(nodes, dumps, prompt)
    objects = {node: _of_clients(rows) for node, rows in every.items()}
    held = {node: _joined(_of_clients(hints[node]), objects[node]) for node in nodes}
    for key in sorted(set(keys).union(*(rows or () for rows in held.values()))):
        ought = ring.primaries(key)
        for node in sorted(nodes, key=lambda node: (node not in ought, node)):
            _record(recorder, key, node, node in ought, held[node], decode)
    beside = extra_keys(ring, _of_load(every)) if compared else None
    if beside is not None:
        recorder.note(EXTRA_KEYS, beside)
    recorder.note("dumped", {node: rows is not None for node, rows in held.items()})
    return held


async def keep(processes: Processes, status: Status | None, held: Held, into: Path) -> None:
    """Write what each node held and how it was at the end into files of into/<id>/. All are
    asked concurrently."""
    await asyncio.gather(*(_keep(node, status, held, into / node) for node in processes.nodes))


async def _keep(node: str, status: Status | None, held: Held, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    dump = b"".join(_line(row) for rows in (held.get(node) or {}).values() for row in rows)
    (folder / "dump.jsonl").write_bytes(dump)
    if status is None:
        return
    now, figures = await asyncio.gather(status.status(node), status.metrics(node))
    shown = None if now is None else now.as_value()
    (folder / "metrics.json").write_bytes(msgspec.json.format(msgspec.json.encode(shown)))
    if figures is not None:
        (folder / "metrics.prom").write_text(figures, encoding="utf-8")


def _line(row: DumpRow) -> bytes:
    return msgspec.json.encode(row.as_value()) + b"\n"


def _record(
    recorder: Recorder,
    key: str,
    node: str,
    primary: bool,
    held: dict[str, list[DumpRow]] | None,
    decode: Decode,
) -> None:
    if held is None:
        if primary:
            recorder.record(Op(type="invoke", f="dump", key=key, replica=node))
            error = OpError(code="unreachable", definite=True, message="the node did not answer")
            recorder.record(Op(type="fail", f="dump", key=key, replica=node, error=error))
        return
    rows = held.get(key, [])
    if primary and all(row.hint_for is not None for row in rows):
        rows = [DumpRow(key=key), *rows]
    for row in rows:
        hint = row.hint_for and {"hint_for": row.hint_for}
        siblings = [decode(each.value, each.deleted) for each in row.siblings]
        op = Op(type="invoke", f="dump", key=key, replica=node, value=hint)
        recorder.record(op)
        recorder.record(msgspec.structs.replace(op, type="ok", siblings=siblings))


async def _dumps(
    nodes: Sequence[str], dumps: ReplicaDumps, prompt: bool = False
) -> dict[str, list[DumpRow] | None]:
    """What every node holds; None for one that does not answer."""
    answers = await node_answers(nodes, dumps.dump, prompt)
    held: dict[str, list[DumpRow] | None] = {}
    for node, answer in zip(nodes, answers, strict=True):
        if isinstance(answer, BaseException):
            log.warning("%s: no dump", node, exc_info=answer)
            held[node] = None
        else:
            held[node] = dump_rows(answer)
    return held


def _of_clients(rows: list[DumpRow] | None) -> list[DumpRow] | None:
    """Without what the nemesis wrote."""
    return None if rows is None else [row for row in rows if not row.key.startswith(EXTRA)]


def _of_load(every: dict[str, list[DumpRow] | None]) -> dict[str, list[DumpRow] | None]:
    """What the nemesis wrote, on each node."""
    return {
        node: None if rows is None else [row for row in rows if row.key.startswith(EXTRA)]
        for node, rows in every.items()
    }


def _joined(
    hints: list[DumpRow] | None, objects: list[DumpRow] | None
) -> dict[str, list[DumpRow]] | None:
    """A node's rows by key; None unless it answered both times."""
    if hints is None or objects is None:
        return None
    found: dict[str, list[DumpRow]] = {}
    for row in objects:
        if row.hint_for is None:
            found.setdefault(row.key, []).append(row)
    for row in hints:
        if row.hint_for is not None:
            found.setdefault(row.key, []).append(row)
    return found
