"""What replicas hold of the keys that only the harness's own load has written (`load/...`).

No operation in the history is about them, so that no checker of the model knows what they should
hold; but when all is quiet, the primaries of any key agree, and no other node holds
any of it, not even as a hint. So they are compared here, from the dumps of the nodes, and what
differs goes into the history: one event, with contents as digests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.targets.reports import DumpRow

#: f of the event
EXTRA_KEYS = "extra-keys"
#: keys of which the contents are shown
_SHOWN = 10

#: a version: its bytes; None for a tombstone, whatever it carries
Version = bytes | None
#: what one node holds of a key: the target of a hint, "" for its own copy; the versions, in order
Content = dict[str, list[Version]]


def extra_keys(
    ring: CheckedRing, rows: Mapping[str, Sequence[DumpRow] | None]
) -> JsonObject | None:
    """How many keys two or more of their primaries were dumped of, and of which the copies differ
    or lie elsewhere; None without any. `rows`: by node, of such keys; None for one that did not
    answer."""
    asked = {node: _by_key(held) for node, held in rows.items() if held is not None}
    keys = sorted(set().union(*asked.values())) if asked else []
    compared = 0
    differ: dict[str, dict[str, Content]] = {}
    for key in keys:
        primaries = [node for node in ring.primaries(key) if node in asked]
        compared += len(primaries) > 1
        if not _agree(key, primaries, asked):
            holders = [node for node in asked if node in primaries or key in asked[node]]
            differ[key] = {node: asked[node].get(key, {}) for node in holders}
    if not compared:
        return None
    shown = {key: _shown(held) for key, held in list(differ.items())[:_SHOWN]}
    return {"compared": compared, "differ": len(differ), "keys": shown}


def _agree(key: str, primaries: Sequence[str], asked: Mapping[str, dict[str, Content]]) -> bool:
    contents = [asked[node].get(key, {}) for node in primaries]
    same = all(content.keys() <= {""} and content == contents[0] for content in contents)
    return same and not any(key in held for node, held in asked.items() if node not in primaries)


def _by_key(rows: Sequence[DumpRow]) -> dict[str, Content]:
    found: dict[str, Content] = {}
    for row in rows:
        if row.siblings:
            held = [None if each.deleted else each.value for each in row.siblings]
            found.setdefault(row.key, {})[row.hint_for or ""] = sorted(held, key=_order)
    return found


def _order(version: Version) -> tuple[bool, bytes]:
    return version is None, version or b""


def _shown(held: Mapping[str, Content]) -> JsonObject:
    """By node and target, the digests of the versions: only where they differ, since values are
    large."""
    return {
        node: {target: sorted(map(_digest, versions)) for target, versions in content.items()}
        for node, content in held.items()
    }


def _digest(version: Version) -> str:
    return "deleted" if version is None else blake2b(version, digest_size=4).hexdigest()
