"""Schedules as YAML: written for every test, to be read, changed and replayed.

    faults:
    - {start: 0.362, stop: 1.626, member: cut.one, kind: refused, grudge: [[n1], [n2, n3]]}
    - {start: 0.5, stop: 2.5, member: kill.one, nodes: [n2]}
    - {start: 1.0, member: link.slow, kind: slow, with: {latency_ms: 100}, links: [n1-n2]}

`start` and `stop` are in s after the load began; without a `stop`, the heal phase takes the
fault back. Instead of nodes or a grudge, a `target` with its `key` and `otherwise` may
stand. Whatever is wrong is said with file, line, key and what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from harness.links.base import CLIENT, route_name
from harness.links.faults import FaultError, make_fault
from harness.nemesis.catalogue import PACKAGES
from harness.nemesis.cuts import KINDS
from harness.nemesis.packages import Arena
from harness.nemesis.schedule import Event, in_order
from harness.nemesis.targets import TARGETS

_SIGNALS = ("SIGKILL", "SIGTERM")


class ScheduleError(ValueError):
    """A schedule that makes no sense; the message says where, and what is allowed."""


def dump(events: Iterable[Event]) -> str:
    """The schedule as YAML, one fault after the other."""
    faults: dict[int, dict[str, Any]] = {}
    for event in events:
        fault = event.value["fault"]
        if event.f.startswith("start-"):
            rest = {key: value for key, value in event.value.items() if key != "fault"}
            faults[fault] = {"start": event.at / 1000, "stop": None, **rest}
        else:
            faults[fault]["stop"] = event.at / 1000
    listed = [
        {key: value for key, value in fault.items() if value is not None}
        for fault in faults.values()
    ]
    text: str = yaml.safe_dump(
        {"faults": listed}, sort_keys=False, default_flow_style=None, width=100
    )
    return text


def load(text: str, name: str, arena: Arena) -> tuple[Event, ...]:
    """The schedule that stands in `text`, for this arena. `name` is the file's, for
    messages. Raises ScheduleError."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ScheduleError(f"{name}: not YAML: {error}") from error
    if root is None:
        raise ScheduleError(f"{name}: empty; it takes a list of faults under the key 'faults'")
    place = _Place(name, root)
    fields = place.mapping({"faults"})
    if "faults" not in fields:
        raise place.wrong("there is no key 'faults'")
    events: list[Event] = []
    for number, entry in enumerate(fields["faults"].sequence()):
        events += _fault(number, entry, arena)
    return in_order(events)


@dataclass(frozen=True)
class _Place:
    """A node of the YAML document: knows where it stands."""

    file: str
    node: yaml.Node
    key: str = ""

    def wrong(self, complaint: str) -> ScheduleError:
        where = f"{self.file}, line {self.node.start_mark.line + 1}"
        return ScheduleError(f"{where}: {self.key + ': ' if self.key else ''}{complaint}")

    def mapping(self, allowed: Collection[str]) -> dict[str, _Place]:
        if not isinstance(self.node, yaml.MappingNode):
            raise self.wrong(f"should be a mapping with the keys {', '.join(sorted(allowed))}")
        fields: dict[str, _Place] = {}
        for key, value in self.node.value:
            place = _Place(self.file, value, str(key.value))
            if place.key not in allowed:
                near = _Place(self.file, key, place.key)
                raise near.wrong(f"no such key here; allowed: {', '.join(sorted(allowed))}")
            fields[place.key] = place
        return fields

    def sequence(self) -> list[_Place]:
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.wrong("should be a list")
        return [_Place(self.file, item, self.key) for item in self.node.value]

    def value(self) -> Any:
        """As Python data. The document was composed by the safe loader."""
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_document(self.node)
        finally:
            loader.dispose()

    def one_of(self, allowed: Collection[str]) -> str:
        value = self.value()
        if value not in allowed:
            raise self.wrong(f"{value!r} is not allowed; allowed: {', '.join(sorted(allowed))}")
        return str(value)

    def some_of(self, allowed: Collection[str]) -> list[str]:
        """A list of such names, not empty."""
        names = [item.one_of(allowed) for item in self.sequence()]
        if not names:
            raise self.wrong(f"is empty; allowed: {', '.join(sorted(allowed))}")
        return names

    def count(self) -> int:
        value = self.value()
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
            raise self.wrong(f"{value!r} is not a whole number from 0 to 100")
        return value

    def milliseconds(self) -> int:
        value = self.value()
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
            raise self.wrong(f"{value!r} is no time; it takes seconds after the load began")
        return round(value * 1000)


Read = Callable[[_Place, Arena], Any]


def _grudge(place: _Place, arena: Arena) -> Any:
    if isinstance(place.node, yaml.MappingNode):
        deaf = place.mapping(arena.nodes)
        return {node: silent.some_of(arena.nodes) for node, silent in deaf.items()}
    return [group.some_of(arena.nodes) for group in place.sequence()]


def _routes(arena: Arena) -> list[str]:
    nodes = arena.nodes
    return [route_name(a, b) for a in (CLIENT, *nodes) for b in nodes if a != b]


_NODES: dict[str, Read] = {"nodes": lambda place, arena: place.some_of(arena.nodes)}
_TARGET: dict[str, Read] = {
    "target": lambda place, arena: place.one_of(TARGETS),
    "key": lambda place, arena: str(place.value()),
    "otherwise": lambda place, arena: place.one_of(arena.nodes),
}
_SIGNAL: dict[str, Read] = {"signal": lambda place, arena: place.one_of(_SIGNALS)}

_CHANGE: dict[str, Read] = {
    **dict.fromkeys(("joins", "leaves", "removes", "keep"), lambda place, arena: place.count()),
    "among": lambda place, arena: place.some_of(arena.nodes),
}

#: What a fault of each family may say, beside start, stop and member.
_FIELDS: dict[str, dict[str, Read]] = {
    "cut": {
        "kind": lambda place, arena: place.one_of(set(KINDS) & arena.kinds),
        "grudge": _grudge,
        **_TARGET,
    },
    "link": {
        "kind": lambda place, arena: place.one_of(arena.kinds),
        "with": lambda place, arena: place.value(),
        "links": lambda place, arena: place.some_of(_routes(arena)),
    },
    "kill": _NODES | _TARGET | _SIGNAL,
    "pause": _NODES | _TARGET,
    "wipe": _NODES,
    "membership": _CHANGE,
}
#: Of these, one whole group must be there.
_NEEDED: dict[str, tuple[tuple[str, ...], ...]] = {
    "cut": (("kind", "grudge"), ("kind", *_TARGET)),
    "link": (("kind", "links"),),
    "kill": (("nodes",), tuple(_TARGET)),
    "pause": (("nodes",), tuple(_TARGET)),
    "wipe": (("nodes",),),
    "membership": (tuple(_CHANGE),),
}
_TIMES = ("start", "stop", "member")


def _fault(number: int, entry: _Place, arena: Arena) -> list[Event]:
    family = _family(entry)
    readers = _FIELDS[family]
    fields = entry.mapping({*_TIMES, *readers})
    value = {key: readers[key](place, arena) for key, place in fields.items() if key in readers}
    if not any(set(group) <= set(value) for group in _NEEDED[family]):
        groups = " or ".join(", ".join(group) for group in _NEEDED[family])
        raise entry.wrong(f"a fault of the family {family} needs {groups}")
    if family == "link":
        _check_link(fields, value)
    named = {"fault": number, "member": fields["member"].value()}
    start = fields["start"].milliseconds()
    events = [Event(start, f"start-{family}", {**named, **value})]
    if "stop" in fields and PACKAGES[named["member"]].members[0].lasts:
        raise fields["stop"].wrong(f"{named['member']} ends by itself, when it has come about")
    if "stop" in fields:
        stop = fields["stop"].milliseconds()
        if stop <= start:
            raise fields["stop"].wrong(f"{stop / 1000} is not after the start, {start / 1000}")
        events.append(Event(stop, f"stop-{family}", named))
    return events


def _family(entry: _Place) -> str:
    everything = {*_TIMES, *(key for readers in _FIELDS.values() for key in readers)}
    fields = entry.mapping(everything)
    for key in ("start", "member"):
        if key not in fields:
            raise entry.wrong(f"there is no {key!r}")
    names = [name for name in PACKAGES if name.partition(".")[0] in _FIELDS]
    return fields["member"].one_of(names).partition(".")[0]


def _check_link(fields: dict[str, _Place], value: dict[str, Any]) -> None:
    settings = value.get("with", {})
    if not isinstance(settings, dict):
        raise fields["with"].wrong("should be a mapping of the fault's settings")
    try:
        make_fault(value["kind"], **settings)
    except FaultError as error:
        raise fields.get("with", fields["kind"]).wrong(str(error)) from error
