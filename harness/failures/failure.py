"""A failure that was found, as a file of a few lines, for example

    # again: dynamesis replay failures/lost-write-5d1f0c3a.yaml
    anomalies: [lost-write, divergence]
    why: 3.12 was acknowledged at 1.5 s by n1; no read ever showed it.
    world: processes
    test: {workload: register, nemesis: kill.one, seed: 7, time_limit: 6s}
    faults:
    - {start: 0.5, stop: 2.5, member: kill.one, nodes: [n2]}
    symptoms:
      lost-write: ['# was acknowledged at # by #']
    found: {on: '2026-11-27', version: 0.2.0}
    struck: 3
    rate: {failed: 4, runs: 5, rate: 0.8, low: 0.376, high: 0.964}

Everything that it takes to run it again is in it. One of the simulated world has `operations`, one
by one, and `tweaks`, as every file of a simulated schedule (harness.simulation.schedules.text); one
of processes has such a schedule, where one shows the same, under `simulated`. No field changes
without a reason: `struck` with each time that the bug is met, `rate` when replays come to another.
Errors in a file name the file, the line and what is allowed.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import yaml
from dynamesis.harness.failures.fingerprint import Fingerprint, Symptom
from dynamesis.harness.failures.interval import Rate
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.yaml_document import YamlError, YamlPlace, document
from dynamesis.harness.simulation.schedules.text import KEYS
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.worlds.options import PROCESSES, SIMULATED
from dynamesis.harness.worlds.test_spec import TestSpec

WORLDS = (SIMULATED, PROCESSES)
#: options of a test that its file has elsewhere
_ELSEWHERE = ("schedule", "world")
#: what a failure has beside a schedule
BESIDE = ("anomalies", "why", "world", "token", "simulated", "symptoms", "found", "struck", "rate")
_KEYS = (*BESIDE, *KEYS)
_NEEDED = ("anomalies", "test", "faults")
_MOST = 10**9
_CONFLICT = re.compile(r"^(<{7}|={7}|>{7})", re.MULTILINE)


@dataclass(frozen=True)
class Failure:
    """One bug, as far as it is known.

    name: its file without the suffix
    test, faults, tweaks, operations: the smallest schedule known to show it, as in its file;
        `operations`: None where the workload draws them
    simulated: of one on processes, the schedule that shows it in simulation: `test`, `faults`,
        `tweaks`, `operations`
    token: the drawn schedule that it was shrunk from, where it was one of a swarm
    struck: how often it was met
    rate: how often its schedule failed when it was replayed last, None until it was
    """

    name: str
    anomalies: tuple[str, ...]
    symptoms: frozenset[Symptom]
    test: TestSpec
    faults: tuple[JsonObject, ...]
    world: str = PROCESSES
    tweaks: JsonObject = field(default_factory=dict)
    operations: tuple[JsonObject, ...] | None = None
    simulated: JsonObject | None = None
    token: str | None = None
    why: str = ""
    found: str = ""
    version: str = ""
    struck: int = 1
    rate: Rate | None = None

    def learned(self, shown: Iterable[Fingerprint]) -> Failure:
        """With what runs of its own schedule have shown."""
        anomalies, symptoms = list(self.anomalies), set(self.symptoms)
        for each in shown:
            anomalies += each.anomalies
            symptoms |= each.symptoms
        return replace(
            self, anomalies=tuple(dict.fromkeys(anomalies)), symptoms=frozenset(symptoms)
        )

    def dump(self, where: str) -> str:
        """The file's content; `where` is its path, for the comment."""
        found = {"on": self.found, "version": self.version}
        content: JsonObject = {
            "anomalies": list(self.anomalies),
            "why": self.why,
            "world": self.world,
            "token": self.token,
            "test": options(self.test),
            "tweaks": self.tweaks,
            "operations": None if self.operations is None else list(self.operations),
            "faults": list(self.faults),
            "simulated": self.simulated,
            "symptoms": _by_anomaly(self.symptoms),
            "found": {key: value for key, value in found.items() if value},
            "struck": self.struck,
        }
        if self.rate is not None:
            content["rate"] = self.rate.to_dict()
        kept = {
            key: value
            for key, value in content.items()
            if value or key in _NEEDED or (key == "operations" and value is not None)
        }
        return "".join((f"# again: dynamesis replay {where}\n", *map(_dump, kept, kept.values())))


def options(spec: TestSpec) -> JsonObject:
    """The options in which a test differs from the defaults, as a campaign spells them."""
    written = {}
    for name, flag in TestSpec.flags().items():
        value = getattr(spec, name)
        if value == flag.default or name in _ELSEWHERE:
            continue
        plain = list(value) if isinstance(value, tuple) else value
        if flag.kind == "names":
            plain = ",".join(value)
        if flag.kind in ("duration", "path"):
            plain = flag.write(value)[0].partition("=")[2]
        written[name] = plain
    return written


def read(text: str, name: str, file: str) -> Failure:
    """The failure in `text`; `file` is its path, for messages. Raises YamlError."""
    if conflict := _CONFLICT.search(text):
        line = text[: conflict.start()].count("\n") + 1
        raise YamlError(f"{file}, line {line}: a conflict of git; keep one side")
    root = document(text, file, f"a mapping with the keys {', '.join(_KEYS)}")
    places = root.mapping(_KEYS)
    for key in _NEEDED:
        if key not in places:
            raise root.wrong(f"there is no key {key!r}")
    anomalies = tuple(_text(each) for each in places["anomalies"].sequence())
    if not anomalies:
        raise places["anomalies"].wrong("is empty; it names at least one")
    found = places["found"].mapping(("on", "version")) if "found" in places else {}
    return Failure(
        name=name,
        anomalies=anomalies,
        symptoms=_symptoms(places["symptoms"]) if "symptoms" in places else frozenset(),
        test=_test(places["test"]),
        faults=tuple(_row(each) for each in places["faults"].sequence()),
        world=_world(places),
        **_simulated(places),
        why=_text(places["why"]) if "why" in places else "",
        found=_date(found["on"]) if "on" in found else "",
        version=_text(found["version"]) if "version" in found else "",
        struck=places["struck"].integer(0, _MOST) if "struck" in places else 1,
        rate=_rate(places["rate"]) if "rate" in places else None,
    )


def _world(places: Mapping[str, YamlPlace]) -> str:
    """The world, which a swarm's schedule has among the options of its test."""
    if "world" in places:
        return places["world"].one_of(WORLDS)
    options = places["test"].value()
    return SIMULATED if options.get("world") == SIMULATED else PROCESSES


def _simulated(places: Mapping[str, YamlPlace]) -> dict[str, Any]:
    """What only a simulated test has. What is in it is read when it is planned."""
    read: dict[str, Any] = {}
    if "operations" in places:
        read["operations"] = tuple(_row(each) for each in places["operations"].sequence())
    for key in ("tweaks", "simulated"):
        if key in places:
            read[key] = _row(places[key])
    if "token" in places:
        read["token"] = _text(places["token"])
    return read


def dump_faults(faults: Iterable[JsonObject]) -> str:
    """A schedule with these faults."""
    text: str = yaml.safe_dump(
        {"faults": list(faults)}, sort_keys=False, default_flow_style=None, width=100
    )
    return text


def load_faults(schedule: str) -> tuple[JsonObject, ...]:
    """The faults of a schedule that a test has written."""
    return tuple(yaml.safe_load(schedule)["faults"])


def faults_alone(text: str) -> str:
    """A schedule with the faults of a file, each on the line where the file has it."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    [(key, value)] = [pair for pair in root.value if pair[0].value == "faults"]
    lines: list[str] = text[: value.end_mark.index].splitlines(keepends=True)
    first: int = key.start_mark.line
    return "\n" * first + "".join(lines[first:])


def _dump(key: str, value: Any) -> str:
    """A key of the file. Each operation, fault and evidence has a line of its own, for git."""
    if key == "simulated":
        parts = "".join(map(_dump, value, value.values()))
        return f"{key}:\n" + textwrap.indent(parts, "  ")
    if key == "operations" and value:
        rows = [_flow(row) for row in value]
        return f"{key}:\n" + "".join(f"- {row}" for row in rows)
    text: str = yaml.safe_dump(
        {key: value},
        sort_keys=False,
        default_flow_style=None if isinstance(value, list | dict) and key != "symptoms" else False,
        width=10_000,
        allow_unicode=True,
    )
    return text


def _flow(row: JsonObject) -> str:
    text: str = yaml.safe_dump(row, sort_keys=False, default_flow_style=True, width=math.inf)
    return text


def _by_anomaly(symptoms: Iterable[Symptom]) -> dict[str, list[str]]:
    """In an order of their own, so that git sees no change where there is none."""
    found: dict[str, list[str]] = {}
    for each in sorted(symptoms):
        found.setdefault(each.anomaly, []).append(each.evidence)
    return found


def _symptoms(place: YamlPlace) -> frozenset[Symptom]:
    value = place.value()
    if not isinstance(value, Mapping) or not all(isinstance(each, list) for each in value.values()):
        raise place.wrong("should be a mapping from an anomaly to a list of evidence")
    return frozenset(Symptom(str(name), str(each)) for name, all_ in value.items() for each in all_)


def _test(place: YamlPlace) -> TestSpec:
    flags = TestSpec.flags()
    given = place.mapping([name for name in flags if name != "schedule"])
    given.pop("world", None)
    values: dict[str, Any] = {}
    for name, each in given.items():
        try:
            values[name] = flags[name].read(each.value())
        except (UsageError, TypeError, ValueError) as wrong:
            message = str(wrong).removeprefix(f"{flags[name].option}: ")
            raise each.wrong(message) from wrong
    if values.get("seed") is None:
        raise place.wrong("there is no seed; give the one that failed")
    return TestSpec(**values)


def _row(place: YamlPlace) -> JsonObject:
    value = place.value()
    if not isinstance(value, dict):
        raise place.wrong("should be a mapping, as in a schedule")
    return value


def _rate(place: YamlPlace) -> Rate:
    """Of what is derived from the counts nothing is read."""
    given = place.mapping(("failed", "runs", "rate", "low", "high"))
    for key in ("failed", "runs"):
        if key not in given:
            raise place.wrong(f"there is no key {key!r}")
    runs = given["runs"].integer(1, _MOST)
    return Rate(given["failed"].integer(0, runs), runs)


def _text(place: YamlPlace) -> str:
    value = place.value()
    if not isinstance(value, str):
        raise place.wrong(f"{value!r} is not text")
    return value


def _date(place: YamlPlace) -> str:
    value = place.value()
    if isinstance(value, date):
        return value.isoformat()
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise place.wrong(f"{value!r} is not a day; write 2026-11-27") from None
