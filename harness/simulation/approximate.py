"""From the folder of an ordinary test to a schedule: of a simulated one to the same test, of one on
processes to a schedule that is near it.

A simulated test follows from its options and its faults. Of one on processes the operations of the
clients are carried over one by one, at their times, and the faults as they struck: targets that
were found then are nodes now. What only a machine has is named and left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from dynamesis.checkers.history.op import JsonObject, Op
from dynamesis.harness.check.evaluate import stored_test
from dynamesis.harness.nemesis import Event
from dynamesis.harness.nemesis.faults import FaultStart, FaultStop, UpgradeFault, action_from_value
from dynamesis.harness.nemesis.schedule import NEMESIS, in_order
from dynamesis.harness.nemesis.schedule_file import load
from dynamesis.harness.results.results import HISTORY, SCHEDULE, Folder
from dynamesis.harness.results.yaml_document import YamlError
from dynamesis.harness.simulation.schedules.explicit import operations_of
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule
from dynamesis.harness.simulation.schedules.text import Written
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.worlds.options import SIMULATED, fault_context, plan_test
from dynamesis.harness.worlds.test_spec import DYNAMO, TestSpec

#: Options that are about a machine, and have no meaning in virtual time.
_MACHINE = ("tls", "port_base", "drivers", "clocks", "bin", "links", "target_version")


def of_folder(path: Path) -> tuple[Written, tuple[str, ...]]:
    """The schedule of a test, simulated or not, and what could not be carried over. Raises
    UsageError."""
    test, spec = _stored(path)
    if spec.world != SIMULATED or not (path / SCHEDULE).is_file():
        return approximation(path)
    _whole(path)
    spec = replace(spec, schedule=None, nemesis=None)
    context = fault_context(plan_test(replace(spec, nemesis=("none",))))
    try:
        text = (path / SCHEDULE).read_text(encoding="utf-8")
        faults = load(text, str(path / SCHEDULE), context)
    except YamlError as wrong:
        raise UsageError(f"--replay: {wrong}") from wrong
    except (OSError, UnicodeDecodeError) as failure:
        raise UsageError(
            f"--replay: {path / SCHEDULE} cannot be read ({failure}); give the folder of a test"
        ) from failure
    missing = ("the interrupt by which it was ended",) if test.get("interrupted") else ()
    return Written(SimulatedSchedule(spec, faults), tuple(_anomalies(path))), missing


def approximation(path: Path) -> tuple[Written, tuple[str, ...]]:
    """The schedule near a test on processes, and what could not be carried over. Raises
    UsageError."""
    _, spec = _stored(path)
    if spec.target.rpartition(":")[2] != DYNAMO:
        raise UsageError(f"--replay: {path} is of target {spec.target}; only {DYNAMO} is simulated")
    missing = [
        f"--{name.replace('_', '-')}" for name in _MACHINE if getattr(spec, name) != _default(name)
    ]
    plain: dict[str, Any] = {name: _default(name) for name in _MACHINE}
    spec = replace(spec, world=SIMULATED, schedule=None, nemesis=None, **plain)
    history = _whole(path)
    faults, lost = _faults(history)
    schedule = SimulatedSchedule(spec, faults, {}, operations_of(history, spec.concurrency))
    missing += lost
    missing.append("the order in which messages came on real sockets, and how long each took")
    return Written(schedule, tuple(_anomalies(path))), tuple(missing)


def _stored(path: Path) -> tuple[JsonObject, TestSpec]:
    """The content of test.json, and the options in it. Raises UsageError."""
    test = stored_test(Folder(path))
    if not isinstance(test.get("spec"), dict):
        raise UsageError(f"--replay: {path}: no test.json with a spec; give the folder of a test")
    return test, TestSpec.of(test["spec"])


def _default(name: str) -> object:
    return TestSpec.flags()[name].default


def _whole(path: Path) -> tuple[Op, ...]:
    """The history in a folder. Raises UsageError where no load began in it."""
    history = tuple(_events(path / HISTORY))
    if not any(op.f == "phase" and op.value == "load" for op in history):
        raise UsageError(
            f"--replay: {path / HISTORY}: no load began in it; give the folder of a whole test"
        )
    return history


def _events(path: Path) -> Iterator[Op]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as failure:
        raise UsageError(
            f"--replay: {path}: {failure.strerror}; give the folder of a test"
        ) from failure
    decoder = msgspec.json.Decoder(Op)
    for number, line in enumerate(lines, 1):
        try:
            yield decoder.decode(line)
        except msgspec.DecodeError as malformed:
            if number < len(lines):
                raise UsageError(f"--replay: {path}, line {number}: {malformed}") from malformed


def _anomalies(path: Path) -> tuple[str, ...]:
    found: JsonObject = Folder(path).peek_json("results.json")
    return tuple(found.get("anomalies", ()))


def _faults(history: tuple[Op, ...]) -> tuple[tuple[Event, ...], list[str]]:
    """The faults of the load phase as they struck, and what of them is lost."""
    began, events, lost = 0, list[Event](), list[str]()
    for op in history:
        if op.f == "phase" and op.value == "load":
            began = op.time
        elif op.f == "phase" and op.value == "heal":
            break
        elif op.process == NEMESIS and op.f.startswith(("start-", "stop-")):
            event = _fault(op, round((op.time - began) / 1e6), events)
            if isinstance(event, str):
                lost.append(event)
            elif event is not None:
                events.append(event)
    return in_order(events), lost


def _fault(op: Op, at: int, events: list[Event]) -> Event | str | None:
    """The event of an operation of the nemesis; a reason where it did not come about; None where it
    is that of another one. A change of the membership is taken as it was planned: which nodes join
    and leave is found anew."""
    planned = op.f == "start-membership"
    if (op.type == "invoke") is not planned or not isinstance(op.value, dict):
        return None
    if "skipped" in op.value:
        return f"{op.f}: {op.value['skipped']}"
    if op.f == f"start-{UpgradeFault.family}":
        return f"{op.f}: nodes in another version"
    if op.f == f"stop-{UpgradeFault.family}":
        return None
    try:
        action = action_from_value(op.f, op.value)
    except (KeyError, ValueError) as strange:
        return f"{op.f}: {strange}"
    if isinstance(action, FaultStart):
        return Event(at, op.f, action)
    member = next((e.action.member for e in events if e.action.number == action.number), None)
    return None if member is None else Event(at, op.f, FaultStop(action.number, member))
