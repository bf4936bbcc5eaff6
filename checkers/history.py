"""One event of a history, in the form in which it stands on disk.

A history is the ordered record of invocations and completions, one JSON object a
line (docs/history.md). `type` is the whole of what is known about an effect: `ok`
took effect, `fail` certainly did not, `info` nobody knows.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

Type = Literal["invoke", "ok", "fail", "info"]


class Sibling(msgspec.Struct, omit_defaults=True, gc=False):
    """One of the concurrent versions a get returned, named by its version id."""

    id: str
    value: Any = None
    deleted: bool = False


class OpError(msgspec.Struct, gc=False):
    """Why an operation ended in fail (definite) or info (not definite)."""

    code: str
    definite: bool
    message: str = ""


class Op(msgspec.Struct, omit_defaults=True, gc=False):
    """One event. `time` is ns since the test began; `basis` is the index of the
    completion whose context was sent, null for a blind write, absent elsewhere."""

    index: int = -1
    time: int = -1
    type: Type = "invoke"
    process: int | str = "harness"
    f: str = ""
    key: str | None = None
    id: str | None = None
    value: Any = None
    basis: int | None | UnsetType = UNSET
    node: str | None = None
    replica: str | None = None
    siblings: list[Sibling] | None = None
    error: OpError | None = None
