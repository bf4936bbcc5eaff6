"""Clients that read what they wrote immediately, and read again.

A client writes a key in the knowledge of all that it has seen of it, reads it, reads it
again, and moves to another key. That is what the session guarantees of Terry et al.
(1994) speak of: read your writes, monotonic reads, monotonic writes, writes follow reads.
Dynamo promises none of them unless R + W > N without sloppy quorum; so their breaches are
counted, and stale reads are an anomaly only where the configuration promises freshness.
Catches too what is lost or resurrected between a write and the reads that follow directly,
before any repair has run.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators import Rng
from dynamesis.harness.generators.distributions import Weighted
from dynamesis.workloads.base import DISTRIBUTION, REQUEST_OPTIONS, Load, Option, Workload
from dynamesis.workloads.script.modification import SeenValues
from dynamesis.workloads.script.script import Script


class SessionScript(msgspec.Struct, frozen=True):
    """`reads`: gets after each put. `bases`: by key the newest completion whose context
    this client has. `left`: gets still to come of `key`."""

    rng: Rng
    keys: Weighted[str]
    reads: int
    bases: Mapping[str, int] = {}
    key: str | None = None
    left: int = 0
    serial: int = 0

    def next(self, process: int, last: Op | None, now: int = 0) -> tuple[Op, Script]:
        """Read the key that was written, or write another one."""
        script = self
        if last is not None and last.type == "ok" and last.key is not None:
            script = msgspec.structs.replace(self, bases={**self.bases, last.key: last.index})
        if script.left and script.key is not None:
            return Op(f="get", key=script.key), msgspec.structs.replace(
                script, left=script.left - 1
            )
        return script._write(process)

    def _write(self, process: int) -> tuple[Op, Script]:
        key, rng = self.keys.pick(self.rng)
        number = SeenValues(process, self.serial, ()).number
        op = Op(
            f="put",
            key=key,
            id=f"{process}.{self.serial}",
            value=number,
            basis=self.bases.get(key),
        )
        rest = msgspec.structs.replace(
            self, rng=rng, key=key, left=self.reads, serial=self.serial + 1
        )
        return op, rest


def _script(load: Load) -> Script:
    return SessionScript(load.rng, load.distribution(), int(load.options["reads"]))


SESSIONS = Workload(
    name="sessions",
    description="write, read immediately, read again: catches stale reads and counts what breaks "
    "the session guarantees",
    script=_script,
    options={
        "distribution": DISTRIBUTION,
        "reads": Option(2, (1, 100), "gets of a key after each put"),
        **REQUEST_OPTIONS,
    },
)
