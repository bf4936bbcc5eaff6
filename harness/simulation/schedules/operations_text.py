"""Reads the operations of a schedule's file, each with its mistakes at their place.

What a client cannot do, and what no node or checker takes, would show only as an operation that is
not acknowledged: a schedule edited by hand would be unknown, or invalid, for a slip of the pen.
"""

from __future__ import annotations

import json
from typing import Any

from dynamesis.checkers.history.op import JsonObject, Op, canonical
from dynamesis.harness.generators.given import Given
from dynamesis.harness.results.yaml_document import YamlPlace
from dynamesis.harness.worlds.test_spec import MOST_SIMULATED, TestSpec
from msgspec import UNSET

#: what a client does; each has the key as its value, instead of `f` and `key`
KINDS = ("get", "put", "delete")
_FIELDS = ("at", "client", "id", "value", "basis", "node", "options", "f", "key")
#: options of a request that count nodes
_COUNTS = frozenset({"n", "r", "w", "pr", "pw", "dw", "local"})


def operations_at(place: YamlPlace, spec: TestSpec) -> tuple[Given, ...]:
    """The operations in this list, for the clients of `spec`. Raises YamlError."""
    found: list[Given] = []
    ids: set[str] = set()
    for item in place.sequence():
        given = _given(item, len(found), spec)
        if given.op.id is not None and given.op.id in ids:
            raise item.wrong(f"id: {given.op.id!r} is that of another operation; each has its own")
        ids.add(given.op.id or "")
        found.append(given)
    return tuple(found)


def _given(place: YamlPlace, number: int, spec: TestSpec) -> Given:
    fields = place.mapping((*_FIELDS, *KINDS))
    short = [name for name in KINDS if name in fields]
    if len(short) + ("f" in fields) != 1:
        raise place.wrong(f"an operation needs one of {', '.join(KINDS)}, or f")
    kind, key = short[0] if short else fields["f"].one_of(KINDS), short[0] if short else "key"
    for needed in ("at", "client", key, *(() if kind == "get" else ("id",))):
        if needed not in fields:
            raise place.wrong(f"there is no {needed!r}")
    basis = fields["basis"].value() if "basis" in fields else None
    if basis is not None:
        if number == 0:
            raise fields["basis"].wrong("no operation is before the first; leave it out")
        basis = fields["basis"].integer(0, number - 1)
    values: dict[str, Any] = {
        name: _text(fields[name]) for name in ("id", "node") if name in fields
    }
    op = Op(
        f=kind,
        key=_text(fields[key]),
        value=_plain(fields["value"]) if "value" in fields else None,
        options=_options(fields["options"]) if "options" in fields else None,
        basis=None if "basis" in fields else UNSET,
        **values,
    )
    client = fields["client"].integer(0, spec.concurrency - 1)
    return Given(_ns(fields["at"]), client, op, basis)


def _text(place: YamlPlace) -> str:
    value = place.value()
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        raise place.wrong(f"{value!r} is not a text of at least one character")
    try:
        str(value).encode()
    except UnicodeEncodeError:
        raise place.wrong(f"{value!r} is not a text: half of a character is missing") from None
    return str(value)


def _plain(place: YamlPlace) -> Any:
    value = place.value()
    try:
        json.dumps(value, allow_nan=False)
        canonical(value)
    except (TypeError, ValueError, OverflowError) as strange:
        raise place.wrong(f"{value!r} is not plain data: {strange}") from strange
    return value


def _options(place: YamlPlace) -> JsonObject:
    """The options that a request asks for. Those of a workload of one's own are as they are."""
    given = _plain(place)
    if not isinstance(given, dict):
        raise place.wrong(f"{given!r} is not a mapping of options, as {{r: 1}}")
    for name, value in given.items():
        number = not isinstance(value, bool) and isinstance(value, int | float)
        if name in _COUNTS and not (type(value) is int and 0 <= value <= MOST_SIMULATED):
            raise place.wrong(f"{name}: {value!r} is not a number of nodes")
        if name == "timeout" and not (number and value > 0):
            raise place.wrong(f"timeout: {value!r} is not a length of time; it takes seconds")
        if name == "return_body" and not isinstance(value, bool):
            raise place.wrong(f"return_body: {value!r} is neither true nor false")
    return dict(given)


def _ns(place: YamlPlace) -> int:
    value = place.value()
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise place.wrong(f"{value!r} is not a time; it takes seconds after the load began")
    return round(value * 1e9)
