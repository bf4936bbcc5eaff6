"""A key as a document of CouchDB's data model: siblings are leaf revisions, a context names them.

A document is a tree of revisions, and its leaves are what conflicts. A put with the context of
leaves a and b makes a revision beneath a, and a deletion without content beneath b (a merge); a
put without context makes a new root. The client names the revisions (`new_edits: false`, as
replication does), so that no put is refused: one on an old context forks the tree. A delete is a
leaf that is deleted and has the id of its version, unlike the deletions of a merge.

These are several revisions, and replication reads the leaves one by one: another node may have
the new one before the deletions, and show what was merged as a sibling of it. `LeafContext.merged`
is the remedy: each revision lists what it and its ancestors have replaced, and readers leave that
out.

https://docs.couchdb.org/en/stable/replication/conflicts.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import structs

#: how many revisions that were merged are listed: the deletions have long arrived of others
_LISTED = 200


class Leaf(msgspec.Struct):
    """A leaf as a node has it; `stored` is empty in the deletions of a merge."""

    rev: str = msgspec.field(name="_rev")
    deleted: bool = msgspec.field(name="_deleted", default=False)
    stored: str = ""
    merged: tuple[str, ...] = ()


class LeafContext(msgspec.Struct, frozen=True):
    """The revisions that were read of a key, and those that they and their ancestors merged."""

    key: str
    revs: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()


def versions(leaves: Iterable[Leaf]) -> list[Leaf]:
    """The leaves that are versions, in one order everywhere, without what one of them merged."""
    found = sorted((leaf for leaf in leaves if leaf.stored), key=lambda leaf: leaf.rev)
    merged = {rev for leaf in found for rev in leaf.merged}
    return [leaf for leaf in found if leaf.rev not in merged]


def context_of(key: str, found: Iterable[Leaf]) -> LeafContext:
    """What a client has to send to replace these versions."""
    leaves = tuple(found)
    merged = dict.fromkeys(rev for leaf in leaves for rev in leaf.merged)
    return LeafContext(key, tuple(leaf.rev for leaf in leaves), tuple(merged))


def replacing(
    context: LeafContext, id: str, stored: str, deleted: bool, listed: bool
) -> tuple[list[dict[str, Any]], LeafContext]:
    """The revisions by which the version `id` replaces what is in a context, and the context of
    that version alone. `listed`: it lists what was merged."""
    first, others = context.revs[:1], context.revs[1:]
    version = _revision(context.key, id, *first) | {"stored": stored}
    if deleted:
        version["_deleted"] = True
    merged = (*context.merged, *context.revs)[-_LISTED:] if listed else ()
    if merged:
        version["merged"] = merged
    deletions = [{**_revision(context.key, id, rev), "_deleted": True} for rev in others]
    after = structs.replace(context, revs=(version["_rev"],), merged=merged)
    return [version, *deletions], after


def _revision(key: str, id: str, parent: str = "0-") -> dict[str, Any]:
    """A revision beneath `parent`, by default a root, with a name that no other has."""
    name = hashlib.md5(f"{id}/{parent}".encode(), usedforsecurity=False).hexdigest()
    generation, _, before = parent.partition("-")
    start = int(generation) + 1
    ids = [name, before] if before else [name]
    return {"_id": key, "_rev": f"{start}-{name}", "_revisions": {"start": start, "ids": ids}}
