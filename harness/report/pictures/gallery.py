"""Which pictures an anomaly has: an explicit list, each drawn where it applies.

A picture only shows: an error in one costs that picture, and is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.codes import DYNAMO
from dynamesis.checkers.history.history import History
from dynamesis.checkers.logs.beside import Beside
from dynamesis.checkers.logs.logs import Logs
from dynamesis.checkers.verdict import Anomaly
from dynamesis.harness.report.pictures.causal import causal_picture
from dynamesis.harness.report.pictures.cycle import cycle_picture
from dynamesis.harness.report.pictures.elements import counter_picture, element_table
from dynamesis.harness.report.pictures.intervals import interval_picture
from dynamesis.harness.report.pictures.linearization import linearization_picture
from dynamesis.harness.report.pictures.nodes import node_picture
from dynamesis.harness.report.pictures.sequence import read_messages, sequence_picture
from dynamesis.harness.report.pictures.svg import Drawing

log = logging.getLogger(__name__)

#: anomalies of one name that are drawn
DRAWN = 5
#: pictures beside which no other is drawn
_ENOUGH = ("cycle", "elements", "orders")


@dataclass(frozen=True)
class Picture:
    """A picture with what it is: `kind` is part of a file's name."""

    kind: str
    caption: str
    drawing: Drawing


class Gallery:
    """Draws the anomalies of one run."""

    def __init__(
        self, run: Run, logs: Logs | None, anomalies: Sequence[Mapping[str, Any]],
        messages: Path | None = None,
    ) -> None:  # fmt: skip
        """`messages`: the file of a simulated test's messages, if there is one."""
        self.run = run
        keys_of = (a.get("key") for a in anomalies)
        self.messages = [] if messages is None else read_messages(messages, keys_of)
        self.dynamo = any(f in DYNAMO for f in run.history.fs)
        keys = frozenset(str(a["key"]) for a in anomalies if a.get("key"))
        ring = CheckedRing.of(run.test) if logs is not None else None
        self.beside = None if logs is None else Beside(logs, run, ring, keys)

    def pictures(self, anomaly: Mapping[str, Any]) -> Iterator[Picture]:
        """Each picture that applies, the most relevant first."""
        drawn: set[str] = set()
        for kind, caption, draw in self._kinds():
            if kind == "operations" and drawn:
                continue
            try:
                drawing = draw(anomaly)
            except Exception:
                log.exception("no picture %s of %s", kind, anomaly.get("name"))
                continue
            if drawing is not None:
                yield Picture(kind, caption, drawing)
                if kind in _ENOUGH:
                    return
                drawn.add(kind)

    def _kinds(self) -> list[tuple[str, str, Callable[[Mapping[str, Any]], Drawing | None]]]:
        h: History = self.run.history
        return [
            ("cycle", "Each must come before the next, and the last before the first",
             lambda a: cycle_picture(h, a)),
            ("elements", "Reads side by side", lambda a: element_table(h, a)),
            ("elements", "What the counter can have been, and what reads showed",
             lambda a: counter_picture(h, a)),
            ("orders", "The longest order that explains what ended before, and what none explains",
             lambda a: linearization_picture(h, a)),
            ("versions", "Versions and which covers which, time downwards", self._causal),
            ("nodes", "What each node did with it, from the event logs", self._nodes),
            ("messages", "What went between clients and nodes, time downwards",
             lambda a: sequence_picture(h, self.messages, a) if self.messages else None),
            ("operations", "The operations in time, a lane a process",
             lambda a: interval_picture(h, a)),
        ]  # fmt: skip

    def _causal(self, anomaly: Mapping[str, Any]) -> Drawing | None:
        return causal_picture(self.run.order, anomaly) if self.dynamo else None

    def _nodes(self, anomaly: Mapping[str, Any]) -> Drawing | None:
        if self.beside is None:
            return None
        shown = Anomaly(
            str(anomaly["name"]), "", anomaly.get("key"), tuple(anomaly["ops"]),
            anomaly.get("data") or {},
        )  # fmt: skip
        return node_picture(self.beside, anomaly, shown)


def files(gallery: Gallery, anomalies: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """(name, content) of the pictures of these anomalies as files of their own:
    "lost-write-1-versions.svg"."""
    count: dict[str, int] = {}
    for anomaly in anomalies:
        name = str(anomaly["name"])
        count[name] = count.get(name, 0) + 1
        if count[name] <= DRAWN:
            for picture in gallery.pictures(anomaly):
                file = f"{name}-{count[name]}-{picture.kind}.svg"
                yield file, picture.drawing.standalone()
