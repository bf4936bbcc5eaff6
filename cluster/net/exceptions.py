"""What a client raises: one class for each thing that a caller may want to do about it.

`definite`: the operation certainly took no effect; it comes from the one
table in cluster.core.protocol.errors, and an error that is not in it is never definite.
"""

from __future__ import annotations

from dynamesis.cluster.core.protocol.errors import is_definite


class DynamoError(Exception):
    """An operation that has no result. `code` as in cluster.core.protocol.errors; `node` the node
    that answered, or the address that was tried; `retry_after` in seconds, if given; `arrived`:
    when the refusal was read from the socket, ns of time.monotonic_ns(), 0 for none."""

    arrived = 0

    def __init__(
        self, code: str, message: str, node: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(f"{code}: {message}" + (f" ({node})" if node else ""))
        self.code = code
        self.message = message
        self.node = node
        self.retry_after = retry_after

    @property
    def definite(self) -> bool:
        """The operation certainly took no effect."""
        return is_definite(self.code)


class BadRequest(DynamoError):
    """The request itself is at fault: change it."""


class Unavailable(DynamoError):
    """This node takes no requests now: try later, or another node."""


class Unreachable(DynamoError):
    """There was no connection to send on: try another node."""


class NoQuorum(DynamoError):
    """Too few replicas answered; of a put, some may hold it."""


class StorageFailure(DynamoError):
    """The node's disk failed it."""


class Closed(DynamoError):
    """The client was closed: make another."""


class InDoubt(DynamoError):
    """The request was sent, and its outcome is unknown: read before you write it
    again. (`Client(retries=...)` sends the same request again, which is safe.)"""


_CLASSES: dict[str, type[DynamoError]] = {
    "bad-request": BadRequest,
    "bad-context": BadRequest,
    "key-too-large": BadRequest,
    "value-too-large": BadRequest,
    "too-many-siblings": BadRequest,
    "overloaded": Unavailable,
    "stopping": Unavailable,
    "not-ready": Unavailable,
    "unreachable": Unreachable,
    "no-coordinator": NoQuorum,
    "too-many-hops": NoQuorum,
    "read-quorum": NoQuorum,
    "write-quorum": NoQuorum,
    "storage-read": StorageFailure,
    "storage-write": StorageFailure,
    "timeout": InDoubt,
    "disconnected": InDoubt,
    "forward-lost": InDoubt,
    "forgotten": InDoubt,
    "closed": Closed,
}


def failure(
    code: str, message: str, node: str = "", retry_after: float | None = None
) -> DynamoError:
    """The exception for `code`."""
    return _CLASSES.get(code, DynamoError)(code, message, node, retry_after)
