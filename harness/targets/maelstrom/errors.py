"""The error codes of Maelstrom's protocol (its doc/protocol.md), in one table.

A definite error means that what was asked for did not happen and never will; after any other, it
may have. Codes that are not in the table are a program's own, and never definite.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorCode:
    """`name`: as Maelstrom has it, and as it is in a history, but for a condition that did not
    hold, which has the name that evidence knows; `definite`: whether nothing happened."""

    name: str
    definite: bool


NODE_NOT_FOUND, TEMPORARILY_UNAVAILABLE, NO_KEY, KEY_EXISTS, MISMATCH = 1, 11, 20, 21, 22
NOT_SUPPORTED, MALFORMED = 10, 12

CODES: dict[int, ErrorCode] = {
    0: ErrorCode("timeout", False),
    NODE_NOT_FOUND: ErrorCode("node-not-found", True),
    NOT_SUPPORTED: ErrorCode("not-supported", True),
    TEMPORARILY_UNAVAILABLE: ErrorCode("temporarily-unavailable", True),
    MALFORMED: ErrorCode("malformed-request", True),
    13: ErrorCode("crash", False),
    14: ErrorCode("abort", True),
    NO_KEY: ErrorCode("key-does-not-exist", True),
    KEY_EXISTS: ErrorCode("key-already-exists", True),
    MISMATCH: ErrorCode("precondition-failed", True),
    30: ErrorCode("txn-conflict", True),
}


def code_of(number: object) -> ErrorCode:
    """The entry of a code; one that is not in the table is named by its number, and indefinite."""
    known = CODES.get(number) if isinstance(number, int) else None
    return known or ErrorCode(f"error-{number}", False)
