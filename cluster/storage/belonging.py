"""Whose storage it is: what a node may not change from one life to the next.

A disk that was written as one node, in one cluster, on one ring, holds rows, clocks and a
layout that mean something else under another: partitions are other slices of the keys, and actors
have the node's name in them. Nothing in the rows shows it, so the first life writes down what it
was, and each later one is held to that. Two clusters may have one name, and nodes of the same
names; what each has of its own is its secret. Of that a mark is kept, which does not show it.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from pathlib import Path

import msgspec
from dynamesis.cluster.core.protocol.events import Write
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.core.protocol.storage_reader import Damaged, ReadFailed
from dynamesis.cluster.storage.base import Engine, StorageFailed

_ROW = b"belonging"
_SECRET = "secret"
_OF_THIS_NODE = ("node", "cluster", _SECRET)


class OtherDisk(Exception):
    """The configuration is not that of the disk. The message: which key, from what to what, and
    what to do."""


def hold_to(
    engine: Engine, folder: Path, now: Mapping[str, str | int], former_secret: str | None = None
) -> None:
    """Compare `now`, configuration keys and their values, with what the first life on this storage
    had; the first one writes it down. A storage that was written under `former_secret`, if there is
    one, is of the present one from now on. Raises OtherDisk; StorageFailed."""
    if not engine.durable:
        return
    before = _before(engine)
    known = len(before)
    if former_secret and before.get(_SECRET) == mark(former_secret):
        del before[_SECRET]
    changed = [key for key in now if before.get(key, now[key]) != now[key]]
    if changed:
        raise OtherDisk(_refusal(folder, changed, before, now))
    if len(before) < max(known, len(now)):
        engine.commit([Write("meta", _ROW, msgspec.msgpack.encode({**now, **before}))])


def _before(engine: Engine) -> dict[str, str | int]:
    """What the first life had; nothing on an empty disk, and where the row is damaged."""
    try:
        row = engine.get("meta", _ROW)
        return {} if row is None else msgspec.msgpack.decode(row, type=dict[str, str | int])
    except (Damaged, msgspec.MsgspecError):
        return {}
    except ReadFailed as error:
        raise StorageFailed(f"cannot read what the storage belongs to: {error}") from error


def _refusal(
    folder: Path, changed: list[str], before: Mapping[str, object], now: Mapping[str, object]
) -> str:
    moves = "; ".join(f"{key}: from {before[key]!r} to {now[key]!r}" for key in changed)
    if any(key in _OF_THIS_NODE for key in changed):
        what = "set it back, or give this node a `data` folder of its own"
    else:
        what = (
            "set it back on all nodes; a cluster with another value is a new one: empty `data` "
            "folders, and its data written again"
        )
    if _SECRET in changed:
        what += (
            " (these are marks of the secrets: another cluster wrote it, unless this one was given "
            "another secret; then name the one before it as `former_secret`)"
        )
    return f"{moves}, but {folder} was written with the former; {what}"


def mark(secret: str) -> str:
    """What a disk has of its cluster's secret."""
    return hmac.digest(secret.encode(), b"the mark of a disk", "sha256")[:8].hex()


def of(params: Params) -> dict[str, str | int]:
    """What the disk of a node is held to, by its keys in the configuration."""
    return {
        "node": params.node,
        "cluster": params.cluster,
        _SECRET: mark(params.secret),
        "params.partitions": params.partitions,
        "params.n": params.n,
        "params.clock": params.clock,
    }
