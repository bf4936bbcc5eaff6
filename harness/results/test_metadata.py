"""What test.json has of a stored test: read and checked in one place.

A user may judge any folder, so that the file may hold anything. What judges and reports
rely upon has its form here; other fields may be whatever they are.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from dynamesis.checkers.history.history import explain
from dynamesis.checkers.history.op import JsonObject
from dynamesis.checkers.models.dynamo import CHECKERS
from dynamesis.harness.results.results import TEST, Folder

_Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
#: checkers that measure, and find nothing wrong
MEASURING = frozenset({"stats", "staleness"})
#: what becomes of concurrent versions
RECONCILE = ("siblings", "lww")
_Names = Annotated[list[str], msgspec.Meta(min_length=1)]


class BadTest(ValueError):
    """A test.json that cannot be used. The message has file, field, and what was expected."""


class _Ring(msgspec.Struct):
    owners: _Names
    partitions: _Count | None = None
    n: _Count | None = None
    zones: dict[str, str] | None = None
    zone_replicas: dict[str, int] | None = None


class _Test(msgspec.Struct):
    name: str | None = None
    workload: str | None = None
    nodes: _Names | None = None
    n: _Count | None = None
    r: _Count | None = None
    w: _Count | None = None
    sloppy: bool | None = None
    ring: _Ring | None = None
    checkers: list[str] | None = None
    promises: list[str] | None = None
    bounds: dict[str, float] | None = None
    grace: float | None = None
    reconcile: str | None = None
    reap: Any = None
    model: str | None = None
    model_options: JsonObject | None = None
    final: list[str] | None = None


def load_test(folder: Folder) -> JsonObject:
    """The content of test.json, {} where there is none. Raises BadTest for a file that is no
    JSON object, or has a field that no test can have."""
    path = folder / TEST
    try:
        raw = path.read_bytes()
        value: JsonObject = msgspec.json.decode(raw, type=JsonObject)
        test = msgspec.convert(value, _Test)
    except FileNotFoundError:
        return {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        field, reason = explain(error)
        raise _bad(folder, "(file)" if field == "(line)" else field, reason) from None
    strange = [name for name in test.checkers or () if name not in CHECKERS]
    if strange:
        known = ", ".join(CHECKERS)
        raise _bad(folder, "checkers", f"expected some of {known}, got {strange[0]!r}")
    if test.checkers is not None and not set(test.checkers) - MEASURING:
        reason = f"expected one that judges, not {', '.join(test.checkers) or 'none'} alone"
        raise _bad(folder, "checkers", reason)
    if test.reconcile not in (None, *RECONCILE):
        known = ", ".join(RECONCILE)
        raise _bad(folder, "reconcile", f"expected one of {known}, got {test.reconcile!r}")
    ring = test.ring
    if ring is not None and ring.partitions not in (None, len(ring.owners)):
        reason = f"expected {len(ring.owners)}, as many as there are owners, got {ring.partitions}"
        raise _bad(folder, "ring.partitions", reason)
    return value


def _bad(folder: Folder, field: str, expected: str) -> BadTest:
    return BadTest(f"{folder / TEST}, field {field}: {expected}")
