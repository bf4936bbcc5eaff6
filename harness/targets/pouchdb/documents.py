"""A key as a document of CouchDB's data model: siblings are leaf revisions, a context is their names.

A document is a tree of revisions, and its leaves are what conflicts. A put with the context of
leaves a and b makes one revision beneath a, and a deletion without content beneath b (a merge); a
put without context makes a new root. The client names the revisions (`new_edits: false`, as
replication does), so that no put is refused: one on an old context forks the tree. A delete is a
leaf that is deleted and has the id of its version, unlike the deletions of a merge.

https://docs.couchdb.org/en/stable/replication/conflicts.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Leaf = Mapping[str, Any]
#: the field of a revision that has the stored version
STORED = "stored"


def versions(leaves: Iterable[Leaf]) -> list[Leaf]:
    """The leaves that are versions, in one order everywhere; not the deletions of merges."""
    return sorted((leaf for leaf in leaves if STORED in leaf), key=lambda leaf: str(leaf["_rev"]))


def context_of(leaves: Iterable[Leaf]) -> bytes:
    """What a client has to send to replace these."""
    return json.dumps([leaf["_rev"] for leaf in versions(leaves)]).encode()


def replacing(
    key: str, id: str, stored: str, context: bytes | None, deleted: bool = False
) -> list[dict[str, Any]]:
    """The revisions by which the version `id` replaces what is in `context`."""
    parents: Sequence[str] = json.loads(context) if context else []
    first = parents[0] if parents else None
    version = {**_revision(key, id, first), STORED: stored}
    if deleted:
        version["_deleted"] = True
    merged = [{**_revision(key, id, parent), "_deleted": True} for parent in parents[1:]]
    return [version, *merged]


def _revision(key: str, id: str, parent: str | None) -> dict[str, Any]:
    """A revision beneath `parent`, with a name that no other has."""
    name = hashlib.md5(f"{id}/{parent or ''}".encode(), usedforsecurity=False).hexdigest()
    generation, _, before = parent.partition("-") if parent else ("0", "", "")
    start = int(generation) + 1
    ids = [name, before] if parent else [name]
    return {"_id": key, "_rev": f"{start}-{name}", "_revisions": {"start": start, "ids": ids}}
