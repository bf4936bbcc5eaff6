"""Which targets there are: an explicit table, then entry points, then FILE.py:NAME.

A target is imported when it is chosen; `dynamesis list` shows the table from a file that is made
beforehand (harness.usage.catalogue).
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from dynamesis.cluster.plugins.objects import absolute, is_file_name, load_object
from dynamesis.harness.targets.class_rules import mistakes
from dynamesis.harness.targets.target import Target

#: name -> module:NAME of a Target, class or instance, beneath `dynamesis`
TARGETS: dict[str, str] = {
    "adopt": "harness.targets.adopted.target:AdoptTarget",
    "cassandra": "harness.targets.cassandra.target:CassandraTarget",
    "dynamo": "harness.targets.dynamo.target:DynamoTarget",
    "etcd": "harness.targets.etcd.target:EtcdTarget",
    "maelstrom": "harness.targets.maelstrom.target:MaelstromTarget",
    "pouchdb": "harness.targets.pouchdb.target:PouchDBTarget",
    "redis": "harness.targets.redis.target:RedisTarget",
}
#: the entry points of targets that other packages bring
GROUP = "dynamesis.targets"
#: by class, what is wrong with it
_KNOWN: dict[type, list[str]] = {}


def load_target(spec: str) -> Target:
    """The target of this name, or of FILE.py:NAME. Raises ValueError with what is wrong and what
    is allowed."""
    if spec in TARGETS:
        module, _, name = TARGETS[spec].partition(":")
        return _instance(getattr(import_module(f"dynamesis.{module}"), name), spec)
    if is_file_name(spec):
        return _instance(load_object(absolute(spec), _is_target, "a Target"), spec)
    outside = {point.name: point for point in installed()}
    if spec not in outside:
        known = sorted({*TARGETS, *outside})
        near = get_close_matches(spec, known, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(f"there is no {spec!r}{hint}; allowed: FILE.py:NAME, {', '.join(known)}")
    try:
        found = outside[spec].load()
    except Exception as error:
        raise ValueError(f"{spec}: {outside[spec].value} cannot be loaded: {error!r}") from error
    if not _is_target(found):
        raise ValueError(f"{spec}: {outside[spec].value} is not a Target")
    return _instance(found, spec)


def installed() -> tuple[EntryPoint, ...]:
    """The targets that other packages bring."""
    return tuple(entry_points(group=GROUP))


def _is_target(value: object) -> bool:
    if isinstance(value, type):
        return issubclass(value, Target) and value is not Target
    return isinstance(value, Target)


def _mistakes(target: Target) -> list[str]:
    """Those of one that its class makes, looked for once a class: swarms plan tests by the ten
    thousand."""
    kind = type(target)
    if kind not in _KNOWN:
        _KNOWN[kind] = mistakes(target)
    return _KNOWN[kind]


def _instance(found: object, spec: str) -> Target:
    try:
        target = found() if isinstance(found, type) else found
    except Exception as error:
        raise ValueError(f"{spec}: the target cannot be made: {error!r}") from error
    assert isinstance(target, Target)
    if wrong := _mistakes(target) if isinstance(found, type) else mistakes(target):
        raise ValueError(f"{spec}: {'; '.join(wrong)}")
    if not target.name:
        target.name = spec.rpartition(":")[2].lower()
    return target
