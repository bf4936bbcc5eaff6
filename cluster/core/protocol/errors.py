"""The one table of errors. `definite` means: the operation certainly took no effect.

Clients map definite errors to `fail`, all others to `info`. docs/errors.md is made
from this table (`python -m dynamesis.cluster.core.protocol.errors`).
"""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """One kind of error. `retry`: worth trying again unchanged."""

    code: str
    definite: bool
    retry: bool
    meaning: str


_KINDS = (
    Kind(
        "bad-request",
        True,
        False,
        "the request is malformed, an option is out of range, or its id is that of another put",
    ),
    Kind(
        "bad-context",
        True,
        False,
        "the context was not handed out by this cluster for this key, or names too many versions",
    ),
    Kind("key-too-large", True, False, "the key is longer than the limit"),
    Kind("value-too-large", True, False, "the value is longer than the limit"),
    Kind(
        "too-many-siblings",
        True,
        False,
        "the key has all the siblings that it may: read it, and put with that context",
    ),
    Kind("closed", True, False, "the client was closed before the request was sent"),
    Kind("overloaded", True, True, "the node has too much queued; retry after the time given"),
    Kind("stopping", True, True, "the node is shutting down and takes no new requests"),
    Kind("not-ready", True, True, "the node has not finished starting"),
    Kind(
        "no-coordinator", True, True, "no node that may coordinate could be reached; nothing sent"
    ),
    Kind("too-many-hops", True, True, "the request was forwarded too often: ring views differ"),
    Kind("unreachable", True, True, "no connection, or it ended before the node sent HELLO"),
    Kind("read-quorum", True, True, "fewer than R replicas answered a get"),
    Kind("storage-read", True, True, "the local record could not be read; it is not a not-found"),
    Kind("write-quorum", False, True, "fewer than W nodes acknowledged; some may hold the write"),
    Kind("storage-write", False, True, "the local write failed; it may or may not survive"),
    Kind("timeout", False, True, "no answer in time; the operation may yet take effect"),
    Kind("disconnected", False, True, "the connection ended after the request was sent"),
    Kind("forward-lost", False, True, "the coordinator was lost after the request reached it"),
    Kind("forgotten", False, True, "no node that was asked knows the first try of this put"),
)

#: code -> Kind, in the order of the table.
ERRORS: dict[str, Kind] = {kind.code: kind for kind in _KINDS}


def is_definite(code: str) -> bool:
    """True when an operation that ended with `code` certainly took no effect.
    An unknown code is never definite."""
    kind = ERRORS.get(code)
    return kind is not None and kind.definite


_INTRODUCTION = """# Errors

Every error of a node or a client has one of these codes. `fail` means that the operation
certainly took no effect; `info` that its outcome is unknown. This page is made from the table in
`cluster/core/protocol/errors.py` by
`python -m dynamesis.cluster.core.protocol.errors > docs/errors.md`; a test holds the two together.

"""


def as_markdown() -> str:
    """The table as docs/errors.md."""
    rows = [
        f"| `{k.code}` | {'fail' if k.definite else 'info'} | {'yes' if k.retry else 'no'} "
        f"| {k.meaning} |"
        for k in _KINDS
    ]
    table = ["| code | ends as | retry | meaning |", "|---|---|---|---|", *rows]
    return _INTRODUCTION + "\n".join(table) + "\n"


if __name__ == "__main__":
    print(as_markdown(), end="")
