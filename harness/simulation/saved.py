"""The folder of a simulated schedule: the files of a test, the schedule itself, and its story."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
from dynamesis.checkers.history.op import JsonObject, Op, encode
from dynamesis.harness.check.evaluate import save
from dynamesis.harness.nemesis.schedule_file import dump as dump_faults
from dynamesis.harness.results.results import (
    HISTORY,
    LEDGER,
    MESSAGES,
    NODES,
    SCHEDULE,
    TEST,
    Folder,
)
from dynamesis.harness.simulation.play import run
from dynamesis.harness.simulation.schedules.text import Written, dump
from dynamesis.harness.worlds.options import PROCESSES
from dynamesis.harness.worlds.run_test import describe
from dynamesis.harness.worlds.simulated.messages import message_lines
from dynamesis.harness.worlds.simulated.network import Sighting
from dynamesis.harness.worlds.simulated.run import SimulatedTest, judge
from dynamesis.harness.worlds.test_spec import command

#: The whole schedule, to be replayed; and every message.
SIMULATED, STORY = "simulated.yaml", "story.txt"
_HEAD = "# replayed with: dynamesis simulate --replay {folder}\n"
_FAULTS = "# the faults alone, for processes: {command}\n"
#: Characters of a line of the story.
_WIDE = 240


def save_schedule(path: Path, written: Written) -> tuple[SimulatedTest, JsonObject]:
    """Run the schedule once more, with its story, and write all files of it; the test and its
    results. Raises OSError where the disk does not take them."""
    path.mkdir(parents=True, exist_ok=True)
    folder, schedule = Folder(path), written.schedule
    text = dump(schedule, written.anomalies, written.token)
    quoted = shlex.quote(str(path))
    folder.save(SIMULATED, _HEAD.format(folder=quoted) + text)
    on_processes = replace(
        schedule.spec, world=PROCESSES, nemesis=None, schedule=path / SCHEDULE
    )  # what faults hit is in a cluster of this size, under these options
    head = _FAULTS.format(command=command(on_processes))
    folder.save(SCHEDULE, head + dump_faults(schedule.faults))
    test = run(schedule, story=True)
    again = f"dynamesis simulate --replay {quoted}"
    content = {**describe(schedule.spec, schedule.options, again), **test.test}
    folder.save_json(TEST, content)
    (path / HISTORY).write_bytes(b"".join(map(encode, test.history)))
    (path / LEDGER).write_bytes(_lines(test.ledger))
    for node, log in test.node_logs.items():
        (path / NODES / node).mkdir(parents=True, exist_ok=True)
        (path / NODES / node / "node.log").write_bytes(_lines(log))
    began = int(test.test.get("began") or 0)
    (path / MESSAGES).write_bytes(message_lines(test.messages, began))
    folder.save(STORY, "".join(f"{line}\n" for line in story(test)))
    results = {**judge(test), "seed": schedule.spec.seed, "command": again}
    save(folder, results)
    return test, results


def _lines(rows: tuple[JsonObject, ...]) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def story(test: SimulatedTest) -> Iterator[str]:
    """A line for every message and every batch that was stored, and for every event of the
    history among them, by virtual time."""
    events = [(op.time / 1e9, 1, _event(op)) for op in test.history]
    began = test.test.get("began")
    start = began / 1e9 if isinstance(began, int) else 0.0
    seen = [(each.time - start, 0, _sighting(each)) for each in test.messages]
    for seconds, _, text in sorted([*events, *seen], key=lambda line: line[:2]):
        yield f"{seconds:11.6f}  {text}"[:_WIDE]


def _event(op: Op) -> str:
    return f"-- {encode(op).decode().strip()}"


def _sighting(each: Sighting) -> str:
    way = f"{each.source} > {each.dest}" if each.dest else each.source
    return f"{way:12} {each.what:9} {each.content!r}"
