"""What the harness must be able to do to the store under test.

The harness knows no store: `harness.cli`, the one composition root, hands it an
object of this shape. `cluster.process.supervisor.Cluster` is one, without importing this.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol


class EnvironmentFailed(Exception):
    """The machine lacks something (exit 4). The message says what, what was tried,
    and what to do."""


class System(Protocol):
    """A cluster of node processes, addressed by node id. Times in seconds. `nodes` are all
    that take part: newcomers from their start on, and nobody who has retired."""

    nodes: tuple[str, ...]

    async def start_all(self) -> None:
        """Start every node and return once each says ready. Raises RuntimeError with the
        last lines of a node's log if it would not start."""

    async def start(self, node: str) -> None:
        """Start (again) a node that is not running, and wait until it is ready, or has nothing
        to do but to wait for others."""

    async def kill(self, node: str) -> int:
        """SIGKILL; returns the pid that is gone once it was reaped."""

    async def stop(self, node: str) -> None:
        """Graceful stop (SIGTERM), SIGKILL after a deadline."""

    async def pause(self, node: str) -> bool:
        """SIGSTOP; True once the kernel shows the process as stopped."""

    async def resume(self, node: str) -> None:
        """SIGCONT; harmless when not paused."""

    async def wipe(self, node: str) -> None:
        """Delete the data of a node that is not running."""

    async def copy_data(self, node: str) -> None:
        """Keep a copy of the data of a node that is not running."""

    async def restore_data(self, node: str) -> None:
        """Put that copy back in place of the data of a node that is not running."""

    async def disk(self, node: str, fault: str, **settings: float) -> None:
        """Have a running node's disk fail from now on as harness.nemesis.disks says; "none":
        no more. Its status then has disk {"bites": {fault: int}}. Raises RuntimeError."""

    async def repair(self, node: str) -> None:
        """Have a running node read all that it holds, so that latent damage shows, and compare
        it with its peers. Its status has trees {"rebuilding": bool}. Raises RuntimeError."""

    async def clock(self, node: str, **settings: int) -> None:
        """Have a running node's wall clock be wrong from now on as harness.nemesis.clocks says;
        without settings: no more. Its status has clock {"wall": ms since 1970, "between_ns"
        (where it can be had): [ns, ns] of CLOCK_MONOTONIC}. Raises RuntimeError."""

    async def change(self, kind: str, node: str) -> None:
        """Ask any member to let `node` "join" or "leave", or be "remove"d as dead. Raises
        ValueError if it is refused, RuntimeError if nobody answers."""

    async def retire(self, node: str) -> None:
        """Stop a node that is no member any more. It is not among `nodes` from then on."""

    def state(self, node: str) -> str:
        """ "running", "paused" or "down"."""

    def exit_code(self, node: str) -> int | None:
        """How the process of a node ended: minus the signal's number if one ended it; None
        while it lives, or if it was never started."""

    def last_words(self, node: str) -> str:
        """How the process of a node ended, and the last lines of its logs."""

    async def status(self, node: str) -> dict[str, Any] | None:
        """The node's status over its admin port (round the proxies); None if it does not
        answer. Has at least: node, hints (int), transfers (int), objects (int),
        peers {id: {up: bool, suspected: bool, failures: int, timeouts: int}},
        exchanges {id: {rounds: int, clean: int}}, requests and request_bytes (in progress),
        unsent (bytes of answers that were not read), owed (requests without an answer),
        keys_in_progress (keys that work is under way for), where it is known hints_for
        {id: int} and damaged (rows that could not be read), and where the membership can change
        membership {version: int, members: [id], settled: bool, owned {id: int}, former: [id]
        (gone, and may still hold something)} or None, and moving [{"partition": int, "state":
        "receiving" or "giving up", "waiting_for": [id]}]."""

    async def metrics(self, node: str) -> str | None:
        """What the node measures of itself, as Prometheus text; None if it does not answer."""

    async def dump(self, node: str) -> list[dict[str, Any]]:
        """Everything one node holds, without read repair: rows
        {"key": str, "siblings": [{"value": bytes, "deleted": bool}], "hint_for": str | None}.
        Raises ValueError if it cannot tell, RuntimeError if it does not answer."""

    async def ring(self, node: str | None = None) -> dict[str, Any]:
        """{"partitions": Q, "owners": [node id] * Q, "members": [node id], "n": N, "r": R,
        "w": W, "sloppy": bool}, as this node sees it, or any. Raises RuntimeError."""

    async def stop_all(self) -> None:
        """Stop every process, whatever its state; never raises."""

    def collect(self, into: Path) -> None:
        """Copy each node's logs to into/<id>/."""
