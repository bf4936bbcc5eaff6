"""Schedules as YAML files of a few lines: to be read, changed, kept and replayed.

    test: {workload: register, nodes: 3, n: 1, seed: 7, time_limit: 2.0, bug: [self-merge]}
    tweaks: {}
    operations:
    - {at: 0.1, client: 0, get: k0}
    - {at: 0.2, client: 0, put: k0, id: '0.0', value: 0, basis: 0}
    faults:
    - {start: 0.3, stop: 1.0, member: cut.one, kind: black-hole, grudge: [[n1], [n2, n3]]}
    anomalies: [lost-write]

`test` has the options of `dynamesis test` that differ from the default. `at` is in s after the
load began. `basis` is the number, counted from 0, of the operation whose context a write carries;
null: none. Without `operations` the workload draws them. `faults` are as in schedule.yaml
(harness.nemesis.schedule_file). Every error names file, line, key and what is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.generators.given import Given
from dynamesis.harness.nemesis.schedule_file import dump as dump_faults
from dynamesis.harness.nemesis.schedule_file import faults_at
from dynamesis.harness.results.yaml_document import YamlError, YamlPlace, document
from dynamesis.harness.simulation.schedules.operations_text import KINDS, operations_at
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule
from dynamesis.harness.simulation.schedules.tweaks import TWEAKS, tweaks_of
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.worlds.options import SIMULATED, fault_context, plan_test
from dynamesis.harness.worlds.test_spec import TestSpec
from msgspec import UNSET

#: keys of a schedule, and of a file that has one
KEYS = ("test", "tweaks", "operations", "faults")
_KEYS = (*KEYS, "anomalies", "token")


@dataclass(frozen=True)
class Written:
    """A schedule as a file has it, with the anomalies that it showed, and the token of the one
    that it was shrunk from."""

    schedule: SimulatedSchedule
    anomalies: tuple[str, ...] = ()
    token: str | None = None


def dump(
    schedule: SimulatedSchedule, anomalies: Iterable[str] = (), token: str | None = None
) -> str:
    """The schedule as YAML."""
    parts: list[str] = [_line("test", spec_values(schedule.spec))]
    if schedule.tweaks:
        parts.append(_line("tweaks", schedule.tweaks))
    if schedule.operations is not None:
        parts.append(_list("operations", map(_operation, schedule.operations)))
    parts.append(dump_faults(schedule.faults))
    if named := list(anomalies):
        parts.append(_line("anomalies", named))
    if token is not None:
        parts.append(f"token: {token}\n")
    return "".join(parts)


def spec_values(spec: TestSpec) -> JsonObject:
    """The options that are not the default, and the seed."""
    plain, known = spec.to_dict(), TestSpec.flags()
    kept = {name: plain[name] for name in known if getattr(spec, name) != known[name].default}
    return {name: value for name, value in kept.items() if name not in ("nemesis", "schedule")}


def _line(name: str, value: Any) -> str:
    text: str = yaml.safe_dump({name: value}, sort_keys=False, default_flow_style=None, width=100)
    return text


def _list(name: str, rows: Iterable[JsonObject]) -> str:
    lines = [
        yaml.safe_dump(row, sort_keys=False, default_flow_style=True, width=math.inf)
        for row in rows
    ]
    return f"{name}:\n" + "".join(f"- {line}" for line in lines) if lines else f"{name}: []\n"


def _operation(item: Given) -> JsonObject:
    op = item.op
    row: JsonObject = {"at": item.at / 1e9, "client": item.client}
    row |= {op.f: op.key} if op.f in KINDS and op.key is not None else {"f": op.f, "key": op.key}
    row |= {name: getattr(op, name) for name in ("id", "value", "node", "options")}
    row = {name: value for name, value in row.items() if value is not None}
    if item.basis is not None:
        row["basis"] = item.basis
    elif op.basis is not UNSET:
        row["basis"] = None
    return row


def load(text: str, name: str, beside: Collection[str] = ()) -> Written:
    """The schedule in `text`. `name` is the file's, for messages; the keys `beside` may be there
    too, and are not read. Raises UsageError."""
    try:
        root = document(text, name, "a schedule: test, operations, faults")
        fields = root.mapping(tuple(dict.fromkeys((*_KEYS, *beside))))
        schedule = schedule_at(root, fields)
        shown = fields["anomalies"].sequence() if "anomalies" in fields else []
        anomalies = tuple([str(each.value()) for each in shown])
        token = str(fields["token"].value()) if "token" in fields else None
    except YamlError as malformed:
        raise UsageError(f"--replay: {malformed}") from malformed
    return Written(schedule, anomalies, token)


def schedule_at(root: YamlPlace, fields: Mapping[str, YamlPlace]) -> SimulatedSchedule:
    """The schedule whose keys are `fields`, within `root`. Raises YamlError, UsageError."""
    if "test" not in fields:
        raise root.wrong("there is no key 'test'")
    spec = _spec(fields["test"])
    try:
        context = fault_context(plan_test(spec))
    except UsageError as wrong:
        raise fields["test"].wrong(str(wrong)) from wrong
    faults = faults_at(fields["faults"], context) if "faults" in fields else ()
    tweaks = _tweaks(fields["tweaks"]) if "tweaks" in fields else {}
    given = operations_at(fields["operations"], spec) if "operations" in fields else None
    return SimulatedSchedule(spec, faults, tweaks, given)


def _spec(place: YamlPlace) -> TestSpec:
    fields = place.mapping(tuple(TestSpec.flags()))
    if "world" in fields:
        fields["world"].one_of((SIMULATED,))
    values = {key: each.value() for key, each in fields.items()}
    try:
        return TestSpec.of({"nemesis": ("none",), "world": SIMULATED, **values})
    except UsageError as wrong:
        raise place.wrong(str(wrong)) from wrong


def _tweaks(place: YamlPlace) -> JsonObject:
    given = {name: each.value() for name, each in place.mapping(TWEAKS).items()}
    try:
        tweaks_of(given)
    except ValueError as wrong:
        raise place.wrong(str(wrong)) from wrong
    return given
