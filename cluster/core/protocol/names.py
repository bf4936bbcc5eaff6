"""What a node may be called: a name is in rows on disk, in layouts and in every log.

A hint's row is the name, a NUL and the key (cluster.core.storage.row_keys), and a row is no longer
than the engine takes. A name that one node takes and another refuses would be in the layout of
both from then on: so all of them ask here.
"""

from __future__ import annotations

#: bytes of UTF-8
MOST_NAME = 255
#: bytes of the longest row that the durable engine takes
_MOST_ROW = 1978
#: bytes of a key whose hints can be kept for any node
MOST_KEY = _MOST_ROW - MOST_NAME - 1


def name_objection(name: object) -> str | None:
    """Why a node cannot be called that; None if it can."""
    if not isinstance(name, str):
        return f"{name!r:.80} is not a name: it is not text"
    if not name:
        return "'' is not a name: it is empty"
    if not name.isprintable():
        return f"{name[:80]!r} is not a name: there are characters in it that cannot be printed"
    if len(name.encode()) > MOST_NAME:
        return f"{name[:80]!r}... is not a name: it is over {MOST_NAME} bytes"
    return None
