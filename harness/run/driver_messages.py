"""What the harness and its load drivers write to each other: a JSON object a line.

To a driver go orders (`DriverOrder`): for one of its threads, or for all of it. Back come the
completions of single operations (`Done`), and of a load that the driver schedules itself what can
be seen of it while it runs (`Progress`) and how it ended (`Loaded`).
"""

from __future__ import annotations

from typing import Any

import msgspec
from dynamesis.checkers.history.op import Op

#: bytes of the longest line: what one get shows, or the keys that a driver used
LONGEST = 1 << 28


class DriverOrder(msgspec.Struct, omit_defaults=True):
    """What a driver is to do.

    thread: the thread that `addresses`, `recorded`, `op` and `give_up` are for
    addresses: the nodes are now these, id -> host:port; without a thread, for all of them
    recorded: the last completion has this index
    op: the operation to perform
    give_up: there is no more waiting for the operation that the thread performs
    began: begin the load; the test began at this time, ns of the machine's clock
    stop: end the load early
    """

    thread: int | None = None
    addresses: dict[str, str] | None = None
    recorded: int | None = None
    op: Op | None = None
    give_up: bool = False
    began: int | None = None
    stop: bool = False


class Done(msgspec.Struct, tag="done", omit_defaults=True):
    """What became of the operation invoked at `index`; `failure`: it broke the performer."""

    index: int
    op: Op | None = None
    failure: str = ""


class Progress(msgspec.Struct, tag="progress", omit_defaults=True):
    """What can be seen of a load while it runs.

    time: ns since the test began
    counts: completions by type, since the last progress
    newest: of each key that faults may aim at, the last acknowledged write since then
    """

    time: int
    counts: dict[str, int] = {}
    newest: list[Op] = []


class Loaded(msgspec.Struct, tag="loaded", omit_defaults=True):
    """How the load of a driver ended.

    processes: the process that each of its threads plays now
    keys: the keys that were used, in the order of their first use
    failure: what ended it instead
    environment: whether that is for the machine to answer for
    """

    processes: dict[int, int] = {}
    keys: list[str] = []
    failure: str = ""
    environment: bool = False


Report = Done | Progress | Loaded

decode_order = msgspec.json.Decoder(DriverOrder).decode
_reports: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Report)


def decode_report(line: bytes) -> Report:
    """A line of a driver."""
    report: Report = _reports.decode(line)
    return report


def line(message: DriverOrder | Report) -> bytes:
    """A message as it is sent."""
    return msgspec.json.encode(message) + b"\n"
