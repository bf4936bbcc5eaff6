"""Target `maelstrom`: any program that speaks Maelstrom's protocol, one process a node.

Programs have no sockets: all that they send goes through the harness, so that every fault of the
network is exact, for each ordered pair of nodes (harness.links.messages). A program that was killed
is started again and initialised again; what it wants to keep, it writes to its working folder.
"""

from __future__ import annotations

import math
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from copy import copy
from pathlib import Path
from random import Random
from typing import Any

from dynamesis.harness.links.messages import MessageLinks
from dynamesis.harness.targets.capabilities import Capabilities
from dynamesis.harness.targets.client import Client
from dynamesis.harness.targets.maelstrom.client import MaelstromClient
from dynamesis.harness.targets.maelstrom.convergence import Convergence
from dynamesis.harness.targets.maelstrom.programs import Programs
from dynamesis.harness.targets.maelstrom.router import LATENCIES, Router
from dynamesis.harness.targets.maelstrom.services import make_services
from dynamesis.harness.targets.maelstrom.topologies import TOPOLOGIES
from dynamesis.harness.targets.maelstrom.wire import SHOWS, WIRE
from dynamesis.harness.targets.site import NodeSite, Site
from dynamesis.harness.targets.system import EnvironmentFailed
from dynamesis.harness.targets.target import (
    BuildContext,
    Command,
    FaultLimits,
    Target,
    TargetOption,
)
from dynamesis.harness.usage.exits import UsageError

#: ms of the longest mean latency
_LONGEST_LATENCY = 60_000
#: a word of --bin: the Python that runs the harness
PYTHON = "{python}"


class MaelstromTarget(Target):
    """A program of a user's own, given by --bin."""

    name = "maelstrom"
    takes_bin = True
    description = "any program that speaks Maelstrom's protocol (--bin): JSON lines on pipes"
    workloads = tuple(WIRE)
    links = "pairs"
    links_kind = "messages"
    able = frozenset({"cuts", "frames", "isolations", "kill", "pause", "quiet", "stop"})
    op_limit = 2.0
    options: Mapping[str, TargetOption] = {
        "latency": TargetOption("0", "ms that a message between nodes takes, on average"),
        "latency-dist": TargetOption("constant", "how latencies are spread", tuple(LATENCIES)),
        "topology": TargetOption("grid", "a node's neighbours in broadcast", tuple(TOPOLOGIES)),
        "disk": TargetOption(
            "no", "whether programs keep what they know on disk: if so, any may be killed",
            ("no", "yes"),
        ),
        "first": TargetOption(
            "1", "the number of the first node: n1, or n0 as with --node-count", ("0", "1")
        ),
        "settle": TargetOption(
            "10", "s without a change after which nodes that differ are taken to stay so"
        ),
    }  # fmt: skip

    def __init__(self) -> None:
        self._bin: str | None = None
        self._workload = ""
        self._seed = 0
        self._options: dict[str, str] = {}

    def configured(self, values: Mapping[str, Any]) -> MaelstromTarget:
        if values.get("bin") is None:
            raise UsageError(
                "--bin: target maelstrom needs the program to test: --bin ./program, or a command "
                'line such as --bin "python3 program.py"'
            )
        other = copy(self)
        other._bin = str(values["bin"])
        try:
            other._argv()
        except ValueError as unclear:
            raise UsageError(
                f"--bin: {other._bin!r} is not a command line ({unclear}); "
                "write one that a shell takes"
            ) from unclear
        other._workload = str(values.get("workload") or "")
        other._seed = int(values.get("seed") or 0)
        given = (each.partition("=") for each in values.get("target_option") or ())
        other._options = {name: value for name, _, value in given}
        other._number("latency", 0, _LONGEST_LATENCY)
        other._number("settle", 0.1, 3600)
        return other

    @property
    def limits(self) -> FaultLimits:  # type: ignore[override]  # of the options
        return FaultLimits(volatile=self._option("disk") == "no")

    def names(self, count: int) -> tuple[str, ...]:
        first = int(self._option("first"))
        return tuple(f"n{number}" for number in range(first, first + count))

    def require(self) -> None:
        """Raises EnvironmentFailed unless the program can be started."""
        program = self._argv()[0]
        if shutil.which(program) is not None:
            return
        if Path(program).is_file():
            why, what = "is not executable", f"chmod +x {program}, or name its interpreter too"
        else:
            why, what = "is not there", "give a file, or a command line of a program on the PATH"
        raise EnvironmentFailed(f"--bin: {program} {why}; {what}")

    def command(self, node: NodeSite, site: Site) -> Command:
        return Command(self._argv())

    def client(self, site: Site) -> Client:
        return MaelstromClient(WIRE[self._workload])

    def build(self, context: BuildContext) -> Capabilities:
        links, site = context.links, context.site
        assert isinstance(links, MessageLinks), "programs on pipes need links of messages"
        services = make_services(self._seed)

        def complained(node: str, what: str) -> None:
            programs.break_off(node, what)

        router = Router(site.nodes, links, services, self._latency(), complained)
        greetings = []
        if self._workload == "broadcast":
            topology = TOPOLOGIES[self._option("topology")](site.nodes)
            greetings = [{"type": "topology", "topology": topology}]
        programs = Programs(self, context, router, tuple(greetings))
        settle = float(self._option("settle"))
        quiet = Convergence(programs, SHOWS.get(self._workload), settle)
        return Capabilities(processes=programs, quiet=quiet)

    def describe(self) -> dict[str, Any]:
        return {"bin": self._bin}

    def _argv(self) -> list[str]:
        """The command line; a file whose name has spaces is one word, {python} the program that
        runs this."""
        assert self._bin is not None
        if os.path.isfile(self._bin):
            return [self._bin]
        words = shlex.split(self._bin) or [""]
        return [sys.executable if word == PYTHON else word for word in words]

    def _option(self, name: str) -> str:
        return self._options.get(name, self.options[name].default)

    def _number(self, name: str, low: float, high: float) -> float:
        text = self._option(name)
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise UsageError(
                f"--target-option: {name}: {text!r} is not a number from {low:g} to {high:g}"
            )
        return number

    def _latency(self) -> Callable[[], float]:
        mean, draw = float(self._option("latency")) / 1000, LATENCIES[self._option("latency-dist")]
        random = Random(f"latency {self._seed}")
        return lambda: draw(random, mean) if mean else 0.0
