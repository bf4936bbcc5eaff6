"""Schedules as YAML: written for every test, to be read, changed and replayed.

    faults:
    - {start: 0.362, stop: 1.626, member: cut.one, kind: refused, grudge: [[n1], [n2, n3]]}
    - {start: 0.5, stop: 2.5, member: kill.one, nodes: [n2]}
    - {start: 1.0, member: link.slow, kind: slow, with: {latency_ms: 100}, links: [n1-n2]}

`start` and `stop` are in s after the load began; without a `stop`, the heal phase takes the
fault back. A `target` with its `key` and `otherwise` may take the place of nodes or a grudge.
A member of a nemesis of a user's own comes with the `family` whose fields it has.
Every error names file, line, key and what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml
from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.links.base import CLIENT, route_name
from dynamesis.harness.links.faults import KINDS as KINDS_OF_LINK_FAULTS
from dynamesis.harness.links.faults import FaultError, make_fault, name_of
from dynamesis.harness.nemesis.catalogue import PACKAGES
from dynamesis.harness.nemesis.clocks import CLOCK_FAULTS
from dynamesis.harness.nemesis.cuts import KINDS
from dynamesis.harness.nemesis.disks import DISK_FAULTS
from dynamesis.harness.nemesis.faults import FaultStart, fault_from_value
from dynamesis.harness.nemesis.loads import LOADS
from dynamesis.harness.nemesis.packages import FaultContext
from dynamesis.harness.nemesis.schedule import Event, in_order
from dynamesis.harness.nemesis.targets import TARGETS
from dynamesis.harness.results.yaml_document import YamlPlace, document

_DISKS = ("wiped", "copied", "restored")
_SIGNALS = ("SIGKILL", "SIGTERM")


def dump(events: Iterable[Event]) -> str:
    """The schedule as YAML, one fault after the other."""
    faults: dict[int, JsonObject] = {}
    for event in events:
        number = event.action.number
        if isinstance(event.action, FaultStart):
            rest = {key: value for key, value in event.value.items() if key != "fault"}
            known = event.action.member is None or event.action.member in PACKAGES
            own = None if known else event.f.removeprefix("start-")
            faults[number] = {"start": event.at / 1000, "stop": None, "family": own, **rest}
        else:
            faults[number]["stop"] = event.at / 1000
    listed = [
        {key: value for key, value in fault.items() if value is not None}
        for fault in faults.values()
    ]
    text: str = yaml.safe_dump(
        {"faults": listed}, sort_keys=False, default_flow_style=None, width=100
    )
    return text


def load(text: str, name: str, context: FaultContext) -> tuple[Event, ...]:
    """The schedule in `text`, for this context. `name` is the file's, for
    messages. Raises YamlError."""
    place = document(text, name, "a list of faults under the key 'faults'")
    fields = place.mapping({"faults"})
    if "faults" not in fields:
        raise place.wrong("there is no key 'faults'")
    return faults_at(fields["faults"], context)


def faults_at(place: YamlPlace, context: FaultContext) -> tuple[Event, ...]:
    """The same of a list in another document. Raises YamlError."""
    events: list[Event] = []
    for number, entry in enumerate(place.sequence()):
        events += _fault(number, entry, context)
    return in_order(events)


Read = Callable[[YamlPlace, FaultContext], Any]


def _grudge(place: YamlPlace, context: FaultContext) -> Any:
    if isinstance(place.node, yaml.MappingNode):
        deaf = place.mapping(context.nodes)
        return {node: silent.some_of(context.nodes) for node, silent in deaf.items()}
    return [group.some_of(context.nodes) for group in place.sequence()]


def _routes(context: FaultContext) -> list[str]:
    nodes = context.nodes
    return [route_name(a, b) for a in (CLIENT, *nodes) for b in nodes if a != b]


def _link_kind(place: YamlPlace, context: FaultContext) -> str:
    """The kind, by any of its names."""
    given = place.value()
    kind = KINDS_OF_LINK_FAULTS.get(given) if isinstance(given, str) else None
    return kind if kind in context.kinds else place.one_of(list(map(name_of, context.kinds)))


_NODES: dict[str, Read] = {"nodes": lambda place, context: place.some_of(context.nodes)}
_TARGET: dict[str, Read] = {
    "target": lambda place, context: place.one_of(TARGETS),
    "key": lambda place, context: str(place.value()),
    "otherwise": lambda place, context: place.one_of(context.nodes),
}
_SIGNAL: dict[str, Read] = {"signal": lambda place, context: place.one_of(_SIGNALS)}

_CHANGE: dict[str, Read] = {
    **dict.fromkeys(
        ("joins", "leaves", "removes", "keep"), lambda place, context: place.integer(0, 100)
    ),
    "among": lambda place, context: place.some_of(context.nodes),
}
_BACK: dict[str, Read] = {
    "back": lambda place, context: place.boolean(),
    "after_ms": lambda place, context: place.integer(0, 60_000),
}
_DELAY: dict[str, Read] = dict.fromkeys(
    ("pause_ms", "grace_ms"), lambda place, context: place.integer(0, 60_000)
)
_AGAIN: dict[str, Read] = {
    "again_ms": lambda place, context: [each.integer(0, 60_000) for each in place.sequence()]
}

#: The fields of a fault of each family, beside start, stop and member.
_FIELDS: dict[str, dict[str, Read]] = {
    "cut": {
        "kind": lambda place, context: place.one_of(set(KINDS) & context.kinds),
        "grudge": _grudge,
        **_TARGET,
    },
    "link": {
        "kind": _link_kind,
        "with": lambda place, context: place.value(),
        "links": lambda place, context: place.some_of(_routes(context)),
    },
    "kill": _NODES | _TARGET | _SIGNAL | _DELAY | _AGAIN,
    "pause": _NODES | _TARGET,
    "wipe": _NODES
    | {
        "disk": lambda place, context: place.one_of(_DISKS),
        "apart": lambda place, context: place.boolean(),
    },
    "disk": _NODES
    | _TARGET
    | {
        "kind": lambda place, context: place.one_of(DISK_FAULTS),
        "with": lambda place, context: place.value(),
    },
    "clock": _NODES
    | {
        "kind": lambda place, context: place.one_of(CLOCK_FAULTS),
        "with": lambda place, context: place.value(),
    },
    "load": _NODES
    | {
        "kind": lambda place, context: place.one_of(LOADS),
        "with": lambda place, context: place.value(),
    },
    "upgrade": _NODES | _SIGNAL,
    "membership": _CHANGE | _BACK,
}
#: Of these, one whole group must be there.
_NEEDED: dict[str, tuple[tuple[str, ...], ...]] = {
    "cut": (("kind", "grudge"), ("kind", *_TARGET)),
    "link": (("kind", "links"),),
    "kill": (("nodes",), tuple(_TARGET)),
    "pause": (("nodes",), tuple(_TARGET)),
    "wipe": (("nodes",),),
    "disk": (("kind", "nodes"), ("kind", *_TARGET)),
    "clock": (("kind", "nodes", "with"),),
    "load": (("kind", "nodes", "with"),),
    "upgrade": (("nodes",),),
    "membership": (tuple(_CHANGE),),
}
#: Families whose faults take exactly these settings, by kind.
_EXACT = {"clock": CLOCK_FAULTS, "load": LOADS}
_TIMES = ("start", "stop", "member")
#: What the file has beside a member that the catalogue does not know.
_OWN = "family"


def _fault(number: int, entry: YamlPlace, context: FaultContext) -> list[Event]:
    family, given = _family(entry)
    readers, own = _FIELDS[family], () if given in PACKAGES else (_OWN,)
    fields = entry.mapping({*_TIMES, *own, *readers})
    value = {key: readers[key](place, context) for key, place in fields.items() if key in readers}
    if not any(set(group) <= set(value) for group in _NEEDED[family]):
        groups = " or ".join(", ".join(group) for group in _NEEDED[family])
        raise entry.wrong(f"a fault of the family {family} needs {groups}")
    if family == "link":
        _check_link(fields, value)
    if family == "disk":
        _check_disk(fields, value)
    if family in _EXACT:
        _check_exact(fields, value, _EXACT[family][value["kind"]])
    known = PACKAGES[given].members[0] if given in PACKAGES else None
    member = known.name if known is not None and known.title == given else given
    try:
        action = FaultStart(number, member, fault_from_value(family, value))
    except ValueError as error:
        raise entry.wrong(str(error)) from error
    start = fields["start"].milliseconds()
    events = [Event(start, f"start-{family}", action)]
    if "stop" in fields and known is not None and known.lasts:
        raise fields["stop"].wrong(f"{member} ends by itself, when it has come about")
    if "stop" in fields:
        stop = fields["stop"].milliseconds()
        if stop <= start:
            raise fields["stop"].wrong(f"{stop / 1000} is not after the start, {start / 1000}")
        events.append(Event(stop, f"stop-{family}", action.stop))
    return events


def _family(entry: YamlPlace) -> tuple[str, str]:
    """The family of the fault, and its member."""
    everything = {*_TIMES, _OWN, *(key for readers in _FIELDS.values() for key in readers)}
    fields = entry.mapping(everything)
    for key in ("start", "member"):
        if key not in fields:
            raise entry.wrong(f"there is no {key!r}")
    names = [name for name in PACKAGES if name.partition(".")[0] in _FIELDS]
    member = fields["member"]
    if _OWN not in fields or member.value() in names:
        name = member.one_of(names)
        return name.partition(".")[0], name
    if not isinstance(member.value(), str) or not member.value():
        raise member.wrong(f"{member.value()!r} is not the name of a member")
    return fields[_OWN].one_of(tuple(_FIELDS)), member.value()


def _check_link(fields: dict[str, YamlPlace], value: Mapping[str, Any]) -> None:
    settings = value.get("with", {})
    if not isinstance(settings, dict):
        raise fields["with"].wrong("should be a mapping of the fault's settings")
    try:
        make_fault(value["kind"], **settings)
    except FaultError as error:
        raise fields.get("with", fields["kind"]).wrong(str(error)) from error


def _check_disk(fields: dict[str, YamlPlace], value: Mapping[str, Any]) -> None:
    settings, allowed = value.get("with", {}), DISK_FAULTS[value["kind"]]
    if not isinstance(settings, dict) or not set(settings) <= set(allowed):
        only = f"only {', '.join(allowed)}" if allowed else "no settings"
        raise fields["with"].wrong(f"a disk that is {value['kind']} takes {only}")
    for name, number in settings.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number <= 60:
            raise fields["with"].wrong(f"{name} is {number!r}, not a number above 0, up to 60")


def _check_exact(
    fields: dict[str, YamlPlace], value: Mapping[str, Any], allowed: dict[str, tuple[int, int]]
) -> None:
    settings = value["with"]
    if not isinstance(settings, dict) or set(settings) != set(allowed):
        raise fields["with"].wrong(f"{value['kind']} takes {', '.join(allowed)}")
    for name, (low, high) in allowed.items():
        number = settings[name]
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            raise fields["with"].wrong(f"{name} is {number!r}, not a whole number, {low} to {high}")
