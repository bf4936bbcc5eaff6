"""Messages of Maelstrom's protocol: lines of JSON, checked as they come out of a program.

{"src": "n1", "dest": "c4", "body": {"type": "echo_ok", "msg_id": 7, "in_reply_to": 2, ...}}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

#: bytes of the longest line that a program may print
LONGEST = 16 << 20
#: characters of a wrong line that are shown
_SHOWN = 200

Body = dict[str, Any]


class BrokenProtocol(Exception):
    """A program printed something else than a message. The text names the line, and what would
    be right."""


@dataclass(frozen=True)
class Message:
    """`node`: which node printed it: `src`, or one that passes on what a client asked for, in
    that client's name, so that the answer goes straight to the client (Maelstrom's Raft does so);
    `size`: bytes on the wire"""

    node: str
    src: str
    dest: str
    body: Body
    size: int

    @property
    def reply(self) -> bool:
        """Whether it answers another one."""
        return self.body.get("in_reply_to") is not None


def encode(src: str, dest: str, body: Body) -> bytes:
    """A message as a line."""
    return msgspec.json.encode({"src": src, "dest": dest, "body": body}) + b"\n"


def parse(
    line: bytes, node: str, known: Callable[[str], bool], client: Callable[[str], bool]
) -> Message:
    """The message that `node` printed. `known`: whether there is a receiver of that name, for it
    to; `client`: whether a client has it. Raises BrokenProtocol."""
    shape = f'{{"src": "{node}", "dest": "...", "body": {{"type": "...", ...}}}}'
    try:
        content = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _broken(
            node,
            line,
            f"it is not JSON. A line on stdout must be a message, {shape}; what is to "
            "be logged belongs on stderr",
        ) from error
    if not isinstance(content, dict):
        raise _broken(node, line, f"it is not an object; a message is {shape}")
    src, dest, body = (content.get(name) for name in ("src", "dest", "body"))
    if not isinstance(body, dict):
        raise _broken(node, line, f'its field "body" is not an object; a message is {shape}')
    if src != node and not (isinstance(src, str) and client(src)):
        raise _broken(
            node, line, f'its field "src" is {_json(src)}; right is "{node}", the sender itself'
        )
    if not isinstance(dest, str) or not known(dest):
        raise _broken(
            node,
            line,
            f'its field "dest" is {_json(dest)}, which is unknown; right is the name of a node as '
            "init gave it (from n0 on: --target-option first=0), of a service, or of the client "
            "that is answered",
        )
    return Message(node, src, dest, body, len(line))


def too_long(node: str, start: bytes) -> BrokenProtocol:
    """A line that does not end."""
    return _broken(node, start, f"it is longer than {LONGEST >> 20} MiB; send smaller messages")


def shown(line: bytes) -> str:
    """The beginning of a line, for a person."""
    text = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(line)} bytes)"


def _broken(node: str, line: bytes, why: str) -> BrokenProtocol:
    return BrokenProtocol(f"{node} printed on stdout {shown(line)!r}: {why}")


def _json(value: object) -> str:
    return "absent" if value is None else msgspec.json.encode(value).decode()
