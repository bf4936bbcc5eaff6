"""The messages of a test about the keys of clients, as lines of messages.jsonl: what its report
draws as a sequence of arrows.

A line is {"sent", "received" or "lost" (ns since the test began; neither: it was on its way when
the connection or the test ended), "from", "to", "kind", "key", "request", "answers", "words"}.
`request` is the id of the write that it is part of; `answers`: the number of the line with the
question. A message that a fault doubles is received more than once and has the first time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from dynamesis.checkers.history.op import JsonObject
from dynamesis.cluster.core.protocol.messages import (
    ForwardPut,
    Get,
    GetReply,
    Put,
    PutReply,
    Refusal,
    ReplicaGet,
    ReplicaGetReply,
    ReplicaPut,
    ReplicaPutReply,
    State,
    SyncKey,
    SyncKeyReply,
)
from dynamesis.harness.worlds.simulated.network import Sighting
from dynamesis.workloads.client.codec import decode

#: questions about a key, and what may answer them
_QUESTIONS = (Get, Put, ForwardPut, ReplicaGet, ReplicaPut, SyncKey)
_ANSWERS = (GetReply, PutReply, Refusal, ReplicaGetReply, ReplicaPutReply, SyncKeyReply)
_ABOUT_KEYS = frozenset((*_QUESTIONS, *_ANSWERS))
#: ids that are named in a line
_NAMED = 6


def message_lines(story: Iterable[Sighting], began: int) -> bytes:
    """The lines of a test that began at this instant (ns), by when they were sent."""
    found: list[JsonObject] = []
    #: lines by what was sent (the very object arrives), questions by connection and number
    on_their_way: dict[tuple[int, str, str], JsonObject] = {}
    asked: dict[tuple[int, int], int] = {}
    for each in story:
        message = each.content
        if type(message) not in _ABOUT_KEYS:
            continue
        ns = round(each.time * 1e9) - began
        way = (id(message), each.source, each.dest)
        if each.what in ("received", "lost"):
            line = on_their_way.get(way)
            if line is not None and not {"received", "lost"} & line.keys():
                line[each.what] = ns
        elif each.what == "sent" and isinstance(message, _QUESTIONS):
            asked[id(each.line), message.rid] = len(found)
            on_their_way[way] = _line(each, ns, *_about(message))
            found.append(on_their_way[way])
        elif each.what == "sent" and isinstance(message, _ANSWERS):
            question = asked.get((id(each.line), message.rid))
            if question is not None:
                about = found[question]["key"], found[question]["request"]
                on_their_way[way] = _line(each, ns, *about) | {"answers": question}
                found.append(on_their_way[way])
    return msgspec.json.Encoder().encode_lines(found)


def _line(each: Sighting, sent: int, key: str, request: str) -> JsonObject:
    kind = type(each.content).__name__
    return {
        "sent": sent, "from": each.source, "to": each.dest, "kind": kind, "key": key,
        "request": request, "words": _words(each.content),
    }  # fmt: skip


def _about(message: Any) -> tuple[str, str]:
    """The key of a question, and the write that it is part of."""
    inner = message.put if isinstance(message, ForwardPut) else message
    return bytes(inner.key).decode("utf-8", "replace"), str(getattr(inner, "request", ""))


def _words(message: Any) -> str:
    """A message in a few words: "put 0.0", "holds 0.0, 9.1"."""
    place = f" for {message.hint_for}" if getattr(message, "hint_for", None) else ""
    match message:
        case Put():
            return f"{'delete' if message.deleted else 'put'} {message.request}"
        case ForwardPut():
            return f"forward put {message.put.request}"
        case ReplicaPut():
            return f"{message.why} {_ids(message.state)}{place}"
        case Get() | ReplicaGet():
            return f"{'get' if isinstance(message, Get) else 'read'}{place}"
        case SyncKey():
            return f"compare {_ids(message.state)}"
        case Refusal():
            return f"refused: {message.code}"
        case GetReply():
            shown = [decode(v.value, v.deleted).id for v in message.siblings]
            return f"shows {_listed(shown)}"
        case PutReply():
            return "acknowledged"
        case ReplicaPutReply():
            return message.error or ("stored, durable" if message.durable else "stored")
    return message.error or f"holds {_ids(message.state)}"


def _ids(state: State | None) -> str:
    versions = [v for entry in (state or {}).values() for _, v in entry.values]
    return _listed([decode(v.value, v.deleted).id for v in versions])


def _listed(ids: list[str]) -> str:
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return (", ".join(sorted(ids)[:_NAMED]) or "nothing") + more
